"""The queue's published behaviour: in, out, put off, set aside, counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, rows
from edge_agent.errors import PayloadError, QueueClosed
from edge_agent.types import NEVER_S, Submission


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


def fill(queue: CloudSyncQueue, rows: int, **kind: Any) -> list[int]:
    """So many small rows; their ids."""
    return queue.enqueue_many([Submission({"n": n}, **kind) for n in range(rows)])


def test_enqueue_many_gives_ids_in_order_without_a_hole(queue: CloudSyncQueue) -> None:
    """One commit, also from an iterator, also for nothing."""
    assert queue.enqueue({}) == 1
    assert queue.enqueue_many(iter([Submission({"n": n}) for n in range(3)])) == [2, 3, 4]
    assert queue.enqueue_many([]) == []
    assert [item.payload for item in queue.dequeue()] == [{}, {"n": 0}, {"n": 1}, {"n": 2}]


def test_enqueue_many_with_one_bad_payload_stores_none(queue: CloudSyncQueue) -> None:
    """All of them or none."""
    with pytest.raises(PayloadError, match=r"payload\.x"):
        queue.enqueue_many([Submission({}), Submission({"x": float("nan")})])
    assert queue.pending_count() == 0
    assert queue.ledger().enqueued == 0


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), NEVER_S + 1, 10**30])
def test_enqueue_refuses_a_ttl_that_is_none(queue: CloudSyncQueue, ttl: Any) -> None:
    """Before anything is stored."""
    with pytest.raises(ValueError, match="ttl_seconds"):
        queue.enqueue({}, ttl_seconds=ttl)
    assert queue.pending_count() == 0


def test_enqueue_for_ever_does_not_expire(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """A thousand years are a TTL like any other."""
    queue.enqueue({}, ttl_seconds=NEVER_S)
    clock.advance(10 * 365 * 86_400)
    assert len(queue.dequeue()) == 1
    assert queue.purge_expired() == 0


def test_enqueue_refuses_a_priority_that_is_none(queue: CloudSyncQueue) -> None:
    """Such a row would never be found again."""
    with pytest.raises(ValueError, match="5"):
        queue.enqueue({}, 5)  # type: ignore[arg-type]  # what a program may do
    queue.enqueue({}, 2)  # type: ignore[arg-type]  # a number is as good as its name
    assert queue.dequeue()[0].priority is Priority.ANOMALY


def test_item_is_as_it_was_stored(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """Every field, with the time of queueing."""
    payload = {"☃": ["\u0000", {"deep": None}], "n": 2**70, "f": 1e308}
    queue.enqueue(payload, Priority.LOGS, 5)
    (item,) = queue.dequeue()
    assert (item.payload, item.priority, item.ttl_seconds) == (payload, Priority.LOGS, 5)
    assert item.created_at == item.next_retry_at == clock.wall()
    assert item.to_dict() == {
        "id": 1,
        "payload": payload,
        "priority": 4,
        "created_at": clock.wall(),
        "ttl_seconds": 5,
        "retry_count": 0,
        "next_retry_at": clock.wall(),
    }


@pytest.mark.parametrize(
    ("ids", "gone"),
    [
        ([], 0),
        ([3], 1),
        ([2, 3, 4], 3),
        ((4, 2, 3), 3),
        ([1, 3, 5], 3),
        ([1, 1, 1], 1),
        ([5, 6, 7], 1),
        ([0, -1, 99, 10**12], 0),
        (range(1, 6), 5),
    ],
)
def test_ack_and_nack_of_any_ids_count_rows_and_touch_no_others(
    tmp_path: Path, clock: FakeClock, ids: Any, gone: int
) -> None:
    """Ranges, holes, any order, duplicates, unknown ids, nothing."""
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        fill(queue, 5)
        assert queue.nack(ids) == gone
        assert {item.id for item in queue.dequeue()} == {1, 2, 3, 4, 5} - set(ids)
        assert queue.ack(ids) == gone
        assert queue.ack(ids) == 0
        assert queue.release_retries() == 0
        assert {item.id for item in queue.dequeue()} == {1, 2, 3, 4, 5} - set(ids)
        assert queue.ledger().delivered == gone
        assert queue.ledger().closes


def test_ack_of_many_ids_with_holes_is_one_transaction(queue: CloudSyncQueue) -> None:
    """More than one statement holds."""
    ids = fill(queue, 2 * rows._IDS_A_STATEMENT + 7)[::2]
    assert queue.ack(ids) == len(ids)
    assert queue.pending_count() == rows._IDS_A_STATEMENT + 3


def test_nack_puts_off_and_counts_the_tries(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """A minute if nothing is said."""
    fill(queue, 3)
    assert queue.nack([1, 2]) == 2
    assert queue.nack([2], retry_delay_seconds=30) == 1
    clock.advance(30)
    assert [(i.id, i.retry_count) for i in queue.dequeue()] == [(3, 0), (2, 2)]
    assert queue.backed_off() == 1
    clock.advance(30)
    assert [item.id for item in queue.dequeue()] == [3, 2, 1]
    assert queue.get_stats() == {
        "depth": 3,
        "oldest_item_timestamp": clock.wall() - 60,
        "total_retries": 3,
        "retrying_items": 2,
    }


def test_release_retries_puts_nacked_rows_back_in_their_places(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """In slices; a second time there is nothing to do."""
    count = 2 * rows._IDS_A_STATEMENT + 3
    ids = fill(queue, count)
    urgent = queue.enqueue({}, Priority.CRITICAL)
    clock.advance(1)
    queue.nack([*ids[:-1], urgent], 5)
    # Their time may have come: they must not stay behind what was queued meanwhile.
    clock.advance(10)
    newer = queue.enqueue({})
    assert queue.release_retries() == count
    assert [item.id for item in queue.dequeue(count + 2)] == [urgent, *ids, newer]
    assert queue.release_retries() == 0


def test_release_retries_leaves_a_first_try_that_was_put_off(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """The published way to delay a first try, by raw SQL, is no retry."""
    queue.enqueue({})
    with queue._store.write() as db:
        db.execute("UPDATE sync_queue SET next_retry_at = next_retry_at + 300")
    assert queue.release_retries() == 0
    assert queue.dequeue() == []


def test_dead_letter_keeps_the_row_and_the_answer(queue: CloudSyncQueue) -> None:
    """Out of the queue, in its own table, counted."""
    fill(queue, 3)
    queue.nack([2])
    assert queue.dead_letter([2, 99], "HTTP 400 no unit") == 1
    with queue._store.read() as db:
        (row,) = db.execute(
            "SELECT id, payload, priority, retry_count, reason FROM dead_letters"
        ).fetchall()
    assert row == (2, '{"n":1}', 3, 1, "HTTP 400 no unit")
    assert queue.dead_letter([2], "again") == 0
    assert [item.id for item in queue.dequeue()] == [1, 3]
    assert queue.ledger().dead == 1
    assert queue.ledger().closes


def test_counts_by_priority_name_every_priority(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """Also those of which there is none; and how long the first row waits."""
    assert queue.oldest_s() is None
    queue.enqueue({}, Priority.LOGS)
    clock.advance(5)
    queue.enqueue({}, Priority.CRITICAL)
    assert queue.depths() == {
        Priority.CRITICAL: 1,
        Priority.ANOMALY: 0,
        Priority.TELEMETRY: 0,
        Priority.LOGS: 1,
    }
    assert queue.oldest_s() == 5.0


def test_messages_sent_today_start_anew_at_local_midnight_and_survive_a_restart(
    tmp_path: Path, clock: FakeClock
) -> None:
    """S13. Kept in the file; reset by itself, and by hand."""
    path = tmp_path / "q.db"
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.ack_sent(fill(queue, 3))
    with CloudSyncQueue(path, clock=clock) as queue:
        assert queue.messages_sent_today == 3
        assert queue.last_flush_time == clock.wall()
        queue.ack_sent(fill(queue, 2))
        assert queue.messages_sent_today == 5
        clock.advance(86_400)
        assert queue.messages_sent_today == 0
        queue.ack_sent(fill(queue, 4))
        assert queue.messages_sent_today == 4
        queue.reset_daily_counters()
        assert queue.messages_sent_today == 0
        queue.ack_sent(fill(queue, 1))
        assert queue.messages_sent_today == 1
        assert queue.ledger().delivered == 10


def test_messages_sent_today_turn_at_the_local_midnight(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Tokyo, while it is afternoon in Greenwich."""
    with monkeypatch.context() as tokyo:
        tokyo.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        clock.step(1_750_085_999 - clock.wall())
        queue.ack_sent(fill(queue, 1))
        assert queue.messages_sent_today == 1
        clock.advance(1)
        assert queue.messages_sent_today == 0
    time.tzset()


