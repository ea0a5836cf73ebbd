"""The store-and-forward queue: at-least-once, in order, bounded, on one SQLite file.

The published reference is kept name for name; where its behaviour was a defect, the docstring says
what happens instead.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Self

from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import census, ledger, rows, schema, selection, timeline
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.flock import FlusherLock
from edge_agent.cloud_sync.flush import flush_all
from edge_agent.cloud_sync.inspection import Inspection
from edge_agent.cloud_sync.item import QueueItem, decoded
from edge_agent.cloud_sync.memory import Memory
from edge_agent.cloud_sync.origin import Origin
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.cloud_sync.retention import Expiry
from edge_agent.cloud_sync.store import Store
from edge_agent.cloud_sync.timeline import QueueTime, Step
from edge_agent.types import Priority, Submission

__all__ = ["CloudSyncQueue", "Priority", "QueueItem"]

_MOST_STEPS = 100


class CloudSyncQueue(Inspection):
    """A durable queue in one SQLite file.

    **Durable**: with ``durability="full"`` an id that `enqueue` returned survives a power cut, with
    ``"normal"`` a crash of the process. **At-least-once**: a row leaves only as delivered, expired,
    dead or discarded, and is counted in the transaction that removes it. **Thread-safe**, and safe
    beside other processes on the same file; no lock is held over the network.
    """

    def __init__(
        self,
        db_path: str | Path = "sync_queue.db",
        *,
        durability: str = "full",
        device_id: str = "",
        clock: Clock | None = None,
        unattended: bool = False,
    ) -> None:
        """Open the queue; file and directory are made where they are not.

        Args:
            db_path: the database file.
            durability: ``full`` or ``normal``.
            device_id: whom new rows belong to, for the server.
            clock: another than this machine's, for simulations.
            unattended: the daemon's way: a damaged file is set aside and salvaged, one that
                cannot be used yet is tried again at each call.

        Raises:
            ValueError: ``durability`` is neither word.
            StoreError: the file cannot be used, and this is not ``unattended``.
        """
        if durability not in ("full", "normal"):
            raise ValueError(f"durability is {durability!r}; it is 'full' or 'normal'")
        self.path = Path(db_path).absolute()
        self._clock = clock or SystemClock()
        self._time = QueueTime(self._clock, given_out=0.0)
        self._device_id = device_id
        self._new_origin()
        self._flusher = FlusherLock(self.path, patient=unattended)
        self._store = Store(
            self.path,
            durability=durability,
            clock=self._clock,
            unattended=unattended,
            opened=lambda db: self._time.begin_after(census.newest(db)),
            guard=self._flusher.guard,
            replaced=self._new_origin,
        )
        # Of a program that never asks for them, the last ones.
        self._steps: deque[Step] = deque(maxlen=_MOST_STEPS)
        self._marked_synchronized = False
        self._expiry = Expiry(self._store)
        #: what outlives a restart besides the rows
        self.memory = Memory(self._store, self._clock)

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
            StoreError: the file could not be written; nothing was stored as far as SQLite says.
        """
        return self.enqueue_many([Submission(payload, priority, ttl_seconds)])[0]

    def enqueue_many(self, submissions: Iterable[Submission]) -> list[int]:
        """Store several payloads in one commit: all of them or none.

        Returns:
            their ids, in order, one after the other without a hole.

        Raises:
            PayloadError, StoreError: as `enqueue`.
        """
        new = [rows.stored_form(submission) for submission in submissions]
        if not new:
            return []
        receipt = Receipt()
        with self._store.write(receipt) as db:
            # The time is taken under the lock, so that no later id is older; and a step of the
            # clock that it brings to light is booked before the rows that came after it.
            now = self.now()
            self._record_steps(db)
            self._origin.register(db)
            selection.keep_longest_ttls(db, new)
            ids = rows.insert(db, new, now)
            receipt.fill(ids, [row.payload for row in new], now)
        return ids

    # -- out -----------------------------------------------------------------------------------

    def dequeue(self, batch_size: int = 10) -> list[QueueItem]:
        """Up to ``batch_size`` items that may be sent now; they stay until `ack`.

        Returns:
            by priority, then in the order they were queued; empty when there is nothing to send.
        """
        with self._store.read() as db:
            found = selection.eligible(db, self.now(), batch_size)
        return [decoded(row) for row in found]

    def peek(self, n: int = 5) -> list[QueueItem]:
        """As `dequeue`, for looking."""
        return self.dequeue(n)

    def next_batch(
        self, limit: int, max_bytes: int, *, critical_only: bool = False
    ) -> Batch | None:
        """The rows of the next request, payloads still as stored text; they stay until `ack`.

        Args:
            limit: the most items.
            max_bytes: the most bytes of body, uncompressed; a single row always fits.
            critical_only: leave all other priorities alone.
        """
        priorities = (Priority.CRITICAL,) if critical_only else tuple(Priority)
        with self._store.read() as db:
            return selection.next_batch(db, self.now(), limit, max_bytes, priorities)

    def all_batches(self) -> list[Batch]:
        """Everything that may be sent now, a batch for each ``queue_id``; all of it in memory."""
        with self._store.read() as db:
            return selection.all_batches(db, self.now())

    def ack(self, ids: Sequence[int]) -> int:
        """Delete delivered items. Returns how many rows that were."""
        with self._store.write() as db:
            return rows.remove(db, ids, "delivered")

    def ack_sent(self, ids: Sequence[int]) -> int:
        """As `ack`, and counts the items as sent today, in the same transaction."""
        return self._flushed(ids, "delivered")

    def discard(self, ids: Sequence[int]) -> int:
        """Delete items unsent, because a person said so. Returns how many rows that were."""
        return self._flushed(ids, "discarded")

    def nack(self, ids: Sequence[int], retry_delay_seconds: float = 60.0) -> int:
        """Put items off: they are eligible again after ``retry_delay_seconds`` (at once below 0).

        ``retry_count`` goes up by one; it is information, never a sentence. Returns how many rows.
        """
        with self._store.write() as db:
            # Never before now: a row's next try is not before its birth (see `selection`).
            return rows.put_off(db, ids, self.now() + max(0.0, retry_delay_seconds))

    def dead_letter(self, ids: Sequence[int], reason: str) -> int:
        """Set condemned items aside, each with the answer that condemned it.

        Returns:
            how many rows that were.
        """
        with self._store.write() as db:
            return rows.bury(db, ids, self.now(), reason)

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

    # -- time and upkeep -----------------------------------------------------------------------

    def reset_daily_counters(self) -> None:
        """Set `messages_sent_today` to 0 (it also resets itself at local midnight)."""
        with self._store.write() as db:
            sent = ledger.amount_of(db, ledger.ITEMS_DAY, self._today())
            ledger.add_amount(db, ledger.ITEMS_DAY, self._today(), -sent)

    def now(self) -> float:
        """Queue time, Unix seconds: never goes back, and is the wall clock when that is right."""
        step = self._time.observe()
        if step is not None:
            self._steps.append(step)
        return self._time.now()

    def tick(self) -> list[Step]:
        """Look at the clock; for the daemon, at every turn.

        Returns:
            the steps of the wall clock seen since the last call, oldest first.
        """
        self.now()
        newly_right = self._clock.synchronized() and not self._marked_synchronized
        if self._steps or newly_right:
            with self._store.write() as db:
                self._record_steps(db)
                if newly_right:
                    timeline.mark_synchronized(db, self._clock.boot_id())
            self._marked_synchronized = newly_right or self._marked_synchronized
        # Only now: what could not be written is told and written at the next turn.
        return [self._steps.popleft() for _ in range(len(self._steps))]

    def purge_expired(self) -> int:
        """Delete all rows that have outlived their TTL, in slices. Returns how many."""
        # A round of its own: that of `upkeep` is somewhere in the middle.
        expiry, purged, done = Expiry(self._store), 0, False
        while not done:
            gone, done = expiry.sweep(self.now())
            purged += gone
        return purged

    def upkeep(self, spare: AbstractSet[int] = frozenset()) -> int:
        """One slice of housekeeping: expire, and fold the log into the file. For the flusher.

        Args:
            spare: ids of rows that are on their way and must not expire.

        Returns:
            how many rows expired; with `retention.SLICE_ROWS` or more there may be others.
        """
        gone, _ = self._expiry.sweep(self.now(), spare)
        self._store.salvage()
        self._store.check_once()
        if self._store.log_bytes() > schema.LOG_LIMIT_BYTES:
            self._store.checkpoint()
        return gone

    def salvaging(self) -> bool:
        """Whether `upkeep` has more of a damaged file to bring over."""
        return self._store.salvaging()

    def release_retries(self) -> int:
        """Make every nacked row eligible in its old place; for a start, when no batch is frozen.

        In slices, so that nobody waits for a backlog to be rewritten.

        Returns:
            how many rows that were.
        """
        released, slice_rows = 0, -1
        while slice_rows:
            with self._store.write() as db:
                slice_rows = rows.release(db)
            released += slice_rows
        return released

    def rename_device(self, device_id: str) -> None:
        """Let the rows to come belong to ``device_id``; those queued keep the one they have."""
        self._device_id = device_id
        self._new_origin()

    def close(self) -> None:
        """Close the file. Idempotent; what needs the file raises `QueueClosed` from then on."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------

    def _new_origin(self) -> None:
        """Let the rows to come have a queue_id of their own."""
        self._origin = Origin(self._device_id, self._clock)

    def _record_steps(self, db: sqlite3.Connection) -> None:
        """Book the steps that nobody has fetched yet, if that was not done before."""
        for step in tuple(self._steps):
            timeline.record(db, step, boot_id=self._clock.boot_id())

    def _flushed(self, ids: Sequence[int], fate: str) -> int:
        """Delete items and count them as flushed, in one transaction."""
        with self._store.write() as db:
            gone = rows.remove(db, ids, fate)
            ledger.add_amount(db, ledger.ITEMS_DAY, self._today(), gone)
            ledger.set_setting(db, ledger.LAST_FLUSH, self._clock.wall())
        return gone
