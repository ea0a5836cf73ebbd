"""What has outlived its TTL leaves, in slices that hold the lock for moments."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from edge_agent.cloud_sync import correction, rows, ttl_span
from edge_agent.cloud_sync.store import Store
from edge_agent.types import Priority

#: Rows deleted in one transaction, and rows looked at in one read.
SLICE_ROWS = 2_000
LOOK_ROWS = 10_000
#: The pause after a round that looked at more than that: a row leaves within a minute of its end.
_REST_S = 30.0

_AGED = "created_at + {shift} + ttl_seconds <= ?1"
_OLD_ENOUGH = f"""
SELECT next_retry_at, id, {_AGED} FROM sync_queue
WHERE priority = ?2 AND next_retry_at <= ?3 AND (next_retry_at, id) > (?4, ?5)
ORDER BY next_retry_at, id LIMIT ?6
"""
_NACKED = f"""
SELECT next_retry_at, id, {_AGED} FROM sync_queue INDEXED BY idx_sync_queue_retried
WHERE retry_count > 0 AND id > ?5 ORDER BY id LIMIT ?6
"""
#: A round goes by priority, and then through what was nacked: that is found nowhere by its age.
_STRETCHES = (*Priority, None)
_START = (-math.inf, 0)


class Expiry:
    """Deletes what has outlived its TTL, a slice a call.

    A row can have expired where its next try lies at least the shortest TTL of its priority back,
    or where it was nacked. So where all rows of a priority have one TTL, nothing is looked at in
    vain. (An index on expiry would cost a quarter more bytes on the card for every reading.)
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stretch = 0
        #: next try and id of the last row of the stretch that was looked at
        self._passed = _START
        self._looked = 0
        self._rest_until = -math.inf

    @property
    def midway(self) -> bool:
        """Whether a round is begun and not at its end."""
        return self._stretch > 0 or self._passed != _START

    def sweep(self, now: float, spare: AbstractSet[int] = frozenset()) -> tuple[int, bool]:
        """Go on with a round, or begin the next.

        Args:
            now: queue time, Unix seconds.
            spare: ids that stay, expired or not: they are on their way.

        Returns:
            how many rows expired, and whether the end was reached (the next call starts anew).
        """
        if now < self._rest_until:
            return 0, True
        with self._store.read() as db:
            going = self._expired(db, now, spare)
        gone = self._delete(going) if going else 0
        if not self.midway:
            self._rest_until = now + _REST_S if self._looked > LOOK_ROWS else now
            self._looked = 0
        return gone, not self.midway

    def _expired(self, db: sqlite3.Connection, now: float, spare: AbstractSet[int]) -> list[int]:
        """Up to a slice of expired rows, among those that one read looks at."""
        going: list[int] = []
        most = self._looked + LOOK_ROWS
        for due, number, aged in self._from_here(db, now):
            self._passed = (due, number)
            self._looked += 1
            if aged and number not in spare:
                going.append(number)
            if len(going) == SLICE_ROWS or self._looked == most:
                return going
        self._stretch, self._passed = 0, _START
        return going

    def _from_here(self, db: sqlite3.Connection, now: float) -> Iterator[tuple[float, int, bool]]:
        """Rows that may have expired, to the end of the round; remembers the stretch."""
        shift, spans = correction.shift(db), ttl_span.read(db)
        for stretch, priority in list(enumerate(_STRETCHES))[self._stretch :]:
            self._stretch = stretch
            query = (_NACKED if priority is None else _OLD_ENOUGH).format(shift=shift)
            until = now - spans[priority].shortest if priority else now
            yield from db.execute(query, (now, priority, until, *self._passed, LOOK_ROWS))
            self._passed = _START

    def _delete(self, ids: list[int]) -> int:
        return self._store.change(lambda db: rows.remove(db, ids, "expired"))
