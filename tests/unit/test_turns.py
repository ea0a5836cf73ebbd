"""Which batch is next: which end of the backlog, nobody starves, what a quota leaves."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.rig import CAP_S, INTERVAL_S, Rig
from fakes.server import DOWN, take

from edge_agent.daemon.quota import Allowance
from edge_agent.daemon.turns import SHARE
from edge_agent.types import Priority

DAY_S = 86_400.0


def priorities(rig: Rig) -> list[set[Priority]]:
    return [{row.priority for row in batch.rows} for batch in rig.server.requests]


@pytest.mark.parametrize(
    ("order", "sent"),
    [
        ("oldest_first", [[0, 1], [2, 3], [4, 5], [6, 7]]),
        ("newest_first", [[6, 7], [4, 5], [2, 3], [0, 1]]),
        ("interleave", [[0, 1], [6, 7], [2, 3], [4, 5]]),
    ],
)
def test_backlog_goes_from_the_end_that_was_chosen(
    rig: Rig, order: str, sent: list[list[int]]
) -> None:
    """Each request in the order of reading."""
    rig.configure(batch_size=2, backlog_order=order)
    rig.put(*range(8))
    rig.run(INTERVAL_S)
    assert rig.server.sent == sent


def test_backlog_of_urgent_readings_leaves_the_others_a_share(rig: Rig) -> None:
    """On a link too slow for all: one batch in ten."""
    rig.put(*range(400), priority=Priority.ANOMALY)
    rig.put(*range(1000, 1100))
    rig.put(*range(2000, 2100), priority=Priority.LOGS)
    rig.run()
    first = priorities(rig)[: 3 * SHARE]
    assert first.count({Priority.LOGS}) == first.count({Priority.TELEMETRY}) == 2
    assert all(len(found) == 1 for found in first)
    assert rig.server.values[:10] == list(range(10))


def test_backlog_of_others_never_delays_a_fresh_critical_reading(rig: Rig) -> None:
    """A share is taken only while none waits."""
    rig.put(*range(10 * SHARE), priority=Priority.ANOMALY)
    rig.put("log", priority=Priority.LOGS)
    rig.clock.advance(120)
    for _ in range(SHARE - 1):
        rig.flusher.step(rig.clock.monotonic())
    rig.put("alarm", priority=Priority.CRITICAL)
    rig.flusher.step(rig.clock.monotonic())
    assert priorities(rig)[-1] == {Priority.CRITICAL}


def test_share_is_not_taken_for_a_priority_that_has_nothing(rig: Rig) -> None:
    """Nor does a small batch of it wait for company while others stand behind it."""
    rig.put(*range(300), priority=Priority.ANOMALY)
    rig.put("log", priority=Priority.LOGS)
    rig.run()
    assert len(rig.server.taken) == 301


# -- the quota ------------------------------------------------------------------------------------


def limited(rig: Rig, **allowance: Any) -> None:
    rig.configure(daily=Allowance(**allowance))


def test_quota_of_messages_lets_telemetry_wait_for_midnight(rig: Rig) -> None:
    """To the message; told once when it is reached and once when it is over."""
    limited(rig, messages=25)
    rig.put(*range(40), ttl_s=10**6)
    rig.run(INTERVAL_S)
    assert [len(values) for values in rig.server.sent] == [10, 10, 5]
    rig.run(10 * INTERVAL_S)
    assert len(rig.server.taken) == 25
    assert rig.told.events == ["quota_reached"]
    rig.clock.advance(DAY_S)
    rig.run(INTERVAL_S)
    assert len(rig.server.taken) == 40
    assert rig.told.events == ["quota_reached", "quota_over"]


def test_quota_lets_urgent_readings_go_on_and_counts_them(rig: Rig) -> None:
    """Also beyond it."""
    limited(rig, messages=5)
    rig.put(*range(20), ttl_s=10**6)
    rig.run(INTERVAL_S)
    for number in range(3):
        rig.put(f"alarm {number}", priority=Priority.CRITICAL, ttl_s=10**6)
        rig.put(f"odd {number}", priority=Priority.ANOMALY, ttl_s=10**6)
        rig.run(INTERVAL_S)
    assert len(rig.server.taken) == 5 + 6
    assert rig.queue.traffic.day().items == 11


def test_quota_of_bytes_counts_attempts_that_failed(rig: Rig) -> None:
    """A link that flaps uses it up as well; and it holds over a restart."""
    limited(rig, sent_bytes=2000)
    rig.server.usual = DOWN
    rig.put(*range(10), ttl_s=10**6)
    rig.run(6 * CAP_S)
    attempts = len(rig.server.requests)
    size = len(rig.server.requests[0].body())
    assert attempts == -(-2000 // size)
    assert rig.queue.traffic.day().sent_bytes == attempts * size
    rig.server.usual = take
    limited(rig, sent_bytes=2000)
    rig.run(6 * CAP_S)
    assert len(rig.server.requests) == attempts
    rig.clock.advance(DAY_S)
    rig.run(INTERVAL_S)
    assert len(rig.server.taken) == 10


def test_quota_of_a_month_and_of_a_day_hold_both(rig: Rig) -> None:
    """Whichever is reached first; the line names it."""
    rig.configure(daily=Allowance(messages=15), monthly=Allowance(messages=25))
    rig.put(*range(100), ttl_s=10**7)
    rig.run(INTERVAL_S)
    assert len(rig.server.taken) == 15
    assert "daily messages" in rig.told.about("quota_reached")[0]
    rig.clock.advance(DAY_S)
    rig.run(INTERVAL_S)
    assert len(rig.server.taken) == 25
    assert "monthly messages" in rig.told.about("quota_reached")[1]
    rig.clock.advance(32 * DAY_S)
    rig.run(INTERVAL_S)
    assert len(rig.server.taken) > 25
