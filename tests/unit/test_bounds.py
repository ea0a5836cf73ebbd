"""A queue that is full: what goes, in which order, how much is left, and that the books agree."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.cloud_sync.gaps import Gap
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.cloud_sync.shedding import Shedder
from edge_agent.cloud_sync.thinning import periodic
from edge_agent.errors import QueueFull
from edge_agent.types import SensorReading, Submission

MAX_BYTES = 1 << 20
Open = Callable[..., CloudSyncQueue]


class FakeDisk:
    """So much is free, whatever is written."""

    def __init__(self) -> None:
        self.free = 1 << 40

    def __call__(self, directory: Path) -> int:
        return self.free


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def open_queue(tmp_path: Path, clock: FakeClock, disk: FakeDisk) -> Iterator[Open]:
    opened: list[CloudSyncQueue] = []

    def open_it(when_full: str = "thin", max_size_bytes: int = MAX_BYTES) -> CloudSyncQueue:
        opened.append(
            CloudSyncQueue(
                tmp_path / "q.db",
                durability="normal",
                clock=clock,
                max_size_bytes=max_size_bytes,
                when_full=when_full,
                free_bytes=disk,
            )
        )
        return opened[-1]

    yield open_it
    for queue in opened:
        queue.close()


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


def test_bounds_shed_takes_logs_then_the_oldest_periodic_then_events(open_queue: Open) -> None:
    """Critical readings and anomalies stay while anything else is there."""
    queue = open_queue("shed")
    keep = [queue.enqueue({"n": p}, Priority(p)) for p in (1, 2)]
    logs = queue.enqueue_many([Submission({"n": n}, Priority.LOGS) for n in range(50)])
    event = queue.enqueue_many(readings(0, 1, alarm="entered"))
    pour(queue, 75)
    left = {item.id for item in queue.dequeue(100_000)}
    assert not left & set(logs)
    assert {*keep, *event} <= left
    polled = sorted(left - {*keep, *event})
    assert polled == list(range(polled[0], 7_553 + 1))
    assert queue.ledger().closes
    assert queue.ledger().shed == queue.bounds.shed_total == 7_553 - len(left)


def test_bounds_sheds_anomalies_then_critical_when_nothing_else_is_left(open_queue: Open) -> None:
    """Events go before them, and the oldest of them go first."""
    queue = open_queue("shed")
    urgent = {0: Priority.CRITICAL, 1: Priority.ANOMALY}
    padded = {"pad": "x" * 200}
    for _ in range(20):
        queue.enqueue_many(
            [Submission(padded, urgent.get(n % 20, Priority.TELEMETRY)) for n in range(500)]
        )
        settle(queue)
    depths = queue.depths()
    assert depths[Priority.TELEMETRY] < 9_000
    assert depths[Priority.CRITICAL] == depths[Priority.ANOMALY] == 500
    for _ in range(20):
        queue.enqueue_many([Submission(padded, Priority.CRITICAL)] * 500)
        settle(queue)
    depths = queue.depths()
    assert depths[Priority.TELEMETRY] == depths[Priority.ANOMALY] == 0
    ids = [item.id for item in queue.dequeue(100_000)]
    assert ids == list(range(20_000 - len(ids) + 1, 20_001))
    assert occupied(queue) <= MAX_BYTES
    assert queue.ledger().closes


def test_shedding_takes_new_readings_before_events_though_an_old_one_is_put_off(
    open_queue: Open,
) -> None:
    """Looking past a row that waits for an hour must not skip what is queued in that hour."""
    queue, shedder = open_queue("shed"), Shedder()

    def shed_one() -> set[int]:
        with queue._store.write() as db:
            shedder.any(db, 1, frozenset())
        return {item.id for item in queue.dequeue(10)}

    queue.enqueue_many(readings(0, 2) + readings(0, 1, alarm="entered"))
    queue.nack([1], 3_600.0)
    # The neighbour, then a look past the event, then the one that waits.
    assert [shed_one() for _ in range(3)] == [{3}] * 3
    assert queue.ledger().shed == 2
    queue.enqueue_many(readings(2, 1))
    assert shed_one() == {3}


def test_shedding_takes_no_more_for_what_it_spares(open_queue: Open) -> None:
    """Rows on their way elsewhere in the queue do not lengthen the slice."""
    queue = open_queue("shed")
    logs = queue.enqueue_many([Submission({"n": n}, Priority.LOGS) for n in range(20)])
    spare = set(queue.enqueue_many(readings(0, 10)))
    with queue._store.write() as db:
        assert Shedder().logs(db, 2, {*spare, logs[0]}) == 2
    assert {item.id for item in queue.dequeue(100)} == {*spare, *logs} - set(logs[1:3])


def test_shedding_begins_anew_when_its_transaction_was_undone(open_queue: Open) -> None:
    """Readings that are there again go before the event behind them."""
    queue = open_queue("shed")
    polled = queue.enqueue_many(readings(0, 2))
    event = queue.enqueue_many(readings(0, 1, alarm="entered"))

    def shed_in_vain(db: sqlite3.Connection) -> None:
        assert queue.bounds._shed_some(db)
        raise LookupError

    with pytest.raises(LookupError):
        queue._store.change(shed_in_vain)
    queue._store.change(queue.bounds._shed_some)
    assert queue.still_queued([*polled, *event]) == set(event)


def test_shedding_finds_telemetry_behind_long_rows_that_it_spares(open_queue: Open) -> None:
    """A frozen batch at the head hides nothing: an anomaly is not the next to go."""
    queue = open_queue("shed")
    urgent = queue.enqueue({"n": 0}, Priority.ANOMALY)
    long = [Submission({"x": "y" * 2_000}) for _ in range(20)]
    spare = set(queue.enqueue_many(long[:10]))
    others = queue.enqueue_many(long[10:])
    with queue._store.write() as db:
        shedder, gone = Shedder(), 0
        while not gone:
            gone, _ = shedder.any(db, 2, spare)
    assert queue.still_queued([urgent, *spare, *others]) == {urgent, *spare, *others[gone:]}


def test_bounds_spare_what_is_on_its_way(open_queue: Open) -> None:
    """The frozen batch stays as it was, though it is the oldest."""
    queue = open_queue()
    queue.enqueue_many(readings(0, 50))
    batch = queue.next_batch(Wanted(50, 1 << 20))
    assert batch is not None
    for start in range(50, 6_000, 50):
        queue.enqueue_many(readings(start, 50))
        queue.upkeep(set(batch.ids))
    found = {item.id: item.payload for item in queue.dequeue(100_000)}
    assert [json.dumps(found[row.id], separators=(",", ":")) for row in batch.rows] == [
        row.payload for row in batch.rows
    ]


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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"value": True}, False),
        ({"value": "open"}, False),
        ({"unit": ""}, False),
        ({"metadata": {"alarm": "entered"}}, False),
        ({"metadata": {"from": 1.0, "to": 2.0, "count": 3}}, False),
        ({"sensor_name": "agent.sensor_fault", "metadata": {"sensor": "x"}}, False),
        ({"extra": 1}, False),
    ],
)
def test_periodic_is_a_number_and_no_event(changes: dict[str, Any], expected: bool) -> None:
    """Contacts, faults, alarms, windows and foreign payloads are left alone."""
    assert periodic(SensorReading("a", 1.0, 2.5, "celsius").to_dict() | changes) is expected


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


def test_sqlite_full_is_what_a_page_limit_raises() -> None:
    """The stand-in for a full disk raises what a full disk raises."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (x)")
    db.execute("PRAGMA max_page_count = 2").fetchone()
    with pytest.raises(sqlite3.OperationalError) as caught:
        db.execute("INSERT INTO t VALUES (zeroblob(20000))")
    db.close()
    assert caught.value.sqlite_errorname == "SQLITE_FULL"