def test_memory_keeps_state_and_the_last_changes(queue: CloudSyncQueue) -> None:
    """By owner; of the changes the last two hundred."""
    assert queue.memory.load("pulse.water") is None
    queue.memory.save("pulse.water", {"count": 1})
    queue.memory.save("pulse.water", {"count": 2})
    assert queue.memory.load("pulse.water") == {"count": 2}
    for number in range(205):
        queue.memory.note(f"event n={number}")
    assert [line for _, line in queue.memory.history(2)] == ["event n=203", "event n=204"]
    assert len(queue.memory.history(999)) == 200


@pytest.mark.parametrize(
    "use",
    [
        lambda q: q.enqueue({}),
        lambda q: q.dequeue(),
        lambda q: q.ack([1]),
        lambda q: q.maybe_flush(),
        lambda q: q.pending_count(),
        lambda q: q.upkeep(),
        lambda q: q.messages_sent_today,
    ],
)
def test_queue_after_close_refuses_by_name(queue: CloudSyncQueue, use: Any) -> None:
    """And closing twice is harmless."""
    queue.close()
    queue.close()
    with pytest.raises(QueueClosed, match="closed"):
        use(queue)


def test_queue_from_a_mapping_takes_every_argument(tmp_path: Path) -> None:
    """As configuration hands it over; a word that is none is refused."""
    with CloudSyncQueue.from_dict({"db_path": str(tmp_path / "d.db"), "durability": "normal"}) as q:
        assert q.enqueue({}) == 1
    with pytest.raises(ValueError, match="durability"):
        CloudSyncQueue.from_dict({"db_path": str(tmp_path / "d.db"), "durability": "some"})


