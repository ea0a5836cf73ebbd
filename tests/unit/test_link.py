"""The way to the server: its four states."""

from __future__ import annotations

import pytest
from fakes.told import Told

from edge_agent.cloud_sync.verdict import Action
from edge_agent.daemon import link as way
from edge_agent.daemon.link import Link


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def link(told: Told) -> Link:
    return Link(base_s=60, cap_s=900, draw=lambda: 0.25, say=told)


@pytest.mark.parametrize(
    ("action", "retry_after_s", "hold_s", "state"),
    [
        (Action.LINK_DOWN, None, 15.0, way.DOWN),
        (Action.HELD, None, 15.0, way.HELD),
        (Action.HELD, 3600.0, 3615.0, way.HELD),
        (Action.IN_PROGRESS, None, 15.0, way.HELD),
        (Action.SUSPENDED, None, 900.0, way.SUSPENDED),
    ],
)
def test_link_first_failure_holds_for(
    link: Link, action: Action, retry_after_s: float | None, hold_s: float, state: str
) -> None:
    """Full jitter, on top of what the server asked for; the longest where a person is needed."""
    assert link.failed(action, "why", 100.0, retry_after_s=retry_after_s) == hold_s
    assert (link.state, link.since, link.reason) == (state, 100.0, "why")
    assert not link.may_try(100.0 + hold_s - 0.001)
    assert link.may_try(100.0 + hold_s)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("dns: no such name", "nothing to do"),
        ("tls_not_yet_valid: certificate is not yet valid", "clock"),
        ("tls_client_cert: the server wants a client certificate", "client_cert_file"),
        ("captive_portal: a web page answered", "log in"),
    ],
)
def test_link_down_says_what_to_do_about_it(
    link: Link, told: Told, reason: str, advice: str
) -> None:
    """Waiting does not renew a certificate."""
    link.failed(Action.LINK_DOWN, reason, 0.0)
    assert advice in told.about("link_down")[0].partition(" do=")[2]


@pytest.mark.parametrize(
    ("reason", "synchronized", "said"),
    [
        ("tls_expired: certificate has expired", True, "clock=synced "),
        ("tls_not_yet_valid: certificate is not yet valid", False, "clock=unsynced "),
        ("tls_untrusted: self-signed certificate", False, ""),
    ],
)
def test_link_down_for_a_certificates_date_says_whether_the_clock_is_right(
    told: Told, reason: str, synchronized: bool, said: str
) -> None:
    """One of the two is wrong."""
    link = Link(
        base_s=60, cap_s=900, draw=lambda: 0.25, say=told, synchronized=lambda: synchronized
    )
    link.failed(Action.LINK_DOWN, reason, 0.0)
    assert f'" {said}next_try_s=' in told.about("link_down")[0]


def test_link_success_forgets_the_failures(link: Link) -> None:
    """The next back-off begins at the base again."""
    for _ in range(9):
        link.failed(Action.LINK_DOWN, "dns", 0.0)
    link.worked(1000.0)
    assert (link.state, link.reason, link.may_try(1000.0)) == (way.UP, "", True)
    assert link.failed(Action.LINK_DOWN, "dns", 2000.0) == 15.0


def test_link_first_success_is_no_news(link: Link, told: Told) -> None:
    """Nothing was wrong before."""
    link.worked(1.0)
    assert told.lines == []


def test_link_reason_that_changes_within_a_state_is_kept_and_not_told(
    link: Link, told: Told
) -> None:
    """DNS dead, then refused: still the one outage."""
    link.failed(Action.LINK_DOWN, "dns", 10.0)
    link.failed(Action.LINK_DOWN, "refused", 70.0)
    assert (link.reason, link.since) == ("refused", 10.0)
    link.worked(100.0)
    assert told.events == ["link_down", "link_up"]
    assert "after_s=90 attempts=2" in told.about("link_up")[0]


def test_link_try_now_ends_a_hold_without_forgetting_what_is_known(link: Link) -> None:
    """The next failure goes on where the back-off was."""
    link.failed(Action.LINK_DOWN, "dns", 0.0)
    link.try_now(1.0)
    assert link.may_try(1.0)
    assert link.failed(Action.LINK_DOWN, "dns", 1.0) == 30.0
