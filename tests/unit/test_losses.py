"""What the limits cost: told in the journal and to the far end, and refused items in front."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.told import Told

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.daemon.losses import Losses
from edge_agent.daemon.pending import Pending
from edge_agent.processing.privacy import Shield
from edge_agent.types import SensorReading, Submission

FREE = 1 << 40


class FakeDisk:
    def __init__(self) -> None:
        self.free = FREE

    def __call__(self, directory: Path) -> int:
        return self.free


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock, disk: FakeDisk) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(
        tmp_path / "q.db",
        durability="normal",
        clock=clock,
        max_size_bytes=1 << 20,
        when_full="reject",
        free_bytes=disk,
    ) as queue:
        yield queue


@pytest.fixture
def told() -> Told:
    return Told()


def test_losses_gap_reading_goes_through_the_shield(
    queue: CloudSyncQueue, clock: FakeClock, told: Told
) -> None:
    """Labels are in it, and a label may be what is to be dropped."""
    with queue._store.write() as db:
        db.execute("INSERT INTO gaps VALUES ('temp.a', 'shed', 7, 10.0, 20.0)")
    shield = Shield(drop=["metadata.operator"]).apply
    losses = Losses(queue, clock, 3_600, {"operator": "ann"}, say=told, shield=shield)
    queue.upkeep()
    losses.tell(clock.monotonic())
    (item,) = queue.dequeue()
    assert "operator" not in item.payload["metadata"]


def test_losses_low_disk_is_said_once_and_its_end_too(
    queue: CloudSyncQueue, disk: FakeDisk, clock: FakeClock, told: Told
) -> None:
    """With how much is free, and how much of it is ours."""
    losses = Losses(queue, clock, 3_600, {}, say=told)
    for free in (50 << 20, 40 << 20, FREE, FREE):
        disk.free = free
        queue.upkeep()
        losses.tell(clock.monotonic())
    assert told.events == ["disk_low", "disk_recovered"]
    assert f"free_bytes={50 << 20} ours_bytes=" in told.about("disk_low")[0]
    assert "whose=others" in told.about("disk_low")[0]


def test_losses_are_summed_for_five_minutes(
    queue: CloudSyncQueue, clock: FakeClock, told: Told
) -> None:
    """The first at once, the rest in one line; nothing is left out."""
    losses = Losses(queue, clock, 3_600, {}, say=told)
    for shed, wait_s in ((3, 10.0), (4, 10.0), (5, 300.0), (0, 300.0)):
        queue.bounds.shed_total += shed
        losses.tell(clock.monotonic())
        clock.advance(wait_s)
    assert told.about("shed") == ["shed items=3 why=size", "shed items=9 why=size"]


def test_losses_hand_gaps_out_as_readings(
    queue: CloudSyncQueue, clock: FakeClock, told: Told
) -> None:
    """A count, the sensor, from when to when, and why; as logs, and once."""
    with queue._store.write() as db:
        db.execute("INSERT INTO gaps VALUES ('temp.a', 'shed', 7, 10.0, 20.0)")
    losses = Losses(queue, clock, 3_600, {"site": "lyon"}, say=told)
    losses.tell(clock.monotonic())
    assert queue.pending_count() == 0
    queue.upkeep()
    for _ in range(2):
        losses.tell(clock.monotonic())
    (item,) = queue.dequeue()
    assert item.priority is Priority.LOGS
    assert item.ttl_seconds == 3_600
    assert item.payload == {
        "sensor_name": "agent.gap",
        "timestamp": clock.wall(),
        "value": 7,
        "unit": "count",
        "metadata": {"site": "lyon", "sensor": "temp.a", "from": 10.0, "to": 20.0, "why": "shed"},
    }


def test_pending_full_queue_takes_what_is_urgent_and_says_so_once(
    queue: CloudSyncQueue, clock: FakeClock, told: Told
) -> None:
    """What is refused is booked once; a critical reading in the same commit is stored."""
    pending = Pending(queue, commit_interval_s=1.0, say=told, committed=lambda: None)
    reading = SensorReading("a", 1.0, 2.0, "celsius", {"pad": "x" * 200}).to_dict()
    for _ in range(60):
        for _ in range(100):
            pending.add(Submission(reading), clock.monotonic())
        pending.add(Submission({"n": 1}, Priority.CRITICAL), clock.monotonic())
        assert pending.commit(clock.monotonic())
        queue.upkeep()
    assert queue.depths()[Priority.CRITICAL] == 60
    assert queue.ledger().rejected == pending.dropped_total > 1_000
    assert queue.ledger().closes
    assert told.events[0] == "queue_full"
    assert len(told.about("queue_full")) < 5
