"""The verdict table: HTTP outcome -> fate of the items."""

from __future__ import annotations

import email.utils
import gzip
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cloud_sync.verdict import (
    LONGEST_REASON,
    LONGEST_RETRY_AFTER_S,
    Action,
    Answer,
    Failure,
    Verdict,
    judge,
)

IDS = frozenset({41, 42, 43})
WALL = 1_750_000_000.0


def judged(status: int, body: bytes = b"", *, cut: bool = False, **headers: str) -> Verdict:
    """The verdict on an answer to ids 41, 42 and 43."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Answer(status, named, body, cut=cut)
    return judge(answer, ids=IDS, host="api.example.com", wall=WALL)


@pytest.mark.parametrize(
    ("statuses", "action"),
    [
        ((200, 201, 202, 204, 207), Action.DELIVERED),
        ((400, 422), Action.REFUSED),
        ((413,), Action.TOO_LARGE),
        ((409,), Action.IN_PROGRESS),
        ((408, 425, 429), Action.HELD),
        ((500, 502, 503, 504, 507, 599), Action.BROKEN),
        ((401, 403, 404, 405, 407, 410, 501), Action.SUSPENDED),
        ((402, 406, 411, 412, 415, 417, 418, 421, 426, 428, 431, 451, 499), Action.SUSPENDED),
        ((300, 301, 302, 303, 304, 307, 308), Action.SUSPENDED),
        ((0, 100, 101, 600, 999), Action.HELD),
    ],
)
def test_verdict_on_a_status_is_the_table_s(statuses: tuple[int, ...], action: Action) -> None:
    """Every status of the contract, and those it only names by their hundred."""
    assert {status: judged(status).action for status in statuses} == dict.fromkeys(statuses, action)


@pytest.mark.parametrize(
    ("body", "action"),
    [
        (b"", Action.DELIVERED),
        (b"OK", Action.DELIVERED),
        (b"\xff\xfe\x00", Action.DELIVERED),
        (b"[]", Action.DELIVERED),
        (b"null", Action.DELIVERED),
        (b"{}", Action.DELIVERED),
        (b'{"stored": 3, "repeated": 0}', Action.DELIVERED),
        (b"<!DOCTYPE html><html>", Action.LINK_DOWN),
        (b" \r\n\t<HTML lang=en>", Action.LINK_DOWN),
        (b"\xef\xbb\xbf<!doctype html>", Action.LINK_DOWN),
        (b"<?xml version='1.0'?><ok/>", Action.DELIVERED),
        (b"{", Action.DISBELIEVED),
        (b'\xef\xbb\xbf {"stored": ', Action.DISBELIEVED),
        (b"{not json}", Action.DISBELIEVED),
        (b'{"a":' * 20_000, Action.DISBELIEVED),
        (b'{"a": ' + b"9" * 5000 + b"}", Action.DISBELIEVED),
        (b'{"a": "\xff"}', Action.DISBELIEVED),
    ],
)
def test_verdict_on_the_body_of_a_success(body: bytes, action: Action) -> None:
    """What a portal says is no success; what begins like JSON and is none is not believed."""
    assert judged(200, body).action is action


def test_verdict_on_a_body_cut_off_is_disbelief_unless_it_is_a_web_page() -> None:
    """More than 64 KiB: halved and sent again; a portal's page is a portal's page."""
    assert judged(200, b"x", cut=True).action is Action.DISBELIEVED
    assert judged(200, b'{"rejected": []}', cut=True).action is Action.DISBELIEVED
    assert judged(200, b"<html>", cut=True).action is Action.LINK_DOWN


@pytest.mark.parametrize(
    ("location", "action"),
    [
        ("http://portal.hotel.example/login", Action.LINK_DOWN),
        ("//portal.example/", Action.LINK_DOWN),
        ("https://[garbage", Action.LINK_DOWN),
        ("https://api.example.com/v2", Action.SUSPENDED),
        ("HTTPS://API.Example.COM/v2", Action.SUSPENDED),
        ("/v2/ingest", Action.SUSPENDED),
        ("", Action.SUSPENDED),
    ],
)
def test_verdict_on_a_redirect_depends_on_where_it_leads(location: str, action: Action) -> None:
    """Another host is a captive portal's; our own host means a wrong endpoint."""
    assert judged(302, location=location).action is action


@pytest.mark.parametrize(
    ("said", "rejected", "retry"),
    [
        ({"rejected": [{"id": 41, "reason": "no unit"}], "retry": [42]}, {41: "no unit"}, {42}),
        ({"rejected": [{"id": 41}]}, {41: "rejected"}, set()),
        ({"rejected": [{"id": 41, "reason": 7}]}, {41: "7"}, set()),
        ({"rejected": [41], "retry": [{"id": 42}]}, {41: "rejected"}, {42}),
        ({"rejected": [{"id": 41.0, "reason": "x"}], "retry": [42.0]}, {41: "x"}, {42}),
        ({"rejected": [{"id": 41, "reason": "x"}], "retry": [41]}, {41: "x"}, set()),
        ({"rejected": [{"id": 99}, {"id": "41"}, {"id": True}, {}, None]}, {}, set()),
        ({"rejected": "all", "retry": {"42": 1}}, {}, set()),
        ({"retry": [42, 42, 99, True, None, [43], 1e400, 41.5]}, {}, {42}),
    ],
)
@pytest.mark.parametrize("status", [200, 207])
def test_verdict_on_single_items_names_those_that_were_sent(
    status: int, said: dict[str, Any], rejected: dict[int, str], retry: set[int]
) -> None:
    """Refusals with their reasons, others to be retried; what was never sent is ignored."""
    verdict = judged(status, json.dumps(said).encode())
    assert verdict.action is Action.DELIVERED
    assert (verdict.rejected, verdict.retry) == (rejected, retry)


