"""The store-and-forward queue: at-least-once, in order, bounded, on one SQLite file.

The published reference is kept name for name; where its behaviour was a defect, the docstring says
what happens instead.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import (
    bounds,
    correction,
    gaps,
    ledger,
    limits,
    memory,
    rows,
    selection,
    timeline,
    ttl_span,
)
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.care import Care
from edge_agent.cloud_sync.flock import FlusherLock
from edge_agent.cloud_sync.flush import flush_all
from edge_agent.cloud_sync.item import QueueItem, decoded
from edge_agent.cloud_sync.origin import Origin
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.cloud_sync.retention import Expiry
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.cloud_sync.store import Store
from edge_agent.cloud_sync.timeline import QueueTime
from edge_agent.cloud_sync.traffic import Traffic
from edge_agent.errors import QueueFull, StoreError
from edge_agent.types import Priority, Submission

__all__ = ["CloudSyncQueue", "Priority", "QueueItem"]

#: Beyond so many kinds of rows the file is asked at each insert whether it knows theirs.
MOST_KNOWN_TTLS = 1_000


class CloudSyncQueue(Care):
    """A durable queue in one SQLite file.

    **Durable**: with ``durability="full"`` an id that `enqueue` returned survives a power cut, with
    ``"normal"`` a crash of the process. **At-least-once**: a row leaves only as delivered, expired,
    dead or discarded, and is counted in the transaction that removes it. **Thread-safe**, and safe
    beside other processes on the same file; no lock is held over the network.
    """

    #: how many steps stood in the file when rows were last chosen to be sent
    _chosen: int = 0

    def __init__(
        self,
        db_path: str | Path = "sync_queue.db",
        *,
        durability: str = "full",
        device_id: str = "",
        clock: Clock | None = None,
        max_size_bytes: int = limits.MAX_SIZE_BYTES,
        min_free_disk_bytes: int = limits.MIN_FREE_DISK_BYTES,
        when_full: str = "thin",
        free_bytes: Callable[[Path], int] = limits.free_bytes,
        unattended: bool = False,
    ) -> None:
        """Open the queue; file and directory are made where they are not.

        Args:
            db_path: the database file.
            durability: ``full`` or ``normal``.
            device_id: whom new rows belong to, for the server.
            clock: another than this machine's, for simulations.
            max_size_bytes: what rows, log, dead letters and files set aside may occupy together.
            min_free_disk_bytes: with less than that free on the disk, the file does not grow.
            when_full: ``thin``, ``shed`` or ``reject``.
            free_bytes: tells what is free in a directory; another than this machine's, for tests.
            unattended: the daemon's way: a damaged file is set aside and salvaged, one that
                cannot be used yet is tried again at each call.

        Raises:
            ValueError: ``durability`` or ``when_full`` is none of its words, or a size is none.
            StoreError: the file cannot be used, and this is not ``unattended``.
        """
        if durability not in ("full", "normal"):
            raise ValueError(f"durability is {durability!r}; it is 'full' or 'normal'")
        self.path = Path(db_path).absolute()
        self._clock = clock or SystemClock()
        bound = limits.Limits(max_size_bytes, min_free_disk_bytes, when_full)
        self._time = QueueTime(self._clock)
        self._device_id = device_id
        self._new_origin()
        self._flusher = FlusherLock(self.path, patient=unattended)
        self._store: Store = bounds.open_store(
            self.path,
            bound,
            durability=durability,
            clock=self._clock,
            unattended=unattended,
            opened=self._go_on,
            guard=self._flusher.guard,
            replaced=self._new_origin,
        )
        #: the limits, kept; and what that has cost since the file was opened
        self.bounds = bounds.Bounds(self._store, bound, free_bytes)
        #: rows that a request may have carried, and of which the file has no note
        self._unnoted: set[int] = set()
        self._expiry = Expiry(self._store)
        self._floors = selection.Floors()
        self.traffic = Traffic(self._store, self._clock)
        #: what outlives a restart besides the rows
        self.memory = memory.Memory(self._store, self._clock)

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> CloudSyncQueue:
        """The queue a mapping of constructor arguments describes: ``{"db_path": "/data/q.db"}``."""
        return cls(**d)

    # -- in ------------------------------------------------------------------------------------

    def enqueue(
        self,
        payload: Mapping[str, Any],
        priority: Priority = Priority.TELEMETRY,
        ttl_seconds: int = 86_400,
    ) -> int:
        """Store one payload durably.

        Args:
            payload: JSON-representable; dates, UUIDs, ``Decimal`` and paths become texts.
            priority: which rows go first.
            ttl_seconds: how long it may wait, in queue time, before it is dropped unsent; above 0.

        Returns:
            its id, after the commit.

        Raises:
            PayloadError: refused, nothing was stored.
            ValueError: the TTL is not above 0, or beyond a thousand years.
            QueueFull: there is no room, and ``when_full`` is ``reject``.
            StoreError: the file could not be written; nothing was stored as far as SQLite says.
        """
        return self.enqueue_many([Submission(payload, priority, ttl_seconds)])[0]

    def enqueue_many(
        self, submissions: Iterable[Submission], states: Mapping[str, Any] | None = None
    ) -> list[int]:
        """Store several payloads in one commit: all of them or none.

        Args:
            submissions: what to store.
            states: what `memory` is to keep by owner, in the same commit; JSON-representable.

        Returns:
            their ids, in order, one after the other without a hole.

        Raises:
            PayloadError, QueueFull, StoreError: as `enqueue`.
        """
        new = [rows.stored_form(submission) for submission in submissions]

        def put(db: sqlite3.Connection, receipt: Receipt) -> QueueFull | list[int]:
            memory.keep(db, states or {})
            return (self.bounds.admit(db, new) or self._insert(db, new, receipt)) if new else []

        stored = self._store.store(put) if new or states else []
        # Raised in the transaction, it would undo its own entry in the books.
        if isinstance(stored, QueueFull):
            raise stored
        # Only now: of a transaction that failed the file knows nothing.
        if len(self._known_ttls) < MOST_KNOWN_TTLS:
            self._known_ttls.update(map(_kind, new))
        return stored

    def enqueue_gaps(self, reading_of: Callable[[gaps.Gap], Submission]) -> list[gaps.Gap]:
        """Queue what `bounds` took as readings, once there is room; some of them a call.

        In the transaction that stores them they are forgotten. Returns which they were.
        """

        def tell(db: sqlite3.Connection, receipt: Receipt) -> list[gaps.Gap]:
            taken = gaps.take(db)
            if taken:
                new = [rows.stored_form(reading_of(gap)) for gap in taken]
                self._insert(db, new, receipt)
            return taken

        if not self.bounds.roomy:
            return []
        # Mostly there are none, and every upkeep asks: nobody is to wait for a writer's lock.
        with self._store.read() as db:
            untold = gaps.are_untold(db)
        return self._store.store(tell) if untold else []

    # -- out -----------------------------------------------------------------------------------

    def dequeue(self, batch_size: int = 10) -> list[QueueItem]:
        """Up to ``batch_size`` items that may be sent now; they stay until `ack`.

        Returns:
            by priority, then in the order they were queued; empty when there is nothing to send.
        """
        now = self._settled(to_look=True)
        with self._store.read() as db:
            found = selection.eligible(db, now, Wanted(batch_size), self._floors)
        return [decoded(row) for row in found]

    def peek(self, n: int = 5) -> list[QueueItem]:
        """As `dequeue`, for looking."""
        return self.dequeue(n)

    def next_batch(self, wanted: Wanted) -> Batch | None:
        """The rows of the next request, payloads still as stored text; they stay until `ack`."""
        now = self._settled(to_look=True)
        self._chosen = self._booked
        with self._store.read() as db:
            batch = selection.next_batch(db, now, wanted, self._floors)
        self.bounds.on_their_way(batch.ids if batch else ())
        return batch

    def all_batches(self) -> list[Batch]:
        """Everything that may be sent now, a batch for each ``queue_id``; all of it in memory."""
        now = self._settled(to_look=True)
        self._chosen = self._booked
        with self._store.read() as db:
            return selection.all_batches(db, now)

    def note_request(self, ids: Sequence[int]) -> bool:
        """Keep that a request is about to carry these rows; writes only before the clock is right.

        A correction leaves their payloads as they are: the server may have them. Where the file
        takes no note it is kept in memory, and an alarm goes out all the same.

        Returns:
            whether they may go as they were chosen; if not, the clock was set since.
        """
        if not self._time.standing().synchronized:
            self._unnoted.update(ids)
            with contextlib.suppress(StoreError):
                self._store.change(self._note_requests)
                self._unnoted.clear()
        return self._time.seen == self._chosen

    def ack(self, ids: Sequence[int]) -> int:
        """Delete delivered items. Returns how many rows that were."""
        return self._store.change(lambda db: rows.remove(db, ids, "delivered"))

    def ack_sent(self, ids: Sequence[int], sent_bytes: int = 0) -> int:
        """As `ack`, and counts items and the bytes of their request, in the same transaction."""
        return self._flushed(ids, "delivered", sent_bytes)

    def discard(self, ids: Sequence[int]) -> int:
        """Delete items unsent, because a person said so. Returns how many rows that were."""
        return self._flushed(ids, "discarded")

    def nack(self, ids: Sequence[int], retry_delay_seconds: float = 60.0) -> int:
        """Put items off: they are eligible again after ``retry_delay_seconds`` (at once below 0).

        ``retry_count`` goes up by one; it is information, never a sentence. Returns how many rows.
        """
        return self.nack_sent(ids, retry_delay_seconds, 0)

    def nack_sent(self, ids: Sequence[int], delay_s: float, sent_bytes: int) -> int:
        """As `nack`, and counts the bytes of the attempt that failed, in the same transaction."""

        def put_off(db: sqlite3.Connection) -> int:
            now = self.now()
            self._book(db)
            self.traffic.book(db, 0, sent_bytes)
            # Never before now: a row's next try is not before its birth (see `selection`).
            return rows.put_off(db, ids, now + max(0.0, delay_s))

        return self._store.change(put_off)

    def dead_letter(self, ids: Sequence[int], reason: str) -> int:
        """Set condemned items aside, each with the answer that condemned it.

        Returns:
            how many rows that were.
        """
        return self._store.change(lambda db: rows.bury(db, ids, self.now(), reason))

    def still_queued(self, ids: Sequence[int]) -> set[int]:
        """Which of these rows a person has not purged or exported meanwhile."""
        with self._store.read() as db:
            return rows.present(db, ids)

    def restore(self, ids: Sequence[int], retry_delay_seconds: float = 0.0) -> int:
        """Take dead letters back into the queue under their own ids, tries and age as they were.

        For the daemon, when the server that condemned them turns out to be wrong about everything.

        Returns:
            how many there were.
        """
        due_s = max(0.0, retry_delay_seconds)
        return self._store.change(lambda db: rows.resurrect(db, ids, self.now() + due_s))

    def maybe_flush(self, uploader: Any = None) -> int:
        """Send everything that may be sent now as one batch, and settle it.

        For programs that drive the queue themselves; the daemon sends ``batch_size`` at a time.
        The upload runs outside every lock. Success is ``ack``, failure is ``nack``.

        Args:
            uploader: `HTTPCloudUploader`, or anything with ``post_batch(payloads) -> bool``.

        Returns:
            how many items left the queue.

        Warning:
            Without an uploader everything eligible is **deleted unsent** (and counted as
            discarded): meant for tests and for emptying a queue on purpose.

        Raises:
            QueueBusy: another thread or process (a running agent) flushes this file.
        """
        with self.flushing():
            return flush_all(self, uploader)

    def flushing(self) -> contextlib.AbstractContextManager[None]:
        """Be the file's one flusher for the length of a ``with`` block.

        Raises:
            QueueBusy: somebody else is.
        """
        return self._flusher.held()

    def rename_device(self, device_id: str) -> None:
        """Let the rows to come belong to ``device_id``; those queued keep the one they have."""
        self._device_id = device_id
        self._new_origin()

    def close(self) -> None:
        """Close the file. Idempotent; what needs the file raises `QueueClosed` from then on."""
        self._store.close()
        self.bounds.closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------

    def _book(self, db: sqlite3.Connection) -> None:
        """As `Housekeeping._book`; what requests may have carried before is known by then."""
        if self._unnoted:
            self._note_requests(db)
        super()._book(db)

    def _note_requests(self, db: sqlite3.Connection) -> None:
        # A copy: the flusher's thread may be at it.
        correction.note_request(db, tuple(self._unnoted), self._clock.boot_id())

    def _insert(
        self, db: sqlite3.Connection, new: Sequence[rows.NewRow], receipt: Receipt
    ) -> list[int]:
        """Store rows in the caller's transaction."""
        # The time is taken under the lock, so that no later id is older; and a step of the
        # clock that it brings to light is booked before the rows that came after it.
        now = self.now()
        self._book(db)
        new = [timeline.caught_up(row, self._time.untold) for row in new]
        self.origin.register(db)
        ttl_span.keep(db, set(map(_kind, new)) - self._known_ttls)
        ids = rows.insert(db, new, now)
        receipt.fill(ids, [row.payload for row in new], now)
        return ids

    def _new_origin(self) -> None:
        """Let the rows to come have a queue_id of their own; the file may be another one."""
        #: what the rows to come are born with; another one where the file was replaced
        self.origin = Origin(self._device_id, self._clock)
        #: pairs of priority and TTL that the file's spans are known to hold
        self._known_ttls: set[tuple[int, int]] = set()

    def _flushed(self, ids: Sequence[int], fate: str, sent_bytes: int = 0) -> int:
        """Delete items and count them as flushed, in one transaction."""

        def settle(db: sqlite3.Connection) -> int:
            gone = rows.remove(db, ids, fate)
            self.traffic.book(db, gone, sent_bytes)
            ledger.set_setting(db, ledger.LAST_FLUSH, self._clock.wall())
            return gone

        return self._store.change(settle)


def _kind(row: rows.NewRow) -> tuple[int, int]:
    """Its priority and its TTL."""
    return row.priority, row.ttl_seconds