def test_queue_serves_many_threads_at_once(queue: CloudSyncQueue) -> None:
    """S1. Eight threads enqueue, take, ack and nack: every row goes once, no id twice."""
    taken: list[int] = []
    given: list[int] = []
    lock = threading.Lock()
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        for turn in range(6):
            mine = queue.enqueue_many([Submission({"by": number, "turn": turn})] * 3)
            found = [item.id for item in queue.dequeue(4)]
            queue.nack(found[:1], 0)
            gone = [one for one in found if queue.ack([one])]
            with lock:
                given.extend(mine)
                taken.extend(gone)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 145))
    assert len(taken) == len(set(taken))
    left = {item.id for item in queue.dequeue(1000)}
    assert left == set(given) - set(taken)
    books = queue.ledger()
    assert (books.delivered, books.closes) == (len(taken), True)


def test_queue_s_long_read_does_not_hold_up_an_enqueue(queue: CloudSyncQueue) -> None:
    """Counting a million rows is nobody else's business; and it sees one consistent state."""
    queue.enqueue({})
    with queue._store.read() as db:
        assert db.execute("SELECT count(*) FROM sync_queue").fetchone() == (1,)
        other = threading.Thread(target=queue.enqueue, args=({},))
        other.start()
        other.join(timeout=30)
        assert not other.is_alive()
        assert db.execute("SELECT count(*) FROM sync_queue").fetchone() == (1,)
    assert queue.pending_count() == 2
