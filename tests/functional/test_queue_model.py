"""Whatever is done to the queue, in any order, killed anywhere: it is as the model says."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.judged import NO_ROOM, SPLIT_PAGES, Judged, with_room_for
from fakes.killable import LOST, PAD, PLENTY, Killable
from fakes.payloads import KINDS, gap_reading, payload
from fakes.queue_model import FRESH_S, Books, Model
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from edge_agent.cloud_sync import Priority, gaps, retention, shedding
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.errors import PayloadError, QueueFull
from edge_agent.types import Submission

Rows = list[tuple[str, int, int, str]]

ROW = st.tuples(
    st.sampled_from(["number", "number", *KINDS]),
    st.sampled_from([3, 3, 3, 4, 2, 1]),
    st.sampled_from([86_400, 3_000, 300, 30]),
    st.sampled_from(["a", "b"]),
)
#: After how many statements the power is lost; mostly it is not.
FUSE = st.sampled_from([None] * 25 + [*range(12)])
LONG_FUSE = st.sampled_from([None] * 60 + [*range(50)])


class QueueMachine(Judged):
    """The queue beside its model; the power may go at any statement of most rules."""

    @initialize(
        when_full=st.sampled_from(["thin", "thin", "shed", "reject"]),
        right=st.booleans(),
        wanted=st.lists(ROW, min_size=6, max_size=18),
        fuse=LONG_FUSE,
    )
    def begin(self, when_full: str, right: bool, wanted: Rows, fuse: int | None) -> None:
        self.when_full = when_full
        #: whether the file was found to be full since the last upkeep
        self.short = False
        self.clock = FakeClock(synchronized=right)
        self.model = Model(self.clock)
        self.site = Killable(self.clock, when_full, self.expired_is_gone)
        self.site.come_up(fuse)
        self.model.opened()
        self.enqueue(wanted, None)

    def some(self, data: st.DataObject) -> list[int]:
        """Ids, known and unknown, some of them twice."""
        known = [-1, *self.model.books.rows, self.model.books.given + 1]
        return data.draw(st.lists(st.sampled_from(known), max_size=6))

    def submissions(self, wanted: Rows) -> list[Submission]:
        at, stamp = self.clock.wall(), {}
        if not self.clock.synchronized():
            stamp["clock"] = "unsynced"
        return [
            Submission(payload(kind, name, at, pad=PAD, **stamp), Priority(priority), ttl_s)
            for kind, priority, ttl_s, name in wanted
        ]

    # -- in ------------------------------------------------------------------------------------

    @rule(wanted=st.lists(ROW, min_size=1, max_size=12), fuse=LONG_FUSE)
    def enqueue(self, wanted: Rows, fuse: int | None) -> None:
        new = self.submissions(wanted)
        with pytest.raises(PayloadError):
            self.queue.enqueue_many([*new, Submission({"x": object()})])
        occupied, marks = self.site.occupied()
        full = occupied > marks.hard
        refused = sum(one.priority >= Priority.TELEMETRY for one in new)
        now, before, unused = self.model.now, self.model.books, self.site.unused_pages()
        got = self.site.attempt(lambda: with_room_for(lambda: self.try_enqueue(new)), fuse)
        if got is LOST:
            self.site.open()
        seen = self.site.books()
        if got is NO_ROOM:
            self.judge_no_room(seen, len(new))
            return
        if seen.ledger["rejected"] != before.ledger["rejected"]:
            self.short |= self.site.pinned and unused < len(new) + SPLIT_PAGES
            assert self.when_full == "reject"
            assert full or self.short
            books = before.copy()
            books.ledger["rejected"] += refused
            assert got in (LOST, "full")
        elif full:
            fresh = range(before.given + 1, seen.given + 1)
            books = self.model.room_was_made(seen, fresh)
            assert got is LOST or self.when_full != "reject" or not refused
            assert got in (LOST, books.insert(new, now))
        else:
            books = self.room_made(seen, len(new), unused)
            assert got in (LOST, books.insert(new, now))
        if got is not LOST or seen != before:
            self.take(books)
            assert seen == books
        if got is LOST:
            self.model.opened()

    def try_enqueue(self, new: list[Submission]) -> Any:
        try:
            if len(new) == 1:
                return [self.queue.enqueue(new[0].payload, new[0].priority, new[0].ttl_s)]
            return self.queue.enqueue_many(new)
        except QueueFull:
            return "full"

    @rule(fuse=LONG_FUSE)
    def tell_gaps(self, fuse: int | None) -> None:
        now, roomy = self.model.now, self.queue.bounds.roomy

        def reading_of(gap: Any) -> Submission:
            return gap_reading(gap, self.clock.wall())

        def change(books: Books) -> list[Any]:
            told = books.take_gaps(gaps.MOST_AT_ONCE) if roomy else []
            books.insert([reading_of(gap) for gap in told], now)
            return told

        self.do(lambda: self.queue.enqueue_gaps(reading_of), change, fuse)

    # -- out -----------------------------------------------------------------------------------

    @rule(
        data=st.data(),
        how=st.sampled_from(["ack", "ack_sent", "discard", "dead_letter"]),
        fuse=FUSE,
    )
    def leave(self, data: st.DataObject, how: str, fuse: int | None) -> None:
        ids, today, now = self.some(data), self.today(), self.model.now
        act, change = {
            "ack": (self.queue.ack, lambda books: books.remove(ids, "delivered")),
            "ack_sent": (
                self.queue.ack_sent,
                lambda books: books.flushed(ids, "delivered", today),
            ),
            "discard": (
                self.queue.discard,
                lambda books: books.flushed(ids, "discarded", today),
            ),
            "dead_letter": (
                lambda ids: self.queue.dead_letter(ids, "HTTP 400"),
                lambda books: books.bury(ids, now, "HTTP 400"),
            ),
        }[how]
        self.do(lambda: act(ids), change, fuse)

    @rule(data=st.data(), delay_s=st.sampled_from([-50.0, 0.0, 20.0, 400.0]), fuse=FUSE)
    def nack(self, data: st.DataObject, delay_s: float, fuse: int | None) -> None:
        ids, due = self.some(data), self.model.now + max(0.0, delay_s)
        self.do(lambda: self.queue.nack(ids, delay_s), lambda books: books.put_off(ids, due), fuse)

    @rule(limit=st.integers(1, 5), fuse=FUSE)
    def send(self, limit: int, fuse: int | None) -> None:
        """A batch goes on its way, and nobody hears of it again."""
        batch = self.queue.next_batch(Wanted(limit, 1 << 20))
        eligible, books = self.model.books.eligible(self.model.now), self.model.books
        assert (batch is None) == (not eligible)
        if batch is None:
            return
        if not self.site.correcting():
            head = eligible[:limit]
            critical = [n for n in head if books.rows[n].priority == Priority.CRITICAL]
            if any(self.model.now - books.rows[n].born < FRESH_S for n in critical):
                head = critical
            assert list(batch.ids) == head[: len(batch.ids)]
        self.model.spared(batch.ids)
        asked = self.model.carried(batch.ids)
        self.do(
            lambda: self.queue.note_request(batch.ids),
            lambda books: books.asked.update(asked) is None,
            fuse,
        )

    # -- upkeep --------------------------------------------------------------------------------

    @rule(fuse=LONG_FUSE)
    def purge(self, fuse: int | None) -> None:
        old = self.model.books.expired(self.model.now)
        got = self.site.attempt(self.queue.purge_expired, fuse)
        if got is LOST:
            self.reopened()
            old &= self.model.books.rows.keys() - self.site.books().rows.keys()
        gone = self.model.books.remove(old, "expired")
        assert got in (LOST, gone)

    @rule(fuse=LONG_FUSE)
    def release(self, fuse: int | None) -> None:
        waiting = self.model.books.released()
        got = self.site.attempt(self.queue.release_retries, fuse)
        if got is LOST:
            self.reopened()
            now_there = self.site.books().rows
            waiting = [n for n in waiting if now_there[n].due == now_there[n].born]
        self.model.books.release(waiting)
        assert got in (LOST, len(waiting))

    @rule(data=st.data(), fuse=LONG_FUSE, keep=st.booleans())
    def upkeep(self, data: st.DataObject, fuse: int | None, keep: bool) -> None:
        spare = set(self.some(data)) if keep else set()
        self.run_upkeep(spare, fuse)

    @rule()
    def settle(self) -> None:
        """As many slices as are wanted: then nothing has outlived its TTL, and there is room."""
        self.upkeep_to_the_end()
        # A round that ends here may have begun before some expired, and expiry rests after it.
        self.clock.advance(retention._REST_S)
        self.upkeep_to_the_end()
        assert not self.model.books.expired(self.model.now - retention._REST_S)
        occupied, marks = self.site.occupied()
        kept = self.when_full == "reject" or not self.model.books.rows
        assert occupied <= marks.high or kept

    def upkeep_to_the_end(self) -> None:
        rounds = len(self.model.books.rows) + 4
        while rounds > 0 or self.queue.bounds.crowded:
            self.run_upkeep(set(), None)
            rounds -= 1
            assert rounds > -100, "there is no end to it"

    def run_upkeep(self, spare: set[int], fuse: int | None) -> None:
        self.swept, self.sparing, self.short = False, spare, False
        got = self.site.attempt(lambda: self.queue.upkeep(spare), fuse)
        assert got is LOST or self.swept
        if got is LOST:
            self.site.open()
        if self.swept:
            self.judge_room()
        else:
            self.adopt_expired()
        if got is LOST:
            self.model.opened()

    def expired_is_gone(self) -> None:
        """Between the two halves of an upkeep."""
        self.adopt_expired()
        self.occupied_before = self.site.occupied()
        self.swept = True

    def adopt_expired(self) -> int:
        books, seen = self.model.books, self.site.books()
        gone = books.rows.keys() - seen.rows.keys()
        assert gone <= books.expired(self.model.now) - self.sparing
        assert len(gone) <= retention.SLICE_ROWS
        return books.remove(gone, "expired")

    def judge_room(self) -> None:
        seen, before = self.site.books(), self.model.books
        self.model.spare = set()
        self.model.spared(self.sparing)
        self.model.books = self.model.room_was_made(seen)
        gone = before.rows.keys() - seen.rows.keys()
        occupied, marks = self.occupied_before
        assert not gone or occupied > marks.low
        assert not gone or self.when_full != "reject"
        assert seen.ledger["thinned"] == before.ledger["thinned"] or self.when_full == "thin"
        thinned = seen.ledger["thinned"] - before.ledger["thinned"]
        assert len(gone) - thinned <= shedding.SLICE_ROWS
        assert len(before.dead.keys() - seen.dead.keys()) <= shedding.EMERGENCY_ROWS

    # -- time and power ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 25.0, 280.0, 4_000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.0, -1e6, 1e6, 40.0]), flag=st.booleans(), fuse=FUSE)
    def set_clock(self, seconds: float, flag: bool, fuse: int | None) -> None:
        """By a time service that puts up its flag, or by a person."""
        self.clock.step(seconds)
        if flag:
            self.clock.trust()
        if self.site.attempt(self.queue.tick, fuse) is LOST:
            self.reopened()

    @rule(disk=st.sampled_from([0, PLENTY]))
    def fill_disk(self, disk: int) -> None:
        self.site.free = disk

    @rule(seconds=st.sampled_from([0.0, 0.0, 1e6]), fuse=LONG_FUSE)
    def restart(self, seconds: float, fuse: int | None) -> None:
        self.queue.close()
        self.clock.step(seconds)
        self.site.come_up(fuse)
        self.model.opened()

    @rule(seconds=st.sampled_from([0.0, -1e5, -1e9, 1e5]), right=st.booleans(), fuse=LONG_FUSE)
    def reboot(self, seconds: float, right: bool, fuse: int | None) -> None:
        """The power fails, and the clock comes up where it stopped, or anywhere."""
        assert self.site.attempt(self.queue.pending_count, 0) is LOST
        self.clock.reboot(wall=self.clock.wall() + seconds, synchronized=right)
        self.site.come_up(fuse)
        self.model.opened()

    def reopened(self) -> None:
        """After a kill in something whose outcome the rule looks at."""
        self.site.open()
        self.model.opened()

    def today(self) -> str:
        """An unsynchronised clock ends no day that was begun."""
        today = time.strftime("%Y-%m-%d", time.localtime(self.clock.wall()))
        return today if self.clock.synchronized() else max(today, self.model.books.sent[0])

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def content_is_the_models(self) -> None:
        self.queue.tick()
        self.model.look()
        assert self.queue.now() == self.model.now
        assert self.site.books() == self.model.books

    @invariant()
    def books_close(self) -> None:
        ledger, books = self.queue.ledger(), self.model.books
        assert ledger.closes
        for fate, items in books.ledger.items():
            if items:
                event(fate)
        assert (ledger.enqueued, ledger.queued) == (books.given, len(books.rows))
        day, sent = books.sent
        assert self.queue.messages_sent_today == (sent if day == self.today() else 0)

    @invariant()
    def order_and_eligibility_hold(self) -> None:
        found, books = self.queue.dequeue(1000), self.model.books
        ids, eligible = [item.id for item in found], books.eligible(self.model.now)
        if self.site.correcting():
            event("rows are being corrected")
            # Nacked rows may stand elsewhere for as long as rows are being corrected.
            assert sorted(ids) == sorted(eligible)
            ids, eligible = (
                [n for n in numbers if not books.rows[n].tries] for numbers in (ids, eligible)
            )
        assert ids == eligible
        for item in found:
            row = books.rows[item.id]
            assert (item.payload, item.created_at) == (row.payload, row.born)
            assert (item.retry_count, item.next_retry_at) == (row.tries, row.due)

    @invariant()
    def statistics_are_right(self) -> None:
        queued, now = self.model.books.rows, self.model.now
        assert self.queue.pending_count() == len(queued)
        by_priority = [row.priority for row in queued.values()]
        assert self.queue.depths() == {p: by_priority.count(p) for p in Priority}
        assert self.queue.get_stats() == {
            "depth": len(queued),
            "oldest_item_timestamp": min((row.born for row in queued.values()), default=None),
            "total_retries": sum(row.tries for row in queued.values()),
            "retrying_items": sum(row.tries > 0 for row in queued.values()),
        }
        assert self.queue.backed_off() == sum(row.due > now for row in queued.values())
        first = queued[min(queued)] if queued else None
        assert self.queue.oldest_s() == (max(0.0, now - first.born) if first else None)


TestQueue = pytest.mark.filterwarnings("error")(QueueMachine.TestCase)
