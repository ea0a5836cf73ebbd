"""Which rows are next: order, eligibility, how a batch is cut, and the query's plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, selection
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.types import Submission

NO_LIMIT = 1 << 30


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock, device_id="pi-7") as queue:
        yield queue


def ids(queue: CloudSyncQueue, limit: int = 100) -> list[int]:
    return [item.id for item in queue.dequeue(limit)]


def test_selection_goes_by_priority_then_by_order_of_enqueueing(queue: CloudSyncQueue) -> None:
    """Also among rows of the very same instant."""
    for priority in (4, 3, 1, 2, 3, 1, 4, 2):
        queue.enqueue({}, Priority(priority))
    assert ids(queue) == [3, 6, 4, 8, 2, 5, 1, 7]
    assert ids(queue, 3) == [3, 6, 4]
    assert [item.id for item in queue.peek(2)] == [3, 6]
    assert queue.dequeue(0) == []


def test_selection_passes_over_what_waits_and_what_has_expired(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """``next_retry_at <= now`` and ``created_at + ttl_seconds > now``, to the instant."""
    queue.enqueue({}, ttl_seconds=60)
    queue.enqueue({}, ttl_seconds=61)
    queue.enqueue({}, ttl_seconds=1000)
    queue.nack([3], 60)
    clock.advance(59.5)
    assert ids(queue) == [1, 2]
    clock.advance(0.5)
    assert ids(queue) == [2, 3]
    clock.advance(1)
    assert ids(queue) == [3]


def test_selection_of_a_row_nacked_to_the_past_is_not_lost(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """A negative delay means at once, and stays eligible until the TTL ends."""
    queue.enqueue({}, ttl_seconds=100)
    assert queue.nack([1], -90) == 1
    clock.advance(50)
    assert ids(queue) == [1]


def test_selection_finds_the_longest_lived_after_a_row_of_longer_ttl(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """The lower bound of the seek follows the longest TTL ever stored at that priority."""
    queue.enqueue({}, ttl_seconds=10)
    queue.enqueue({}, ttl_seconds=1000)
    queue.enqueue({}, ttl_seconds=10)
    clock.advance(500)
    assert ids(queue) == [2]


def steps_of_vm(queue: CloudSyncQueue) -> int:
    """How much work ``dequeue`` is for SQLite, in tens of its instructions."""
    count = itertools.count()
    reader = queue._store._reader
    reader.set_progress_handler(lambda: next(count) < 0, 10)
    queue.dequeue()
    reader.set_progress_handler(None, 0)
    return next(count)


@pytest.mark.parametrize("state", ["eligible", "backed off", "expired", "critical backed off"])
def test_selection_s_work_does_not_grow_with_the_queue(
    queue: CloudSyncQueue, clock: FakeClock, state: str
) -> None:
    """Forty times the rows, the same number of instructions."""
    work = []
    for rows in (50, 2000):
        urgent = Priority.CRITICAL if state == "critical backed off" else Priority.TELEMETRY
        found = queue.enqueue_many([Submission({}, urgent, 1000)] * rows)
        if "backed off" in state:
            queue.nack(found, 1e6)
        if state == "expired":
            clock.advance(1001)
        fresh = queue.enqueue_many([Submission({}, Priority.TELEMETRY, 1000)] * 10)
        work.append(steps_of_vm(queue))
        queue.ack(fresh)
    assert work[1] <= work[0] + 10


def test_selection_passes_over_expired_rows_of_another_ttl_once(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """They stand in front until expiry comes by; a second look begins behind them."""
    queue.enqueue_many([Submission({}, Priority.TELEMETRY, 1000)] * 2000)
    clock.advance(1001)
    fresh = queue.enqueue_many([Submission({}, Priority.TELEMETRY, 9000)] * 10)
    clock.advance(selection.RECENT_S)
    first, second = steps_of_vm(queue), steps_of_vm(queue)
    assert second < first / 20
    assert ids(queue) == fresh


def test_selection_knows_of_a_ttl_whose_first_insert_was_undone(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed transaction kept is not there; the next one keeps it anew."""
    queue.enqueue({}, ttl_seconds=10)
    with monkeypatch.context() as broken:
        broken.setattr("edge_agent.cloud_sync.rows.insert", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            queue.enqueue({}, ttl_seconds=1000)
    for _ in range(2):
        queue.enqueue({}, ttl_seconds=1000)
    clock.advance(500)
    assert ids(queue) == [2, 3]


def test_selection_finds_what_came_back_to_an_older_place(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Nacked rows that a start releases, and whatever else after a few seconds."""
    queue.enqueue({}, ttl_seconds=1000)
    queue.nack([1], 500)
    clock.advance(100)
    fresh = queue.enqueue({})
    clock.advance(selection.RECENT_S)
    assert ids(queue) == [fresh]
    assert queue.release_retries() == 1
    assert ids(queue) == [1, fresh]
    with queue._store.write() as db:
        db.execute(
            "INSERT INTO sync_queue SELECT 9, payload, 3, created_at - 50, 5000, 0,"
            " created_at - 50 FROM sync_queue WHERE id = 1"
        )
    assert ids(queue) == [1, fresh]
    clock.advance(selection.FLOORS_KEPT_S)
    assert ids(queue) == [9, 1, fresh]


def test_batch_is_cut_by_number_and_says_whether_it_waits(queue: CloudSyncQueue) -> None:
    """Full is complete; less is open-ended."""
    queue.enqueue_many([Submission({})] * 5)
    assert queue.next_batch(Wanted(3)).ids == (1, 2, 3)  # type: ignore[union-attr]
    assert not queue.next_batch(Wanted(5)).open_ended  # type: ignore[union-attr]
    assert queue.next_batch(Wanted(6)).open_ended  # type: ignore[union-attr]


@pytest.mark.parametrize("limit_bytes", [150, 200, 350, 500, 1000])
def test_batch_is_cut_by_the_bytes_of_its_body(queue: CloudSyncQueue, limit_bytes: int) -> None:
    """The head counts too; one row always goes, however little fits."""
    queue.enqueue_many([Submission({"text": "é" * 20, "n": n}) for n in range(30)])
    batch = queue.next_batch(Wanted(50, limit_bytes))
    assert batch is not None
    assert len(batch.rows) == 1 or len(batch.body()) <= limit_bytes
    longer = queue.next_batch(Wanted(50, limit_bytes + 200))
    assert longer is not None
    assert len(longer.rows) > len(batch.rows)
    assert not batch.open_ended


def test_batch_never_mixes_origins(tmp_path: Path, clock: FakeClock) -> None:
    """Each opening of the file has a queue_id of its own; kept rows keep theirs."""
    path = tmp_path / "q.db"
    seen = []
    for device in ("pi-7", "pi-7", "pi-8"):
        with CloudSyncQueue(path, clock=clock, device_id=device) as queue:
            queue.enqueue_many([Submission({}), Submission({}, Priority.LOGS)])
    with CloudSyncQueue(path, clock=clock) as queue:
        while (batch := queue.next_batch(Wanted(50))) is not None:
            seen.append((batch.ids, batch.device_id, batch.queue_id))
            queue.ack(batch.ids)
    # As they are sent: by priority, and past the row of another origin nothing is taken along.
    assert [(numbers, device) for numbers, device, _ in seen] == [
        ((1,), "pi-7"),
        ((3,), "pi-7"),
        ((5,), "pi-8"),
        ((2,), "pi-7"),
        ((4,), "pi-7"),
        ((6,), "pi-8"),
    ]
    assert len({queue_id for *_, queue_id in seen}) == 3


def test_origin_of_two_programs_on_one_file_is_each_one_s_device(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Whoever enqueues last does not adopt the other's rows, before or after."""
    path = tmp_path / "q.db"
    with (
        CloudSyncQueue(path, clock=clock, device_id="a") as first,
        CloudSyncQueue(path, clock=clock, device_id="b") as second,
    ):
        for queue in (first, second, first, first, second):
            queue.enqueue({})
        found = {batch.ids: batch for batch in first.all_batches()}
    assert {numbers: batch.device_id for numbers, batch in found.items()} == {
        (1,): "a",
        (2,): "b",
        (3, 4): "a",
        (5,): "b",
    }
    assert len({batch.queue_id for batch in found.values()}) == 4


def test_origin_after_a_renaming_is_the_new_name_s(queue: CloudSyncQueue) -> None:
    """Rows queued before keep the name and the queue_id they were born with."""
    queue.enqueue({})
    queue.rename_device("pi-9")
    queue.enqueue({})
    first, second = queue.all_batches()
    assert (first.device_id, second.device_id) == ("pi-7", "pi-9")
    assert first.queue_id != second.queue_id


def test_origin_of_a_transaction_that_failed_is_registered_again(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was rolled back with the rows comes with the next ones."""
    with monkeypatch.context() as broken:
        broken.setattr("edge_agent.cloud_sync.rows.insert", _fail)
        with pytest.raises(ZeroDivisionError):
            queue.enqueue({})
    queue.enqueue({})
    (batch,) = queue.all_batches()
    assert batch.device_id == "pi-7"


def test_batch_with_a_fresh_critical_item_carries_critical_items_alone(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """For a minute; afterwards it shares."""
    queue.enqueue({})
    queue.enqueue({}, Priority.CRITICAL)
    queue.enqueue({}, Priority.ANOMALY)
    assert queue.next_batch(Wanted(50)).ids == (2,)  # type: ignore[union-attr]
    clock.advance(selection.FRESH_S - 0.1)
    assert queue.next_batch(Wanted(50)).ids == (2,)  # type: ignore[union-attr]
    clock.advance(0.1)
    assert queue.next_batch(Wanted(50)).ids == (2, 3, 1)  # type: ignore[union-attr]
    assert queue.next_batch(Wanted(50, priorities=(Priority.CRITICAL,))).ids == (2,)  # type: ignore[union-attr]


def test_batch_of_an_empty_queue_is_none(queue: CloudSyncQueue) -> None:
    """Nothing to send."""
    assert queue.next_batch(Wanted(50)) is None
    assert queue.all_batches() == []


def test_batch_s_body_does_not_change_with_retries(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """The same rows, taken from the file again, are the same bytes."""
    queue.enqueue({"température": 1.0})
    before = queue.next_batch(Wanted(50))
    queue.nack([1], 10)
    clock.advance(10)
    after = queue.next_batch(Wanted(50))
    assert before is not None
    assert after is not None
    assert (before.body(), before.rows[0].retry_count) == (after.body(), 0)
    assert after.rows[0].retry_count == 1


def _fail(*_: Any) -> list[int]:
    raise ZeroDivisionError


# -- the newest first, and without what is on its way ---------------------------------------------


def test_batch_of_the_newest_holds_them_in_their_order(queue: CloudSyncQueue) -> None:
    """Of the highest priority as ever; within the request the older ones still go first."""
    queue.enqueue_many([Submission({})] * 5)
    queue.enqueue({}, Priority.ANOMALY)
    newest = queue.next_batch(Wanted(3, newest_first=True))
    assert newest is not None
    assert newest.ids == (6, 4, 5)
    assert not newest.open_ended
    everything = queue.next_batch(Wanted(9, newest_first=True))
    assert everything is not None
    assert everything.ids == queue.next_batch(Wanted(9)).ids  # type: ignore[union-attr]
    assert everything.open_ended


def test_batch_of_the_newest_is_of_the_newest_origin(queue: CloudSyncQueue) -> None:
    """And cut at its older end, by bytes too."""
    queue.enqueue_many([Submission({})] * 3)
    queue.rename_device("pi-8")
    queue.enqueue_many([Submission({"text": "x" * 100})] * 3)
    newest = queue.next_batch(Wanted(5, newest_first=True))
    assert newest is not None
    assert (newest.device_id, newest.ids) == ("pi-8", (4, 5, 6))
    few = queue.next_batch(Wanted(5, len(newest.body()) - 1, newest_first=True))
    assert few is not None
    assert few.ids == (5, 6)


def test_batch_leaves_out_what_is_on_its_way(queue: CloudSyncQueue) -> None:
    """And is full all the same."""
    queue.enqueue_many([Submission({})] * 6)
    batch = queue.next_batch(Wanted(3, but=frozenset({1, 3})))
    assert batch is not None
    assert batch.ids == (2, 4, 5)
    assert queue.next_batch(Wanted(3, but=frozenset(range(7)))) is None


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_selection_seeks_in_the_index_from_either_end(queue: CloudSyncQueue, order: str) -> None:
    """A range of the published index, no scan, no sorting."""
    query = selection._ELIGIBLE.format(shift="0.0", order=order)
    with queue._store.read() as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {query}", (1, 2, 3, 4)).fetchall()
    (step,) = (detail for *_, detail in plan)
    assert step == (
        "SEARCH sync_queue USING INDEX idx_sync_queue_priority"
        " (priority=? AND next_retry_at>? AND next_retry_at<?)"
    )
