"""What has outlived its TTL leaves, in slices that hold the lock for moments."""

from __future__ import annotations

import sqlite3
from collections.abc import Set as AbstractSet

from edge_agent.cloud_sync import correction, rows, selection
from edge_agent.cloud_sync.store import Store
from edge_agent.types import Priority

#: Rows deleted in one transaction, and rows looked at in one read.
SLICE_ROWS = 2_000
# Every ten seconds, so that 100,000 rows are gone through, end included, within a minute.
_LOOK_ROWS = 25_000

_HEAD = """
SELECT id FROM sync_queue
WHERE priority = ? AND next_retry_at <= ? AND created_at + {shift} + ttl_seconds <= ? LIMIT ?
"""
_SLICE_END = "SELECT max(id) FROM (SELECT id FROM sync_queue WHERE id > ? ORDER BY id LIMIT ?)"
_IN_SLICE = """
SELECT id FROM sync_queue WHERE id > ? AND id <= ? AND created_at + {shift} + ttl_seconds <= ?
"""


class Expiry:
    """Deletes what has outlived its TTL, a slice a call.

    Where all rows of a priority have one TTL, as the agent's have, the expired ones stand at the
    head of its index. For others it also goes round the queue by id. (An index on expiry would
    cost a quarter more bytes on the card for every reading.)
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cursor = 0

    def sweep(self, now: float, spare: AbstractSet[int] = frozenset()) -> tuple[int, bool]:
        """Look at the heads, and at the next slice of all rows.

        Args:
            now: queue time, Unix seconds.
            spare: ids that stay, expired or not: they are on their way.

        Returns:
            how many rows expired, and whether the end was reached (the next call starts anew).
        """
        with self._store.read() as db:
            expired = _at_the_heads(db, now)
            start = self._cursor
            end = db.execute(_SLICE_END, (start, _LOOK_ROWS)).fetchone()[0]
            if end is not None:
                found = db.execute(
                    _IN_SLICE.format(shift=correction.shift(db)), (start, end, now)
                ).fetchall()
                expired |= {number for (number,) in found}
        going = sorted(expired - spare)
        # What is more than fits one transaction is looked at again.
        self._cursor = start if len(going) > SLICE_ROWS else end or 0
        gone = self._delete(going[:SLICE_ROWS]) if going else 0
        return gone, end is None and not gone

    def _delete(self, ids: list[int]) -> int:
        with self._store.write() as db:
            return rows.remove(db, ids, "expired")


def _at_the_heads(db: sqlite3.Connection, now: float) -> set[int]:
    """Expired rows that the index leads to at once, up to a slice of each priority."""
    query = _HEAD.format(shift=correction.shift(db))
    return {
        number
        for priority in Priority
        for (number,) in db.execute(
            query, (priority.value, selection.expired_until(db, priority, now), now, SLICE_ROWS)
        )
    }
