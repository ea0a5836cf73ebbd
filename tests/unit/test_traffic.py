"""What was sent in a day and a month: counted over restarts, midnights and wrong clocks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.cloud_sync.traffic import Sent
from edge_agent.types import Submission

DAY_S = 86_400.0


def noon_of(day: int, month: int) -> float:
    """Of the day that this machine's zone has."""
    return dt.datetime(2026, month, day, 12).astimezone().timestamp()  # local it is


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(wall=noon_of(30, 1))


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


def send(queue: CloudSyncQueue, items: int, sent_bytes: int) -> None:
    ids = queue.enqueue_many([Submission({})] * items)
    assert queue.ack_sent(ids, sent_bytes) == items


def test_traffic_counts_items_delivered_and_bytes_of_every_attempt(queue: CloudSyncQueue) -> None:
    """What failed went over the link too."""
    send(queue, 3, 500)
    queue.nack_sent([queue.enqueue({})], 60.0, 200)
    assert queue.traffic.day() == queue.traffic.month() == Sent(3, 700)
    queue.reset_daily_counters()
    assert queue.traffic.day() == Sent(0, 700)
    assert queue.traffic.month() == Sent(3, 700)


def test_traffic_outlives_a_restart_and_ends_with_its_period(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """The day at midnight, the month two days later."""
    send(queue, 1, 100)
    clock.advance(DAY_S)
    with CloudSyncQueue(queue.path, clock=clock) as again:
        assert (again.traffic.day(), again.traffic.month()) == (Sent(0, 0), Sent(1, 100))
        send(again, 2, 10)
        clock.advance(DAY_S)
        assert again.traffic.month() == Sent(0, 0)


def test_traffic_of_a_month_begins_on_the_reset_day(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """A contract that runs from the 5th to the 4th."""
    queue.traffic.reset_day = 5
    send(queue, 1, 100)
    clock.advance(5 * DAY_S)
    assert queue.traffic.month() == Sent(1, 100)
    clock.advance(DAY_S)
    assert queue.traffic.month() == Sent(0, 0)


def test_traffic_of_a_boot_in_the_past_goes_on_with_the_period_that_was_begun(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Else every start without a clock would bring the quota anew; a set clock is believed."""
    send(queue, 1, 100)
    clock.reboot(wall=0.0)
    with CloudSyncQueue(queue.path, clock=clock) as again:
        send(again, 1, 100)
        assert again.traffic.day() == again.traffic.month() == Sent(2, 200)
        clock.step(noon_of(2, 2) - clock.wall())
        again.tick()
        assert again.traffic.month() == Sent(0, 0)


def test_restore_brings_dead_letters_back_under_their_ids(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Behind the others, and out of the books."""
    ids = queue.enqueue_many([Submission({"n": n}) for n in range(3)])
    queue.dead_letter(ids[:2], "HTTP 400")
    assert queue.restore([*ids, 99], 60) == 2
    assert queue.restore(ids) == 0
    assert [item.id for item in queue.dequeue()] == [ids[2]]
    clock.advance(60)
    assert [item.payload["n"] for item in queue.dequeue()] == [2, 0, 1]
    books = queue.ledger()
    assert books.closes
    assert (books.dead, books.queued) == (0, 3)
