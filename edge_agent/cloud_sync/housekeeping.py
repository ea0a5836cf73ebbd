"""The queue's time and upkeep: what it does for itself, in slices, off the hot path."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Set as AbstractSet

from edge_agent.cloud_sync import census, correction, rows, schema, timeline
from edge_agent.cloud_sync.bounds import Bounds
from edge_agent.cloud_sync.inspection import Inspection
from edge_agent.cloud_sync.retention import Expiry
from edge_agent.cloud_sync.selection import Floors
from edge_agent.cloud_sync.timeline import QueueTime, Step
from edge_agent.errors import StoreError


class Housekeeping(Inspection):
    """The part of `CloudSyncQueue` that keeps it right over weeks."""

    _time: QueueTime
    _expiry: Expiry
    _floors: Floors
    #: the limits, kept; and what that has cost since the file was opened
    bounds: Bounds
    #: how many steps of the clock are known to stand in the file
    _booked: int = 0
    #: whether rows are still to be rewritten after a step
    _correcting: bool = False
    _marked_synchronized: bool = False

    def reset_daily_counters(self) -> None:
        """Set `messages_sent_today` to 0 (it also resets itself at local midnight)."""
        self.traffic.forget_items_of_day()

    def now(self) -> float:
        """Queue time, Unix seconds: never goes back, and is the wall clock when that is right."""
        self._time.observe()
        return self._time.now()

    def tick(self) -> list[Step]:
        """Look at the clock; for the daemon, at every turn.

        Returns:
            the steps of the wall clock seen since the last call, oldest first.
        """
        self.now()
        newly_right = self._time.standing().synchronized and not self._marked_synchronized
        told = len(self._time.untold)
        if told or newly_right:

            def book(db: sqlite3.Connection) -> None:
                self._book(db)
                if newly_right:
                    timeline.mark_synchronized(db)

            self._store.change(book)
            self._marked_synchronized = newly_right or self._marked_synchronized
        # Only now: what could not be written is told and written at the next turn.
        return [self._time.untold.popleft() for _ in range(told)]

    def purge_expired(self) -> int:
        """Delete all rows that have outlived their TTL, in slices. Returns how many."""
        # A round of its own: that of `upkeep` is somewhere in the middle.
        expiry, purged, done = Expiry(self._store), 0, False
        while not done:
            gone, done = expiry.sweep(self._settled())
            purged += gone
        return purged

    def upkeep(self, spare: AbstractSet[int] = frozenset()) -> int:
        """One slice of housekeeping: expire, correct, make room, fold the log away.

        For the flusher.

        Args:
            spare: ids of rows that are on their way and must stay as they are.

        Returns:
            how many rows expired; where it is `restless` there may be others.
        """
        gone, _ = self._expiry.sweep(self._settled(), spare)
        self._store.salvage()
        self._store.check_once()
        self._correcting = correction.rewrite(self._store)
        self.bounds.upkeep(spare)
        return gone

    def restless(self) -> bool:
        """Whether `upkeep` has more to do at once: to expire, to correct, or to bring over."""
        unfinished = self._store.salvaging() is not None
        return unfinished or self._correcting or self._expiry.midway

    def release_retries(self) -> int:
        """Make every nacked row eligible in its old place; for a start, when no batch is frozen.

        In slices, so that nobody waits for a backlog to be rewritten.

        Returns:
            how many rows that were.
        """
        released, slice_rows = 0, -1
        while slice_rows:
            slice_rows = self._store.change(rows.release)
            released += slice_rows
        with self._store.read():
            # Under the lock of those who look: what they saw before is forgotten too.
            self._floors.forget()
        return released

    def _go_on(self, db: sqlite3.Connection) -> None:
        """Go on with the time where a file that was just opened stands."""
        boot_id = self._clock.boot_id()
        former = timeline.former(db, boot_id)
        self._time.begin_after(census.newest(db), former)
        # At once: a boot that stores nothing may see the clock set, and end before it is booked.
        # A file that cannot be written now, or is being written, can be read and sent; the next
        # write keeps it.
        if former is None:
            with contextlib.suppress(sqlite3.OperationalError), schema.impatient(db):
                db.execute("BEGIN IMMEDIATE")
                with db:
                    timeline.record_opening(db, self._time, boot_id)
                    timeline.keep(db, boot_id, self._time.standing())
                self._time.opening_s = None

    def _book(self, db: sqlite3.Connection) -> None:
        """Book the steps that nobody has fetched yet, if that was not done before."""
        standing, boot_id = self._time.standing(), self._clock.boot_id()
        timeline.record_opening(db, self._time, boot_id)
        for step in tuple(self._time.untold):
            timeline.record(db, step, boot_id=boot_id)
        timeline.keep(db, boot_id, standing)

    def _settled(self, *, to_look: bool = False) -> float:
        """Queue time for reading rows: with every step that moved it booked before they are.

        Args:
            to_look: nothing is going to expire. So it does no harm if the opening of this boot
                cannot be booked: rows that look too old are not sent yet, and stay.
        """
        now, seen = self.now(), self._time.seen
        if seen != self._booked or self._time.opening_s is not None:
            try:
                self._store.change(self._book)
            except StoreError:
                if not to_look or seen != self._booked:
                    raise
            else:
                self._booked, self._time.opening_s = seen, None
        return now
