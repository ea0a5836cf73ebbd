"""Keeps the queue within its limits: who is let in, what is made room, what a full disk needs."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync import ledger, recovery, schema, shedding, thinning
from edge_agent.cloud_sync.limits import Limits, LowDisk, Marks, Reserve, Room, Vacancy
from edge_agent.cloud_sync.queue_file import Change
from edge_agent.cloud_sync.rows import NewRow
from edge_agent.cloud_sync.shedding import Shedder
from edge_agent.cloud_sync.store import Store
from edge_agent.errors import QueueFull, StoreError
from edge_agent.types import Priority

#: Slices shed in front of one insert at the most, and pages given back to the disk in one slice.
_MOST_EMERGENCIES = 64
_VACUUM_PAGES = 256
#: How often rows go for one transaction on a full disk, and pages they leave the first time; each
#: further time it is four times as many.
_MOST_RELIEFS = 3
_RELIEF_PAGES = 16
#: About what a row and its place in the index take: no more of them go than are in the way.
_ROW_BYTES = 256


def open_store(path: Path, limits: Limits, **how: Any) -> Store:
    """The file, opened as `Store` is told ``how``; on a full disk the reserve is given up for it.

    Raises:
        StoreError: it cannot be used, also with that room.

    Source:
        https://sqlite.org/wal.html: a reader needs the shared-memory file, which needs room.
    """
    return Store(path, make_way=Reserve(path, limits).release, **how)


class Bounds:
    """The limits of one queue file, kept.

    `upkeep` is for the thread that sends; the rest may be called by any.
    """

    def __init__(self, store: Store, limits: Limits, free: Callable[[Path], int]) -> None:
        self.shed_total = 0
        self.thinned_total = 0
        self.rejected_total = 0
        #: whether another slice of upkeep is wanted at once
        self.crowded = False
        #: whether the low-water mark is kept, as of the last upkeep
        self.roomy = False
        self._store = store
        self._limits = limits
        self._room = Room(store, limits, free)
        self._reserve = Reserve(store.path, limits)
        self._shedder = Shedder()
        self._spare: set[int] = set()
        self._shrinking = False
        #: what this round of thinning has brought; a round begun before this start counts as good
        self._round_gain = 1
        self._thinned_out = False
        self._dead_seen = -1
        #: ``reject``: unused pages with which a file that may not grow was found to be full
        self._short: int | None = None
        store.limit(schema.Growth(limits.log_bytes, limits.backstop_pages))
        store.relieve, store.undone = self._relieve, self._shedder.forget
        if self._room.free() < limits.tight_bytes:
            self._hold_still()

    @property
    def disk_low(self) -> LowDisk | None:
        """How the disk is, while it has less room than it should have; else None."""
        return self._room.low_disk() if self._room.disk_low else None

    def vacancy(self) -> Vacancy:
        """What there is still room for, in the queue and on its disk."""
        with self._store.read() as db:
            return self._room.vacancy(db)

    def on_their_way(self, ids: Iterable[int]) -> None:
        """Shed none of these rows before the next upkeep says what is to be spared."""
        self._spare.update(ids)

    def admit(self, db: sqlite3.Connection, new: Sequence[NewRow]) -> QueueFull | None:
        """Make room for rows where there is none left, in the transaction that will store them.

        Returns:
            the refusal, already booked, if the rows must not be stored.
        """
        hard = self._room.marks(db).hard
        if self._room.occupied(db) <= hard and not self._still_short(db):
            return None
        refused = sum(row.priority >= Priority.TELEMETRY for row in new)
        if self._limits.when_full == "reject" and refused:
            ledger.post(db, "rejected", refused)
            self.rejected_total += refused
            return QueueFull(
                f"{self._store.path} is full ({hard} bytes, or what its disk has room for), so"
                f" {refused} of {len(new)} items were refused;"
                " wait for deliveries, or give the queue more room"
            )
        self._shed_until(db, lambda: self._room.occupied(db) <= hard)
        return None

    def upkeep(self, spare: AbstractSet[int]) -> None:
        """One slice of making room, if any is needed; and what else keeps the disk in order."""
        self._spare, self._short = set(spare), None
        self._room.look_around()
        with self._store.read() as db:
            marks, occupied = self._room.marks(db), self._room.occupied(db)
            unused, pages = self._room.unused_pages(db), self._room.pages(db)
        self._judge(marks, occupied)
        self.crowded = self._shrinking and self._make_room(occupied - marks.low, spare)
        self._trim_dead_letters()
        if self._store.log_bytes() > self._limits.log_bytes:
            self._store.checkpoint()
        self._reserve.keep(self._room.free(), self._limits.min_free_disk_bytes)
        if self._room.free() < self._limits.tight_bytes:
            self._hold_still()
        if self._room.disk_low:
            # The file keeps its pages: given away, they would be gone for good.
            return
        self._pin(None)
        if unused > max(_VACUUM_PAGES, pages // 4):
            self._store.vacuum(_VACUUM_PAGES)

    def closed(self) -> None:
        """The file was closed: on a disk without room the log's becomes the reserve again."""
        if self._room.disk_low:
            self._reserve.make()

    def _pin(self, most_pages: int | None) -> None:
        """Let the file grow no more; or, with None, as it needs."""
        if self._store.growth.most_pages != most_pages:
            self._store.limit(dataclasses.replace(self._store.growth, most_pages=most_pages))

    def _hold_still(self) -> None:
        """Let the file grow no more, with the log folded into it and given its room."""
        with contextlib.suppress(StoreError):
            self._store.checkpoint()
        if not self._reserve.path.exists():
            self._reserve.extend_log()
        with contextlib.suppress(StoreError, FileNotFoundError):
            self._pin(self._store.path.stat().st_size // schema.PAGE_BYTES)

    def _relieve(self, tries: int) -> Change | None:
        """Relieve a full disk; returns what the next try has to do first, None if it is no use.

        A file that does not grow has a log that can always be folded into it, in place; and a log
        that has its room, and is folded, can always take what deletes rows.
        """
        if tries > 1 + _MOST_RELIEFS:
            return None
        pinned = self._store.growth.most_pages is not None
        if not tries and pinned and self._room.free() >= self._limits.wanted_bytes:
            self._pin(None)
        elif not tries or not pinned:
            self._reserve.release()
            self._hold_still()
        elif self._limits.when_full == "reject" and self._short is None:
            # First whoever wants the room is refused, if he may be.
            return self._find_short
        else:
            # In the transaction that wants the room: nothing goes for one that fails.
            pages = _RELIEF_PAGES << (2 * (tries - 1))
            return lambda db: self._shed_until(db, lambda: self._room.unused_pages(db) >= pages)
        return lambda _: None

    def _find_short(self, db: sqlite3.Connection) -> None:
        self._short = self._room.unused_pages(db)

    def _still_short(self, db: sqlite3.Connection) -> bool:
        """Whether the file was found to be full, and neither it nor the disk has room since."""
        if self._short is None:
            return False
        unused, free = self._room.unused_pages(db), self._room.free()
        if unused > self._short or free >= self._limits.wanted_bytes:
            self._short = None
        return self._short is not None

    def _judge(self, marks: Marks, occupied: int) -> None:
        """Begin above the high-water mark, end at the low one."""
        self._shrinking = occupied > (marks.low if self._shrinking else marks.high)
        self._shrinking &= self._limits.when_full != "reject"
        self.roomy = occupied <= marks.low
        if not self._shrinking:
            self._thinned_out = False

    def _make_room(self, excess_bytes: int, spare: AbstractSet[int]) -> bool:
        """One slice; returns whether another one may find more."""
        if self._drop_set_aside():
            return True
        most = min(shedding.SLICE_ROWS, 1 + excess_bytes // _ROW_BYTES)
        if self._limits.when_full == "thin" and not self._thinned_out:
            return self._thin(most, spare)
        gone, more = self._store.change(lambda db: self._shedder.any(db, most, spare))
        self.shed_total += gone
        return more

    def _thin(self, most: int, spare: AbstractSet[int]) -> bool:
        """Logs go before anything is thinned; a round that brings nothing is the last one."""
        gone = self._store.change(lambda db: self._shedder.logs(db, most, spare))
        self.shed_total += gone
        if not gone:
            thinned, end = thinning.thin(self._store, spare)
            self.thinned_total += thinned
            self._round_gain += thinned
            if end:
                self._thinned_out, self._round_gain = self._round_gain == 0, 0
        return True

    def _shed_until(self, db: sqlite3.Connection, enough: Callable[[], bool]) -> None:
        """Small slices in the caller's transaction; some of them only look, or pack rows closer.

        Nobody waits until a long queue is looked through for what matters least: then the oldest
        telemetry goes, whatever it is. Else a queue of events would refuse new rows for ever.
        """
        for shed in (self._shed_some, self._shed_oldest):
            for _ in range(_MOST_EMERGENCIES):
                if enough() or not shed(db):
                    return

    def _shed_some(self, db: sqlite3.Connection) -> bool:
        """One small slice in an emergency; returns whether another one may find more."""
        if self._drop_set_aside():
            return True
        gone, more = self._shedder.any(db, shedding.EMERGENCY_ROWS, self._spare)
        self.shed_total += gone
        return more

    def _shed_oldest(self, db: sqlite3.Connection) -> bool:
        """One small slice of telemetry; returns whether another one may find more."""
        gone = self._shedder.oldest(db, shedding.EMERGENCY_ROWS, self._spare)
        self.shed_total += gone
        return gone > 0

    def _drop_set_aside(self) -> bool:
        """What was salvaged is kept for people to look at, and goes before any row does."""
        return recovery.drop_oldest(self._store.path, but=self._store.salvaging())

    def _trim_dead_letters(self) -> None:
        """Keep them to a tenth, looking only when there are others than last time."""
        with self._store.read() as db:
            dead = ledger.entry(db, "dead")
        if dead == self._dead_seen:
            return
        most_bytes = self._limits.max_size_bytes // 10
        gone = self._store.change(lambda db: shedding.shed_dead_letters(db, most_bytes))
        self._dead_seen = dead
        self.shed_total += gone
