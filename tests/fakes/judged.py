"""A queue that may lose its power in anything it does, and the judgement of what it left."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import StoreError
from fakes.killable import LOST, Killable
from fakes.queue_model import Books, Model

Ids = AbstractSet[int]

#: What `with_room_for` returns in place of an outcome.
NO_ROOM = "there is no room on the disk"
#: Pages of a file without rows, and pages that rows may take besides one for two of them.
EMPTY_PAGES = 17
SPLIT_PAGES = 4


def with_room_for(act: Callable[[], Any]) -> Any:
    """Do it; `NO_ROOM` if the disk is too full for it."""
    try:
        return act()
    except StoreError as exc:
        if exc.reason != "SQLITE_FULL":
            raise
        return NO_ROOM


class Judged(RuleBasedStateMachine):
    """The queue beside its model."""

    site: Killable
    model: Model

    def teardown(self) -> None:
        if hasattr(self, "site"):
            self.site.remove()

    @property
    def queue(self) -> CloudSyncQueue:
        return self.site.queue

    def do(self, act: Callable[[], Any], change: Callable[[Books], Any], fuse: int | None) -> None:
        """Do something that is done wholly or not at all."""
        unused, before = self.site.unused_pages(), self.model.books
        got = self.site.attempt(lambda: with_room_for(act), fuse)
        if got is LOST:
            self.site.open()
        seen, would = self.site.books(), before.copy()
        change(would)
        more = len(would.dead) - len(before.dead) + would.given - before.given
        # What died is among the dead letters, or was shed before it could.
        leaving = (before.rows.keys() - would.rows.keys()) - (would.dead.keys() - seen.dead.keys())
        books = self.room_made(seen, more, unused, leaving)
        if got is NO_ROOM:
            self.judge_no_room(seen, more)
            return
        expected = change(books)
        assert got in (LOST, expected)
        if got is not LOST or seen != before:
            self.take(books)
        if got is LOST:
            self.model.opened()

    def take(self, books: Books) -> None:
        """These are the books now; new rows bear what the queue knew of the clock."""
        new = range(self.model.books.given + 1, books.given + 1)
        self.model.books = books
        if new:
            self.model.stored(new)

    def room_made(self, seen: Books, more: int, unused: int, leaving: Ids = frozenset()) -> Books:
        """The books after what was shed for some more rows: nothing, unless the file is full."""
        before = self.model.books
        books = self.model.room_was_made(seen, range(before.given + 1, seen.given + 1), leaving)
        if books.ledger != before.ledger:
            event("shed on a full disk")
            assert self.site.pinned
            assert unused < more + SPLIT_PAGES
        return books

    def judge_no_room(self, seen: Books, more: int) -> None:
        """Refused for want of pages: nothing was done, and all that may go would not be enough."""
        event("no room")
        assert seen == self.model.books
        staying = more + len(seen.dead) + len(self.model.spare)
        assert self.site.pinned
        assert self.site.pages < EMPTY_PAGES + SPLIT_PAGES + (staying + 1) // 2
