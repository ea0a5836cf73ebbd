"""Queue time: what a clock without a battery does to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.cloud_sync.timeline import QueueTime
from edge_agent.errors import StoreError

DAY_S = 86_400.0


@pytest.fixture
def unsynced() -> FakeClock:
    """A machine that has just booted without knowing the time."""
    return FakeClock(synchronized=False)


def test_queue_time_with_a_good_clock_is_the_wall_clock(clock: FakeClock) -> None:
    """And moves with it."""
    time = QueueTime(clock)
    clock.advance(12.5)
    assert time.observe() is None
    assert time.now() == clock.wall()


def test_queue_time_starts_at_the_greatest_given_out(clock: FakeClock) -> None:
    """A reboot that comes up in the past does not put new rows before old ones."""
    ahead = clock.wall() + 3 * DAY_S
    time = QueueTime(clock)
    time.begin_after(5.0)
    assert time.now() == clock.wall()
    time.begin_after(ahead)
    assert time.now() == ahead


@pytest.mark.parametrize("flag_first", [False, True])
def test_queue_time_is_lifted_by_the_boot_s_first_step_only(
    unsynced: FakeClock, flag_first: bool
) -> None:
    """Also where the time service put up its flag before anybody looked."""
    time = QueueTime(unsynced)
    unsynced.step(3 * DAY_S)
    if flag_first:
        unsynced.trust()
    step = time.observe()
    assert step is not None
    assert (step.wall_s, step.queue_s, step.first) == (3 * DAY_S, 3 * DAY_S, True)
    assert step.seen_at == time.now() == unsynced.wall()
    assert unsynced.synchronized()
    unsynced.step(DAY_S)
    second = time.observe()
    assert second is not None
    assert (second.wall_s, second.queue_s, second.first) == (DAY_S, 0.0, False)
    assert time.now() == unsynced.wall() - DAY_S
    assert time.observe() is None


def test_queue_time_of_a_synchronised_boot_is_never_lifted(clock: FakeClock) -> None:
    """Somebody sets the clock of a running machine: nothing expires by it."""
    time = QueueTime(clock)
    before = time.now()
    clock.step(400 * DAY_S)
    step = time.observe()
    assert step is not None
    assert (step.first, time.now()) == (False, before)


@pytest.mark.parametrize("seconds", [-400 * DAY_S, -2.0, -1.0, 1.0, 0.9])
def test_queue_time_never_goes_back(unsynced: FakeClock, seconds: float) -> None:
    """A step back, or the kernel's slewing."""
    time = QueueTime(unsynced)
    before = time.now()
    unsynced.step(seconds)
    seen = time.observe()
    assert (seen is not None) == (abs(seconds) > 1.0)
    assert time.now() == before


def records(queue: CloudSyncQueue) -> list[Any]:
    """Rows of clock_steps: first and last id, first of this boot, jump, step."""
    return _read(
        queue.path,
        "SELECT first_id, last_id, boot_first_id, queue_jump_s, wall_step_s FROM clock_steps",
    )


def test_queue_records_the_first_step_for_the_rows_before_it(
    tmp_path: Path, unsynced: FakeClock
) -> None:
    """Found by an enqueue, it is booked before that enqueue's own rows; once."""
    with CloudSyncQueue(tmp_path / "q.db", clock=unsynced) as queue:
        queue.enqueue({})
        queue.enqueue({})
        unsynced.step(3 * DAY_S)
        queue.enqueue({})
        assert records(queue) == [(1, 2, 1, 3 * DAY_S, 3 * DAY_S)]
        assert [step.first for step in queue.tick()] == [True]
        assert queue.tick() == []
        unsynced.step(60.0)
        assert [step.first for step in queue.tick()] == [False]
        assert len(records(queue)) == 1
        assert _read(queue.path, "SELECT synced_from_id FROM origins WHERE first_id = 1") == [(3,)]


def test_queue_tick_that_cannot_write_tells_the_step_at_the_next_turn(
    tmp_path: Path, unsynced: FakeClock
) -> None:
    """A full card loses no step."""
    with CloudSyncQueue(tmp_path / "q.db", clock=unsynced) as queue:
        queue.enqueue({})
        unsynced.step(DAY_S)
        queue._store._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            queue.tick()
        queue._store._writer.execute("PRAGMA query_only = OFF")
        assert len(queue.tick()) == 1
        assert len(records(queue)) == 1


def test_queue_time_of_rows_survives_a_reboot_into_the_past(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Old rows stay before new ones, live out their TTL, and nacked ones come back in time."""
    path = tmp_path / "q.db"
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue({"n": 1}, ttl_seconds=100)
        queue.enqueue({"n": 2}, ttl_seconds=100)
        queue.nack([1], 30)
    clock.reboot(wall=1_000.0)
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue({"n": 3}, ttl_seconds=100)
        assert [item.id for item in queue.dequeue()] == [2, 3]
        clock.advance(31)
        assert [item.id for item in queue.dequeue()] == [2, 3, 1]
        clock.advance(68)
        assert [item.id for item in queue.dequeue()] == [2, 3, 1]
        clock.advance(1)
        assert queue.dequeue() == []


def test_queue_three_days_behind_keeps_its_rows_when_the_clock_is_set(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A step of the wall clock in a synchronised boot ages nobody and freezes nobody."""
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        queue.enqueue({}, ttl_seconds=3600)
        queue.enqueue({}, ttl_seconds=3600)
        queue.nack([2], 60)
        clock.step(3 * DAY_S)
        assert [item.id for item in queue.dequeue()] == [1]
        clock.step(-9 * DAY_S)
        clock.advance(60)
        assert [item.id for item in queue.dequeue()] == [1, 2]


def test_queue_s_steps_that_nobody_fetches_are_bounded(tmp_path: Path, clock: FakeClock) -> None:
    """A program that never ticks does not grow with a clock that flaps."""
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        for _ in range(1000):
            clock.step(5.0)
            queue.now()
        assert len(queue.tick()) == 100


def _read(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
