"""A queue that is full: what goes, in which order, how much is left, and that the books agree."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from fakes.crowd import (
    MAX_BYTES,
    Open,
    occupied,
    pour,
    readings,
    settle,
    stored,
    told,
)

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.errors import QueueFull
from edge_agent.types import Submission


def test_bounds_thin_keeps_the_size_and_every_reading_stands_somewhere(open_queue: Open) -> None:
    """Five times too much goes in: coarser data, no hole, nothing uncounted."""
    queue = open_queue()
    urgent = [queue.enqueue({"n": n}, p) for n, p in enumerate((Priority.CRITICAL, 2))]
    pour(queue, 125)
    books = queue.ledger()
    assert books.closes
    assert books.shed == 0
    assert books.thinned == queue.bounds.thinned_total > 6_250
    found = [item for item in queue.dequeue(100_000) if item.id not in urgent]
    assert len(found) == books.queued - len(urgent)
    stands_for = sum(1 + item.payload["metadata"].get("thinned", 0) for item in found)
    assert stands_for == 12_500
    assert [item.id for item in found] == sorted(item.id for item in found)
    assert all(item.payload["timestamp"] == item.id - 3 for item in found)
    missing = max(b.id - a.id for a, b in itertools.pairwise(found))
    assert missing < 200


def test_bounds_gaps_add_up_once_there_is_room(open_queue: Open) -> None:
    """What was thinned is told by sensor, and told once."""
    queue = open_queue()
    pour(queue, 60)
    gaps = told(queue)
    while not gaps:
        queue.ack([item.id for item in queue.dequeue(500)])
        settle(queue)
        gaps = told(queue)
    assert {(gap.sensor, gap.why) for gap in gaps} == {
        ("sensor.0", "thinned"),
        ("sensor.1", "thinned"),
    }
    assert sum(gap.items for gap in gaps) == queue.ledger().thinned
    assert told(queue) == []
    assert queue.depths()[Priority.LOGS] == 2
    assert queue.ledger().closes


def test_enqueue_without_upkeep_stays_bounded(open_queue: Open) -> None:
    """A program that never calls upkeep loses the oldest, and nothing grows without end."""
    queue = open_queue()
    most = 0
    for start in range(0, 10_000, 50):
        queue.enqueue_many(readings(start, 50))
        most = max(most, occupied(queue))
    assert most <= MAX_BYTES * 1.15
    assert stored(queue)[-1]["timestamp"] == 9_999
    assert queue.ledger().closes


def test_bounds_reject_refuses_telemetry_and_takes_what_is_urgent(open_queue: Open) -> None:
    """Refused items are booked; they never were in the queue."""
    queue = open_queue("reject")
    with pytest.raises(QueueFull, match="bytes"):
        pour(queue, 200)
    assert queue.ledger().rejected == 100
    assert queue.ledger().shed == 0
    for start in range(0, 2_000, 100):
        queue.enqueue_many([Submission({"n": start}, Priority.CRITICAL)] * 100)
        queue.upkeep()
    assert queue.depths()[Priority.CRITICAL] == 2_000
    assert queue.ledger().shed > 0
    assert queue.ledger().closes


def test_bounds_dead_letters_keep_to_a_tenth(open_queue: Open) -> None:
    """The oldest go first and are booked as shed."""
    queue = open_queue()
    for start in range(0, 3_000, 100):
        queue.dead_letter(queue.enqueue_many(readings(start, 100)), "refused")
        for _ in range(3):
            queue.upkeep()
    books = queue.ledger()
    assert books.closes
    assert 0 < books.dead * 250 < MAX_BYTES / 10
    assert books.shed + books.dead == 3_000
    with queue._store.read() as db:
        left = [number for (number,) in db.execute("SELECT id FROM dead_letters ORDER BY id")]
    assert left == list(range(3_000 - books.dead + 1, 3_001))


def test_upkeep_gives_space_back_in_slices(open_queue: Open) -> None:
    """After an outage the disk gets back what the backlog took."""
    queue = open_queue()
    pour(queue, 30)
    for _ in range(100):
        queue.ack([item.id for item in queue.dequeue(500)])
        queue.upkeep()
    assert queue.pending_count() == 0
    with queue._store.read() as db:
        assert db.execute("PRAGMA page_count").fetchone()[0] <= 300


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"max_size_bytes": 0}, "max_size_bytes is 0"),
        ({"min_free_disk_bytes": -1}, "min_free_disk_bytes is -1"),
        ({"when_full": "panic"}, "when_full is 'panic'"),
    ],
)
def test_limits_refuse_what_is_none(tmp_path: Path, named: dict[str, Any], sentence: str) -> None:
    """Before a file is made."""
    with pytest.raises(ValueError, match=sentence):
        CloudSyncQueue(tmp_path / "q.db", **named)
    assert list(tmp_path.iterdir()) == []
