"""`maybe_flush`: everything at once, through any uploader, with no lock held meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, HTTPCloudUploader, Priority
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.errors import QueueBusy
from edge_agent.types import Submission


class Plain:
    """A program's own uploader, with nothing but what is documented; and a ``send`` of its own."""

    def __init__(self, *, answer: Any = True) -> None:
        self.answer = answer
        self.posted: list[list[Any]] = []

    def post_batch(self, payloads: Sequence[Any]) -> Any:
        self.posted.append(list(payloads))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, *_: object) -> None:
        raise AssertionError("not the documented method")


class Ours(HTTPCloudUploader):
    """Our uploader with its wire cut: verdicts as told, by the number of rows."""

    def __init__(self, judge: Any) -> None:
        super().__init__("https://example.com/")
        self.judge = judge
        self.sent: list[Batch] = []

    def send(self, batch: Batch) -> Verdict:
        self.sent.append(batch)
        verdict: Verdict = self.judge(batch)
        return verdict


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


def fill(queue: CloudSyncQueue, rows: int) -> list[int]:
    return queue.enqueue_many([Submission({"n": n}) for n in range(rows)])


def test_flush_hands_everything_eligible_to_a_plain_uploader_at_once(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Payloads by priority and age; what waits or has expired stays out."""
    fill(queue, 2)
    queue.enqueue({"late": True})
    queue.enqueue({"old": True}, ttl_seconds=5)
    queue.enqueue({"now": True}, Priority.CRITICAL)
    queue.nack([3], 60)
    clock.advance(5)
    plain = Plain()
    assert queue.maybe_flush(plain) == 3
    assert plain.posted == [[{"now": True}, {"n": 0}, {"n": 1}]]
    assert (queue.pending_count(), queue.messages_sent_today) == (2, 3)
    assert queue.last_flush_time == clock.wall()
    assert queue.ledger().delivered == 3


@pytest.mark.parametrize("answer", [False, None, 0])
def test_flush_that_fails_nacks_for_a_minute(
    queue: CloudSyncQueue, clock: FakeClock, answer: Any
) -> None:
    """Nothing is counted as sent."""
    fill(queue, 3)
    assert queue.maybe_flush(Plain(answer=answer)) == 0
    assert queue.dequeue() == []
    assert queue.get_stats()["total_retries"] == 3
    assert (queue.messages_sent_today, queue.last_flush_time) == (0, None)
    clock.advance(60)
    assert len(queue.dequeue()) == 3


def test_flush_through_an_uploader_that_raises_nacks_and_lets_it_through(
    queue: CloudSyncQueue,
) -> None:
    """The program hears of its own mistake, and its next turn does not repeat it at once."""
    fill(queue, 1)
    with pytest.raises(ConnectionError):
        queue.maybe_flush(Plain(answer=ConnectionError("no")))
    assert (queue.dequeue(), queue.pending_count()) == ([], 1)
    with queue.flushing():
        pass


def test_flush_of_an_empty_queue_asks_nobody(queue: CloudSyncQueue) -> None:
    """And is no flush."""
    plain = Plain()
    assert queue.maybe_flush(plain) == queue.maybe_flush() == 0
    assert plain.posted == []
    assert queue.last_flush_time is None


def test_flush_without_an_uploader_discards_and_warns_with_the_count(
    queue: CloudSyncQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """S7. Documented, counted as discarded and not as delivered."""
    fill(queue, 4)
    assert queue.maybe_flush() == 4
    (record,) = caplog.records
    assert (record.levelno, "items=4" in record.getMessage()) == (logging.WARNING, True)
    books = queue.ledger()
    assert (books.discarded, books.delivered, books.closes) == (4, 0, True)


def test_flush_through_ours_keeps_origins_apart(tmp_path: Path, clock: FakeClock) -> None:
    """S12. A request bears one queue_id, and the rows' own ids."""
    path = tmp_path / "q.db"
    for device in ("a", "b"):
        with CloudSyncQueue(path, clock=clock, device_id=device) as queue:
            fill(queue, 2)
    ours = Ours(lambda _: Verdict(Action.DELIVERED, ""))
    with CloudSyncQueue(path, clock=clock) as queue:
        assert queue.maybe_flush(ours) == 4
    assert [(batch.device_id, batch.ids) for batch in ours.sent] == [("a", (1, 2)), ("b", (3, 4))]


def test_flush_through_ours_settles_item_by_item(queue: CloudSyncQueue) -> None:
    """S11. Taken, refused with a reason, to be sent again."""
    fill(queue, 4)
    said = Verdict(Action.DELIVERED, "", rejected={2: "no unit"}, retry=frozenset({3}))
    assert queue.maybe_flush(Ours(lambda _: said)) == 3
    books = queue.ledger()
    assert (books.delivered, books.dead, books.queued, books.closes) == (2, 1, 1, True)
    assert (queue.backed_off(), queue.messages_sent_today) == (1, 2)


def test_flush_through_ours_to_a_server_that_refuses_all_keeps_all(queue: CloudSyncQueue) -> None:
    """It is more likely wrong than every reading is; and it was no flush."""
    fill(queue, 2)
    said = Verdict(Action.DELIVERED, "", rejected={1: "x", 2: "x"})
    assert queue.maybe_flush(Ours(lambda _: said)) == 0
    assert (queue.pending_count(), queue.ledger().dead, queue.last_flush_time) == (2, 0, None)


@pytest.mark.parametrize("action", [a for a in Action if a is not Action.DELIVERED])
def test_flush_through_ours_that_fails_nacks(queue: CloudSyncQueue, action: Action) -> None:
    """S8. No verdict but delivery takes anything away."""
    fill(queue, 2)
    assert queue.maybe_flush(Ours(lambda _: Verdict(action, "no"))) == 0
    assert (queue.pending_count(), queue.dequeue()) == (2, [])


def test_flush_through_ours_of_more_than_a_server_takes_goes_in_halves(
    queue: CloudSyncQueue,
) -> None:
    """A backlog is not stuck because it is long; all of it arrives, in order."""
    fill(queue, 20)

    def three_at_most(batch: Batch) -> Verdict:
        return Verdict(Action.DELIVERED if len(batch.rows) <= 3 else Action.TOO_LARGE, "")

    ours = Ours(three_at_most)
    assert queue.maybe_flush(ours) == 20
    taken = [number for batch in ours.sent if len(batch.rows) <= 3 for number in batch.ids]
    assert taken == list(range(1, 21))


def test_flush_to_a_server_that_calls_everything_too_large_gives_up_soon(
    queue: CloudSyncQueue,
) -> None:
    """A few requests, not two for each row."""
    fill(queue, 64)
    ours = Ours(lambda _: Verdict(Action.TOO_LARGE, ""))
    assert queue.maybe_flush(ours) == 0
    assert len(ours.sent) == 7
    assert queue.get_stats()["retrying_items"] == 64


def test_flush_calls_a_program_s_own_post_batch(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overridden in a subclass, replaced on the class or on the object: as documented."""

    class Logged(Ours):
        def post_batch(self, payloads: Sequence[Any]) -> bool:
            posted.append(len(payloads))
            return True

    posted: list[int] = []
    fill(queue, 2)
    assert queue.maybe_flush(Logged(None)) == 2
    fill(queue, 3)
    with monkeypatch.context() as replaced:
        replaced.setattr(HTTPCloudUploader, "post_batch", lambda _, p: bool(posted.append(len(p))))
        assert queue.maybe_flush(HTTPCloudUploader("https://example.com/")) == 0
    assert posted == [2, 3]


def test_flush_beside_another_flusher_is_refused_and_sends_nothing(
    tmp_path: Path, queue: CloudSyncQueue
) -> None:
    """S12. Of this object, or of another on the same file."""
    fill(queue, 1)
    plain = Plain()
    with queue.flushing():
        with pytest.raises(QueueBusy, match="another flusher"):
            queue.maybe_flush(plain)
        with CloudSyncQueue(queue.path) as other, pytest.raises(QueueBusy):
            other.maybe_flush(plain)
    assert plain.posted == []
    assert queue.maybe_flush(plain) == 1


def test_flush_holds_no_lock_while_the_uploader_works(queue: CloudSyncQueue) -> None:
    """S6. Everybody else goes on; what comes meanwhile waits for the next flush."""
    fill(queue, 2)
    reached, go_on = threading.Event(), threading.Event()

    class Slow(Plain):
        def post_batch(self, payloads: Sequence[Any]) -> Any:
            reached.set()
            assert go_on.wait(30)
            return super().post_batch(payloads)

    flushed: list[int] = []
    slow = Slow()
    flusher = threading.Thread(target=lambda: flushed.append(queue.maybe_flush(slow)))
    flusher.start()
    assert reached.wait(30)
    others: list[Any] = []
    other = threading.Thread(
        target=lambda: others.extend([queue.enqueue({}), queue.ack([2]), len(queue.dequeue())])
    )
    other.start()
    other.join(timeout=30)
    assert others == [3, 1, 2]
    go_on.set()
    flusher.join()
    assert flushed == [1]
    books = queue.ledger()
    assert (books.delivered, books.queued, books.closes) == (2, 1, True)
