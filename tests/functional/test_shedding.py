"""What goes first when room must be made, and what stays to the last."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from fakes.crowd import (
    MAX_BYTES,
    Open,
    occupied,
    pour,
    readings,
    settle,
)

from edge_agent.cloud_sync import Priority
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.cloud_sync.shedding import Shedder
from edge_agent.cloud_sync.thinning import periodic
from edge_agent.types import SensorReading, Submission


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
