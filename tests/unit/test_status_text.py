"""The status in words: what whole outputs (tests/testcases/status) do not show."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.rig import Rig

from edge_agent.cli.status.command import gather, wants_colours
from edge_agent.cli.status.text import render, size, span
from edge_agent.daemon import health
from edge_agent.daemon.quota import Allowance
from edge_agent.daemon.runs import Run


class Terminal(io.StringIO):
    """Shows colours, if anybody wants them."""

    def isatty(self) -> bool:
        return True


def facts_of(rig: Rig, **changes: Any) -> dict[str, Any]:
    """The status of an agent without sensors, some fields of its health line changed."""
    parts = rig.parts()
    fields = health.line(parts) | changes
    facts = gather(rig.queue, rig.queue.path.parent, rig.clock)
    return facts | {"running": True, "agent": health.document(fields, parts)}


def text(facts: dict[str, Any]) -> str:
    return "\n".join(render(facts, colours=False))


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (41_240, "41.2 kB"), (3e13, "30.0 TB")],
)
def test_size_names_the_largest_unit_that_fits(count: float, words: str) -> None:
    """0.0 MB of a metered link would be a lie."""
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-1, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h"),
        (90_061, "1 d 1 h"),
        (86_461, "1 d"),
        (40_000_000, "1 y 97 d"),
    ],
)
def test_span_names_the_two_largest_units(seconds: float, words: str) -> None:
    """More of them nobody reads."""
    assert span(seconds) == words


def test_status_names_what_is_odd_and_what_to_do(rig: Rig) -> None:
    """A bad file, a clock that nobody has set, a disk that nobody can measure."""
    said = text(facts_of(rig, config="last_good", clock="unsynced", free_bytes=None))
    assert "config   the file has a mistake, so the agent runs on the last one" in said
    assert "`pyvorin-agent check` names it" in said
    assert "clock    not set since this machine started" in said
    assert "disk     nobody can say what is free; for how long is not known yet" in said


def test_status_of_an_agent_that_is_stuck_says_how_old_its_words_are(rig: Rig) -> None:
    """Its process is there, so it counts as running."""
    facts = facts_of(rig)
    assert " old; " not in text(facts)
    facts["at"] += 600
    assert "what it says of itself is 10 min old; `journalctl" in text(facts)


def test_status_of_a_fault_from_before_the_start_does_not_make_up_a_time(rig: Rig) -> None:
    """Only that it is older is known."""
    facts = facts_of(rig)
    past = {"since": None, "total": 0, "last": []}
    sensor = {"last": {}, "faults": {"door": "odd"}, "faulty_since": {}, "history": past}
    facts["agent"]["sensors"]["door"] = sensor
    assert "sensor   door: odd, since before this start" in text(facts)


def test_status_of_a_good_configuration_says_nothing_of_it(rig: Rig) -> None:
    """Nor of quotas that there are not."""
    said = text(facts_of(rig))
    assert "config " not in said
    assert "quota " not in said


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("HTTP 403: no", "does not let it do this (HTTP 403: no)"),
        ("HTTP 418: I am a teapot", "error: HTTP 418: I am a teapot"),
        ("refused: nothing listens there", "error: refused: nothing listens there"),
    ],
)
def test_status_says_an_answers_number_in_words(rig: Rig, reason: str, words: str) -> None:
    """Where it is known; what the server itself said stands behind it."""
    facts = facts_of(rig, link="suspended", link_s=5, link_reason=reason, next_try_s=7)
    assert words in text(facts)


def test_status_of_a_server_that_forges_lines_stays_one_line(rig: Rig) -> None:
    """Nor may it paint the terminal."""
    forged = "HTTP 500: \nagent    stolen\x1b[31m"
    said = text(facts_of(rig, link="held", link_s=5, link_reason=forged, next_try_s=7))
    assert "HTTP 500: ?agent    stolen?[31m" in said


def test_status_tells_how_much_of_a_quota_is_used(rig: Rig) -> None:
    """And that it is used up."""
    rig.configure(daily=Allowance(messages=5), monthly=Allowance(sent_bytes=100_000_000))
    rig.put(*range(8))
    rig.run(60)
    said = text(facts_of(rig))
    assert "quota    daily: 5 of 5 messages\n" in said
    assert f"quota    monthly: {rig.queue.traffic.month().sent_bytes} B of 100.0 MB\n" in said
    assert "quota    that of daily messages is reached: telemetry and logs wait" in said


def test_status_says_when_a_queue_is_empty_at_the_present_rate(rig: Rig) -> None:
    """Sixty a minute, six hundred left."""
    rig.put(*range(600))
    facts = facts_of(rig)
    facts["agent"] |= {"growth_per_s": -1.0, "drain_s": 600}
    assert "at the present rate it is empty in 10 min" in text(facts)


@pytest.mark.parametrize(
    ("ended", "words"),
    [("", "was killed, or crashed after 1 min"), ("watchdog", "by the watchdog (why) after 1 min")],
)
def test_status_of_a_stopped_agent_says_how_it_ended(
    rig: Rig, clock: FakeClock, ended: str, words: str
) -> None:
    """The journal may be gone with the boot."""
    run = Run(rig.queue, clock)
    clock.advance(60)
    run.note(ended, "why" if ended else "")
    said = text(gather(rig.queue, rig.queue.path.parent, clock))
    assert said.startswith("agent    not running\n         the last run ")
    assert words in said


def test_status_paints_labels_for_a_terminal_alone(rig: Rig) -> None:
    """The words are the same."""
    facts = facts_of(rig, config="last_good")
    painted = render(facts, colours=True)
    assert painted[0].startswith("\x1b[32magent    \x1b[0mrunning")
    assert any(line.startswith("\x1b[31mconfig   \x1b[0m") for line in painted)
    assert "\x1b" not in text(facts)


@pytest.mark.parametrize(
    ("stdout", "environ", "wanted"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
    ],
)
def test_status_is_coloured_where_somebody_sees_and_wants_it(
    monkeypatch: pytest.MonkeyPatch, stdout: io.StringIO, environ: dict[str, str], wanted: bool
) -> None:
    """https://no-color.org."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", stdout)
    assert wants_colours() == wanted


def test_status_of_a_card_that_is_to_be_reckoned_with_waits_for_an_hour(rig: Rig) -> None:
    """A start writes more than the hours after it; then the years are told."""
    facts = facts_of(rig)
    facts["wear"]["endurance"] = {"bytes": 30e12, "share_a_year": None, "years": None}
    assert "what that is of 30.0 TB is known after an hour of running" in text(facts)
    facts["wear"]["endurance"] = {"bytes": 30e12, "share_a_year": 0.0712, "years": 14.04}
    assert "that is 7.1 % of 30.0 TB a year; with nothing else written, the card lasts 14.0 y" in (
        text(facts)
    )


def test_status_of_a_channels_past_fault_names_the_channel(rig: Rig) -> None:
    """It is the sensor's line, and one of four inputs was broken."""
    fault = {"name": "soil.a0", "reason": "range", "from": 0.0, "to": 90.0}
    past = {"since": 0.0, "total": 7, "last": [fault]}
    sensor = {"last": {}, "faults": {}, "faulty_since": {}, "history": past}
    facts = facts_of(rig)
    facts["agent"]["sensors"]["soil"] = sensor
    assert " (1 min 30 s): soil.a0: range" in text(facts)
