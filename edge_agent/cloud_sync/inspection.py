"""How the queue is: the questions that change nothing."""

from __future__ import annotations

import abc
from typing import Any

from edge_agent.clock import Clock
from edge_agent.cloud_sync import census, ledger
from edge_agent.cloud_sync.ledger import Ledger
from edge_agent.cloud_sync.store import Store
from edge_agent.cloud_sync.traffic import Traffic
from edge_agent.types import Priority


class Inspection(abc.ABC):
    """The part of `CloudSyncQueue` that only looks; none of it makes a writer wait."""

    _store: Store
    _clock: Clock
    #: what was sent in a day and in a month
    traffic: Traffic

    @abc.abstractmethod
    def now(self) -> float:
        """Queue time, Unix seconds."""

    def pending_count(self) -> int:
        """All rows in the queue, whatever their TTL or retry state."""
        with self._store.read() as db:
            return census.depth(db)

    def depths(self) -> dict[Priority, int]:
        """How many rows of each priority are queued."""
        with self._store.read() as db:
            return census.depths(db)

    def row_bytes(self) -> float:
        """About what one more row takes of the file; 0.0 while the queue is empty."""
        with self._store.read() as db:
            return census.row_bytes(db)

    def get_stats(self) -> dict[str, Any]:
        """Statistics over every row; reads all of them.

        Returns:
            ``depth``, ``oldest_item_timestamp`` (queue time; None when empty), ``total_retries``
            and ``retrying_items``.
        """
        with self._store.read() as db:
            return census.stats(db)

    def oldest_s(self) -> float | None:
        """Seconds that the first row has waited, in queue time; None when the queue is empty."""
        with self._store.read() as db:
            queued_at = census.oldest(db)
        return None if queued_at is None else max(0.0, self.now() - queued_at)

    def backed_off(self) -> int:
        """How many rows wait for the time of their next try."""
        with self._store.read() as db:
            return census.waiting(db, self.now())

    def ledger(self) -> Ledger:
        """Where every row that was ever enqueued is now."""
        with self._store.read() as db:
            return ledger.read(db)

    def totals(self) -> dict[str, int]:
        """The ledger's entries, but for the rows that are queued: those take time to count."""
        with self._store.read() as db:
            return ledger.totals(db)

    def size_bytes(self) -> int:
        """What the file and its log occupy."""
        return self._store.total_bytes()

    @property
    def last_flush_time(self) -> float | None:
        """Unix time of the most recent successful flush; None before the first."""
        with self._store.read() as db:
            return ledger.setting(db, ledger.LAST_FLUSH) or None

    @property
    def messages_sent_today(self) -> int:
        """Items flushed since local midnight; kept in the file, starts anew by itself."""
        return self.traffic.day().items
