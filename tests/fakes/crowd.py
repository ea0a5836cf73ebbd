"""Queues that are filled to their limits, and a disk whose room is what a test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.cloud_sync.gaps import Gap
from edge_agent.types import SensorReading, Submission

MAX_BYTES = 1 << 20
#: Opens a queue with limits of the test's choice.
Open = Callable[..., CloudSyncQueue]


class FakeDisk:
    """So much is free, whatever is written."""

    def __init__(self) -> None:
        self.free = 1 << 40

    def __call__(self, directory: Path) -> int:
        return self.free


def readings(first: int, number: int, **metadata: Any) -> list[Submission]:
    """Two sensors in turn, padded to some 250 bytes a reading."""
    return [
        Submission(
            SensorReading(
                f"sensor.{n % 2}", float(n), n + 0.5, "celsius", {"pad": "x" * 120, **metadata}
            ).to_dict()
        )
        for n in range(first, first + number)
    ]


def occupied(queue: CloudSyncQueue) -> int:
    with queue._store.read() as db:
        return queue.bounds._room.occupied(db)


def settle(queue: CloudSyncQueue) -> None:
    """Upkeep until it wants no more slices."""
    for _ in range(500):
        queue.upkeep()
        if not queue.bounds.crowded:
            return
    pytest.fail("upkeep comes to no end")


def pour(queue: CloudSyncQueue, batches: int, *, first: int = 0, **metadata: Any) -> None:
    """Readings in hundreds, with upkeep after each, as the flusher does it."""
    for batch in range(batches):
        queue.enqueue_many(readings(first + 100 * batch, 100, **metadata))
        assert occupied(queue) <= MAX_BYTES * 1.1
        settle(queue)


def pour_by_tens(queue: CloudSyncQueue, first: int) -> None:
    """Some 500 kB of readings, without upkeep."""
    for start in range(first, first + 2_000, 10):
        queue.enqueue_many(readings(start, 10))


def stored(queue: CloudSyncQueue) -> list[dict[str, Any]]:
    return [item.payload for item in sorted(queue.dequeue(100_000), key=lambda item: item.id)]


def told(queue: CloudSyncQueue) -> list[Gap]:
    return queue.enqueue_gaps(lambda gap: Submission(gap._asdict(), Priority.LOGS))
