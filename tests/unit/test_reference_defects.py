"""The published reference's defects S1 to S16, each with the test that bears its number."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.rig import Rig
from fakes.server import DOWN

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.cloud_sync.backoff import full_jitter
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.cloud_sync.verdict import Action, Answer, judge
from edge_agent.errors import PayloadError, QueueBusy
from edge_agent.types import Submission

DAY_S = 86_400
HOUR_S = 3_600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


def test_s01_queue_used_by_many_threads_keeps_every_row(path: Path) -> None:
    """One connection for two threads raised, or mixed their transactions."""
    with CloudSyncQueue(path) as queue, ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: queue.enqueue({"n": n}), range(80)))
        assert sorted(ids) == list(range(1, 81))
        assert sum(pool.map(lambda number: queue.ack([number]), ids)) == 80


def test_s02_clock_that_steps_forward_expires_nothing(path: Path) -> None:
    """A Pi that boots days behind lost every row when the time service answered."""
    clock = FakeClock(synchronized=False)
    with CloudSyncQueue(path, clock=clock) as queue:
        number = queue.enqueue({}, ttl_seconds=DAY_S)
        clock.step(30 * DAY_S)
        queue.tick()
        assert queue.purge_expired() == 0
        assert [item.id for item in queue.dequeue()] == [number]


def test_s03_clock_that_steps_back_freezes_nothing(path: Path, clock: FakeClock) -> None:
    """A nacked row waited for the wall clock to come by again."""
    with CloudSyncQueue(path, clock=clock) as queue:
        number = queue.enqueue({})
        queue.nack([number], 60)
        clock.step(-2 * 3600)
        clock.advance(61)
        assert [item.id for item in queue.dequeue()] == [number]


def test_s04_expired_rows_go_and_are_counted(path: Path, clock: FakeClock) -> None:
    """They stayed, counted as depth and slowed every dequeue."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue({}, ttl_seconds=10)
        clock.advance(11)
        assert queue.upkeep() == 1
        assert (queue.pending_count(), queue.ledger().expired) == (0, 1)


def test_s05_daemon_sends_batch_size_at_a_time(rig: Rig) -> None:
    """Everything went as one batch."""
    rig.put(*range(25))
    rig.flusher.flush_now()
    rig.run()
    assert [len(sent) for sent in rig.server.sent] == [10, 10, 5]


def test_s06_enqueue_does_not_wait_for_an_upload(path: Path) -> None:
    """The upload ran inside the lock."""
    sending, answer = threading.Event(), threading.Event()

    class Slow:
        def post_batch(self, payloads: list[object]) -> bool:
            sending.set()
            return answer.wait(60)

    with CloudSyncQueue(path) as queue:
        queue.enqueue({"n": 1})
        flush = threading.Thread(target=queue.maybe_flush, args=(Slow(),))
        flush.start()
        assert sending.wait(60)
        assert queue.enqueue({"n": 2}) == 2
        assert queue.pending_count() == 2
        answer.set()
        flush.join()


