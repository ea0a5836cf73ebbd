"""The books close: after every kind of operation, in any order, across restarts and failures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.errors import PayloadError
from edge_agent.types import Submission

KINDS = st.tuples(st.sampled_from(list(Priority)), st.sampled_from([30, 300, 3000]))


class Modelled(RuleBasedStateMachine):
    """The queue against a dictionary that does the same, slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.queue = CloudSyncQueue(Path(self.folder.name) / "q.db", clock=self.clock)
        #: id -> priority, created at, TTL, due, tries
        self.rows: dict[int, list[Any]] = {}
        self.left = dict.fromkeys(("delivered", "expired", "dead", "discarded"), 0)
        self.given = 0

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    def some(self, data: st.DataObject) -> list[int]:
        """Ids, known and unknown, some of them twice."""
        return data.draw(st.lists(st.integers(-1, self.given + 2), max_size=6))

    def gone(self, ids: list[int], fate: str) -> int:
        known = set(ids) & self.rows.keys()
        for number in known:
            del self.rows[number]
        self.left[fate] += len(known)
        return len(known)

    def eligible(self) -> list[int]:
        now = self.queue.now()
        ready = [
            (priority, due, number)
            for number, (priority, born, ttl, due, _) in self.rows.items()
            if due <= now < born + ttl
        ]
        return [number for *_, number in sorted(ready)]

    @rule(kinds=st.lists(KINDS, min_size=1, max_size=4))
    def enqueue(self, kinds: list[tuple[Priority, int]]) -> None:
        now = self.queue.now()
        ids = self.queue.enqueue_many([Submission({}, p, ttl) for p, ttl in kinds])
        assert ids == list(range(self.given + 1, self.given + 1 + len(kinds)))
        self.given += len(kinds)
        for number, (priority, ttl) in zip(ids, kinds, strict=True):
            self.rows[number] = [priority, now, ttl, now, 0]

    @rule()
    def refuse(self) -> None:
        with pytest.raises(PayloadError):
            self.queue.enqueue_many([Submission({}), Submission({"x": object()})])

    @rule(data=st.data(), sent=st.booleans())
    def ack(self, data: st.DataObject, sent: bool) -> None:
        ids = self.some(data)
        ack = self.queue.ack_sent if sent else self.queue.ack
        assert ack(ids) == self.gone(ids, "delivered")

    @rule(data=st.data(), delay=st.sampled_from([-50.0, 0.0, 20.0, 400.0]))
    def nack(self, data: st.DataObject, delay: float) -> None:
        ids = set(self.some(data)) & self.rows.keys()
        assert self.queue.nack([*ids, *ids]) == len(ids)
        assert self.queue.nack(sorted(ids), delay) == len(ids)
        for number in ids:
            self.rows[number][3] = self.queue.now() + max(0.0, delay)
            self.rows[number][4] += 2

    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        ids = self.some(data)
        assert self.queue.dead_letter(ids, "HTTP 400") == self.gone(ids, "dead")

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        ids = self.some(data)
        assert self.queue.discard(ids) == self.gone(ids, "discarded")

    @rule()
    def purge(self) -> None:
        now = self.queue.now()
        old = [n for n, (_, born, ttl, *_) in self.rows.items() if born + ttl <= now]
        assert self.queue.purge_expired() == self.gone(old, "expired")

    @rule()
    def release(self) -> None:
        waiting = [row for row in self.rows.values() if row[4] and row[3] > row[1]]
        assert self.queue.release_retries() == len(waiting)
        for row in waiting:
            row[3] = row[1]

    @rule(seconds=st.sampled_from([0.5, 25.0, 280.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-1e6, 1e6]))
    def step(self, seconds: float) -> None:
        self.clock.step(seconds)
        self.queue.tick()

    @precondition(lambda self: self.rows)
    @rule()
    def restart(self) -> None:
        """In the same boot queue time goes on where it was, whatever the wall clock says."""
        before = self.queue.now()
        self.queue.close()
        self.queue = CloudSyncQueue(self.queue.path, clock=self.clock)
        assert self.queue.now() == pytest.approx(before)

    @invariant()
    def books_close_and_order_holds(self) -> None:
        books = self.queue.ledger()
        assert books.closes
        assert (books.enqueued, books.queued) == (self.given, len(self.rows))
        assert {fate: getattr(books, fate) for fate in self.left} == self.left
        assert [item.id for item in self.queue.dequeue(1000)] == self.eligible()
        stats = self.queue.get_stats()
        assert stats["total_retries"] == sum(row[4] for row in self.rows.values())


TestModelled = pytest.mark.filterwarnings("error")(Modelled.TestCase)


def test_ledger_of_a_transaction_that_fails_books_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows and books go together or not at all."""
    with CloudSyncQueue(tmp_path / "q.db") as queue:
        queue.enqueue({})
        for act in (queue.ack, queue.ack_sent, lambda ids: queue.dead_letter(ids, "r")):
            with monkeypatch.context() as broken:
                broken.setattr("edge_agent.cloud_sync.ledger.post", _fail)
                with pytest.raises(ZeroDivisionError):
                    act([1])
            assert (queue.pending_count(), queue.messages_sent_today) == (1, 0)
            assert queue.ledger().closes
        assert queue.ack([1]) == 1


def _fail(*_: object) -> None:
    raise ZeroDivisionError
