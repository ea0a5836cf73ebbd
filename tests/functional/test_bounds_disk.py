"""A disk with little room, and one with none: the queue stands still, and goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from fakes.crowd import (
    FakeDisk,
    Open,
    occupied,
    pour,
    pour_by_tens,
    readings,
    stored,
)

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.errors import QueueFull
from edge_agent.types import Submission


def test_bounds_low_disk_stops_the_file_from_growing(open_queue: Open, disk: FakeDisk) -> None:
    """It neither grows nor shrinks, and grows again when there is room."""
    queue = open_queue("shed")
    pour(queue, 20)
    queue.upkeep()
    disk.free = 50 << 20
    queue.upkeep()
    before, depth = occupied(queue), queue.pending_count()
    assert queue.bounds.disk_low is not None
    assert queue.bounds.disk_low.free_bytes == 50 << 20
    pour(queue, 40, first=2_000)
    assert occupied(queue) < before + (512 << 10)
    assert queue.pending_count() > depth * 0.8
    disk.free = 1 << 40
    pour(queue, 20, first=6_000)
    assert queue.bounds.disk_low is None
    assert queue.pending_count() > depth * 1.2


def full_disk(queue: CloudSyncQueue) -> None:
    """No more pages than there are, as on a full disk."""
    with queue._store.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    queue._store._writer.execute(f"PRAGMA max_page_count = {pages}").fetchone()


def test_full_disk_takes_new_rows_for_old_ones(open_queue: Open) -> None:
    """The reserve is given up, the oldest go, and what is new is stored."""
    queue = open_queue()
    pour(queue, 10)
    reserve = Path(f"{queue.path}.reserve")
    assert reserve.stat().st_size == 256 << 10
    full_disk(queue)
    pour_by_tens(queue, 1_000)
    assert not reserve.exists()
    assert stored(queue)[-1]["timestamp"] == 2_999
    assert queue.ledger().closes
    assert queue.ack([item.id for item in queue.dequeue(50)]) == 50
    queue.upkeep()
    assert reserve.exists()


def test_full_disk_refuses_telemetry_under_reject_and_lets_the_rest_work(
    open_queue: Open, disk: FakeDisk
) -> None:
    """A file that may not grow is full for readings; what is urgent or condemned has its room."""
    queue = open_queue("reject")
    pour(queue, 10)
    disk.free = 0
    queue.upkeep()
    with pytest.raises(QueueFull, match="room"):
        pour_by_tens(queue, 1_000)
    assert (queue.ledger().rejected, queue.ledger().shed) == (10, 0)
    batch = queue.next_batch(Wanted(50))
    assert batch is not None
    assert queue.dead_letter(batch.ids, "HTTP 400") == 50
    urgent = queue.enqueue_many([Submission({"n": n}, Priority.CRITICAL) for n in range(200)])
    assert queue.still_queued(urgent) == set(urgent)
    assert queue.ledger().shed > 0
    assert queue.ledger().closes


def test_full_disk_takes_telemetry_under_reject_once_some_was_delivered(
    open_queue: Open, disk: FakeDisk
) -> None:
    """Nobody needs upkeep for that: a program of its own may never call it."""
    queue = open_queue("reject")
    pour(queue, 10)
    disk.free = 0
    queue.upkeep()
    with pytest.raises(QueueFull):
        pour_by_tens(queue, 1_000)
    with pytest.raises(QueueFull):
        queue.enqueue_many(readings(3_000, 10))
    queue.ack([item.id for item in queue.dequeue(100)])
    queue.enqueue_many(readings(3_000, 10))
    with pytest.raises(QueueFull):
        pour_by_tens(queue, 3_010)
    disk.free = 1 << 40
    queue.enqueue_many(readings(6_000, 10))
    assert queue.ledger().shed == 0
    assert queue.ledger().closes


def test_sqlite_full_is_what_a_page_limit_raises() -> None:
    """The stand-in for a full disk raises what a full disk raises."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (x)")
    db.execute("PRAGMA max_page_count = 2").fetchone()
    with pytest.raises(sqlite3.OperationalError) as caught:
        db.execute("INSERT INTO t VALUES (zeroblob(20000))")
    db.close()
    assert caught.value.sqlite_errorname == "SQLITE_FULL"