def test_s07_flush_without_uploader_warns_and_counts_as_discarded(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It deleted unsent data without a word."""
    with CloudSyncQueue(path) as queue, caplog.at_level(logging.WARNING):
        queue.enqueue({})
        assert queue.maybe_flush(None) == 1
        assert queue.ledger().discarded == 1
    assert "discarded items=1" in caplog.text


def test_s08_link_that_is_dead_for_hours_condemns_nothing(rig: Rig) -> None:
    """Retries counted over a dead link dead-lettered healthy data in 25 minutes."""
    rig.server.usual = DOWN
    rig.put(1, 2, 3, ttl_s=30 * DAY_S)
    rig.run(3 * HOUR_S)
    books = rig.queue.ledger()
    assert (books.queued, books.dead, books.expired) == (3, 0, 0)
    assert rig.queue.get_stats()["total_retries"] > 3 * 12


def test_s09_back_off_is_full_jitter_clamped_before_it_overflows() -> None:
    """It was called exponential, and was a fixed minute."""
    waits = [full_jitter(n, base_s=60, cap_s=900, draw=1.0) for n in (1, 2, 3, 5, 10_000)]
    assert waits == [60, 120, 240, 900, 900]
    assert full_jitter(3, base_s=60, cap_s=900, draw=0.25) == 60
    held = judge(Answer(429, {"retry-after": "7"}), ids=frozenset(), host="h")
    assert (held.action, held.retry_after_s) == (Action.HELD, 7)


def test_s10_batch_that_failed_goes_first_next_time(rig: Rig) -> None:
    """A nacked row came behind newer ones; or before them, out of order."""
    rig.server.script.append(DOWN)
    rig.put(*range(10))
    rig.run()
    rig.put(*range(10, 20))
    rig.run(600)
    assert rig.server.values == list(range(20))


def test_s10_logs_are_not_starved_by_a_backlog_that_matters_more(rig: Rig) -> None:
    """Strict priority: behind telemetry without end, a log was never sent."""
    rig.put(*range(150))
    rig.put("log", priority=Priority.LOGS)
    rig.run()
    assert 0 < rig.server.values.index("log") < 150


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_s11_any_2xx_delivers_but_for_what_it_names(status: int) -> None:
    """Only 200 counted, and one bool stood for the whole batch."""
    body = b'{"rejected": [{"id": 1, "reason": "no unit"}], "retry": [2]}'
    verdict = judge(Answer(status, {}, body), ids=frozenset({1, 2, 3}), host="h")
    assert verdict.action is Action.DELIVERED
    assert (dict(verdict.rejected), verdict.retry) == ({1: "no unit"}, {2})


def test_s12_rows_bear_ids_on_the_wire_and_one_flusher_sends_them(path: Path) -> None:
    """Two flushers sent the same rows, and nothing told the server."""
    with CloudSyncQueue(path) as queue, CloudSyncQueue(path) as other:
        number = queue.enqueue({"n": 1})
        batch = queue.next_batch(Wanted(10, 1 << 20))
        assert batch is not None
        assert f'"queue_id":"{batch.queue_id}"'.encode() in batch.body()
        assert f'"id":{number}'.encode() in batch.body()
        with queue.flushing(), pytest.raises(QueueBusy):
            other.maybe_flush(None)


def test_s13_sent_today_survives_a_restart_and_ends_at_midnight(
    path: Path, clock: FakeClock
) -> None:
    """It stood in memory, and somebody had to reset it."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.ack_sent([queue.enqueue({}), queue.enqueue({})])
    with CloudSyncQueue(path, clock=clock) as queue:
        assert queue.messages_sent_today == 2
        clock.advance(DAY_S)
        assert queue.messages_sent_today == 0
        queue.ack_sent([queue.enqueue({})])
        queue.reset_daily_counters()
        assert queue.messages_sent_today == 0


def test_s14_connections_are_kept_and_commits_are_synced(path: Path) -> None:
    """Each operation opened and closed one, and no durability was named."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with CloudSyncQueue(path) as queue:
        queue.enqueue({})
        queue.pending_count()
        before = open_files()
        for _ in range(20):
            queue.ack([queue.enqueue({})])
        assert open_files() == before
        with queue._store.write() as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (2,)
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_s15_queue_keeps_to_its_size_and_says_what_that_cost(path: Path) -> None:
    """A full card was answered with "run a periodic job"."""
    limit = 4 << 20
    with CloudSyncQueue(path, max_size_bytes=limit, when_full="shed", durability="normal") as queue:
        alarm = queue.enqueue({"alarm": "entered"}, Priority.CRITICAL)
        for _ in range(120):
            queue.enqueue_many([Submission({"text": "x" * 500})] * 100)
            queue.upkeep()
        for _ in range(20):
            queue.upkeep()
        books = queue.ledger()
        assert books.closes
        assert books.shed > 4_000
        # The log keeps up to a mebibyte of its own.
        assert queue.size_bytes() <= limit + (1 << 20)
        assert queue.dequeue(1)[0].id == alarm


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_s16_number_that_json_does_not_have_is_refused(path: Path, value: float) -> None:
    """It was stored, and refused by every server for ever."""
    with CloudSyncQueue(path) as queue:
        with pytest.raises(PayloadError, match=r"payload\.a\[1\]\.b"):
            queue.enqueue_many([Submission({"ok": 1}), Submission({"a": [0, {"b": value}]})])
        assert queue.pending_count() == 0
        assert queue.enqueue({"when": Path("/dates/stay")}, Priority.LOGS) == 1
