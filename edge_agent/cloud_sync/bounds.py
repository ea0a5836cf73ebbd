"""Keeps the queue within its limits: who is let in, what is made room, what a full disk needs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, TypeVar

from edge_agent.cloud_sync import ledger, schema, shedding, thinning
from edge_agent.cloud_sync.limits import Limits, Marks, Reserve, Room
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.cloud_sync.rows import NewRow
from edge_agent.cloud_sync.shedding import Shedder
from edge_agent.cloud_sync.store import Store
from edge_agent.errors import QueueFull, StoreError
from edge_agent.types import Priority

T = TypeVar("T")

#: Slices shed in front of one insert at the most, and pages given back to the disk in one slice.
_MOST_EMERGENCIES = 4
_VACUUM_PAGES = 256
#: About what a row and its place in the index take: no more of them go than are in the way.
_ROW_BYTES = 256


def open_store(path: Path, limits: Limits, **how: Any) -> Store:
    """The file, opened as `Store` is told ``how``; on a full disk the reserve is given up for it.

    Raises:
        StoreError: it cannot be used, also with that room.

    Source:
        https://sqlite.org/wal.html: a reader needs the shared-memory file, which needs room.
    """
    try:
        return Store(path, **how)
    except StoreError as exc:
        if not _of_a_full_disk(exc) or not Reserve(path, limits).release():
            raise
    return Store(path, **how)


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
        store.limit_log(limits.log_bytes, min(schema.BACKSTOP_PAGES, limits.max_size_bytes >> 15))

    @property
    def disk_low(self) -> int | None:
        """The bytes that are free, while that is less than there should be; else None."""
        return self._room.free() if self._room.disk_low else None

    def on_their_way(self, ids: Iterable[int]) -> None:
        """Shed none of these rows before the next upkeep says what is to be spared."""
        self._spare.update(ids)

    def change(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Do something that stores no rows in one transaction, else as `store`."""
        return self.store(lambda db, _: act(db), grows=False)

    def store(self, act: Callable[[sqlite3.Connection, Receipt], T], *, grows: bool = True) -> T:
        """Do something in one transaction; on a full disk, make room and try once more.

        Args:
            act: does it, and fills the receipt with what it inserts.
            grows: it stores rows, so that some have to go for it.

        Raises:
            StoreError: not done as far as SQLite says.
        """
        try:
            return self._act(act)
        except StoreError as exc:
            if not _of_a_full_disk(exc):
                raise
        self._reserve.release()
        # Folded away, the log starts over in the room that it has.
        with contextlib.suppress(StoreError):
            self._store.checkpoint()
        if grows and self._limits.when_full != "reject":
            with self._store.write() as db:
                self._shed_some(db)
        return self._act(act)

    def _act(self, act: Callable[[sqlite3.Connection, Receipt], T]) -> T:
        receipt = Receipt()
        with self._store.write(receipt) as db:
            return act(db, receipt)

    def admit(self, db: sqlite3.Connection, new: Sequence[NewRow]) -> QueueFull | None:
        """Make room for rows where there is none left, in the transaction that will store them.

        Returns:
            the refusal, already booked, if the rows must not be stored.
        """
        hard = self._room.marks(db).hard
        if self._room.occupied(db) <= hard:
            return None
        refused = sum(row.priority >= Priority.TELEMETRY for row in new)
        if self._limits.when_full == "reject" and refused:
            ledger.post(db, "rejected", refused)
            self.rejected_total += refused
            return QueueFull(
                f"{self._store.path} has reached {hard} bytes, so {refused} of {len(new)} items"
                " were refused; wait for deliveries, or give the queue more room"
            )
        for _ in range(_MOST_EMERGENCIES):
            if not self._shed_some(db) or self._room.occupied(db) <= hard:
                break
        return None

    def upkeep(self, spare: AbstractSet[int]) -> None:
        """One slice of making room, if any is needed; and what else keeps the disk in order."""
        self._spare = set(spare)
        with self._store.read() as db:
            marks, occupied = self._room.marks(db), self._room.occupied(db)
            unused, pages = self._room.unused_pages(db), self._room.pages(db)
        self._judge(marks, occupied)
        self.crowded = self._shrinking and self._make_room(occupied - marks.low, spare)
        self._trim_dead_letters()
        if self._store.log_bytes() > self._limits.log_bytes:
            self._store.checkpoint()
        self._reserve.keep(self._room.free(), self._limits.min_free_disk_bytes)
        # While the disk is low the file keeps its pages: given away, they would be gone for good.
        if not self._room.disk_low and unused > max(_VACUUM_PAGES, pages // 4):
            self._store.vacuum(_VACUUM_PAGES)

    def _judge(self, marks: Marks, occupied: int) -> None:
        """Begin above the high-water mark, end at the low one."""
        self._shrinking = occupied > (marks.low if self._shrinking else marks.high)
        self._shrinking &= self._limits.when_full != "reject"
        self.roomy = occupied <= marks.low
        if not self._shrinking:
            self._thinned_out = False

    def _make_room(self, excess_bytes: int, spare: AbstractSet[int]) -> bool:
        """One slice; returns whether another one may find more."""
        most = min(shedding.SLICE_ROWS, 1 + excess_bytes // _ROW_BYTES)
        if self._limits.when_full == "thin" and not self._thinned_out:
            return self._thin(most, spare)
        with self._store.write() as db:
            gone, more = self._shedder.any(db, most, spare)
        self.shed_total += gone
        return more

    def _thin(self, most: int, spare: AbstractSet[int]) -> bool:
        """Logs go before anything is thinned; a round that brings nothing is the last one."""
        with self._store.write() as db:
            gone = self._shedder.logs(db, most, spare)
        self.shed_total += gone
        if not gone:
            thinned, end = thinning.thin(self._store, spare)
            self.thinned_total += thinned
            self._round_gain += thinned
            if end:
                self._thinned_out, self._round_gain = self._round_gain == 0, 0
        return True

    def _shed_some(self, db: sqlite3.Connection) -> bool:
        """One small slice in an emergency; returns whether another one may find more."""
        gone, more = self._shedder.any(db, shedding.EMERGENCY_ROWS, self._spare)
        self.shed_total += gone
        return more

    def _trim_dead_letters(self) -> None:
        """Keep them to a tenth, looking only when there are others than last time."""
        with self._store.read() as db:
            dead = ledger.entry(db, "dead")
        if dead == self._dead_seen:
            return
        with self._store.write() as db:
            gone = shedding.shed_dead_letters(db, self._limits.max_size_bytes // 10)
        self._dead_seen = dead
        self.shed_total += gone


def _of_a_full_disk(exc: StoreError) -> bool:
    """Whether it is what SQLite says when there is no room for the file, its log or its index."""
    return exc.reason in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