def test_verdict_counts_entries_that_name_nothing_that_was_sent() -> None:
    """A server that means other ids than ours has to be told of."""
    said = {"rejected": [{"id": 41}, {"id": 99}, {}], "retry": [42, "42", None], "other": [7]}
    assert judged(200, json.dumps(said).encode()).strange == 4
    assert judged(200, b'{"rejected": [41], "retry": [42, 41]}').strange == 0


def test_verdict_s_reasons_are_cut_and_storable() -> None:
    """A server's words are no longer than a line and hold nothing a file cannot."""
    said = {"rejected": [{"id": 41, "reason": "\ud800" * 999}]}
    reason = judged(200, json.dumps(said).encode()).rejected[41]
    assert reason == "?" * LONGEST_REASON
    assert len(judged(500, b"x" * 999).reason) == LONGEST_REASON
    assert judged(401, b" bad\n key \xff ").reason == "HTTP 401 bad key \ufffd"


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999", LONGEST_RETRY_AFTER_S),
        ("9" * 400, LONGEST_RETRY_AFTER_S),
        (email.utils.formatdate(WALL + 90, usegmt=True), 90.0),
        (email.utils.formatdate(WALL - 90, usegmt=True), 0.0),
        (email.utils.formatdate(WALL + 1e6, usegmt=True), LONGEST_RETRY_AFTER_S),
        ("Sun, 15 Jun 2025 15:08:20 GMT", 100.0),
        ("Sun Jun 15 15:08:20 2025", 100.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Mon, 99 Foo 99999 99:99:99 GMT", None),
    ],
)
def test_verdict_takes_retry_after_in_both_forms(
    header: str, wait_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds or a date, an hour at the most; garbage says nothing; our zone plays no part."""
    with monkeypatch.context() as tokyo:
        tokyo.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert judged(503, retry_after=header).retry_after_s == wait_s
        assert judged(429, retry_after=header).retry_after_s == wait_s
    time.tzset()


def test_verdict_heeds_retry_after_only_where_the_endpoint_is_held() -> None:
    """A 401 with one is suspended all the same."""
    assert judged(401, retry_after="5").retry_after_s is None


def test_verdict_on_a_failure_is_link_down_with_its_word_first() -> None:
    """Nobody answered."""
    verdict = judge(Failure("dns", "the name cannot be looked up"), ids=IDS, host="h")
    assert verdict == Verdict(Action.LINK_DOWN, "dns: the name cannot be looked up")


ANSWERS = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers(38, 45) | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["rejected", "retry", "id", "reason"]), inner)
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20).map(gzip.compress),
)


@given(
    st.integers(-1, 1000),
    ANSWERS,
    st.booleans(),
    st.dictionaries(st.sampled_from(["retry-after", "location", "date"]), st.text(max_size=40)),
    st.floats(0, 4e9),
)
def test_verdict_never_raises_and_names_only_what_was_sent(
    status: int, body: bytes, cut: bool, headers: dict[str, str], wall: float
) -> None:
    """Whatever a server says."""
    verdict = judge(Answer(status, headers, body, cut=cut), ids=IDS, host="h", wall=wall)
    assert verdict.rejected.keys() <= IDS
    assert verdict.retry <= IDS
    assert not verdict.retry & verdict.rejected.keys()
    assert verdict.action is Action.DELIVERED or not (verdict.rejected or verdict.retry)
    assert len(verdict.reason) <= LONGEST_REASON
    assert verdict.retry_after_s is None or 0 <= verdict.retry_after_s <= LONGEST_RETRY_AFTER_S


@given(st.sets(st.sampled_from(sorted(IDS))), st.sets(st.sampled_from(sorted(IDS))), st.data())
def test_verdict_never_takes_for_delivered_what_was_rejected(
    rejected: set[int], retry: set[int], data: st.DataObject
) -> None:
    """In any order, in any mixture of forms, among any noise."""
    noise = st.sampled_from([None, {}, [], "x", 7, {"id": 7}])
    entries = [
        data.draw(st.sampled_from([n, {"id": n}, {"id": n, "reason": "r"}])) for n in rejected
    ]
    said = {
        "rejected": data.draw(st.permutations([*entries, data.draw(noise)])),
        "retry": data.draw(st.permutations([*retry, data.draw(noise)])),
        "stored": 3,
    }
    verdict = judged(200, json.dumps(said).encode())
    delivered = IDS - verdict.rejected.keys() - verdict.retry
    assert delivered == IDS - rejected - retry
    assert verdict.rejected.keys() == rejected
