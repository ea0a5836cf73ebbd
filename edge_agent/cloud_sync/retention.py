"""What leaves unsent: expiry, in slices that hold the lock for moments.

Thinning and shedding, for a queue that is full, have their place here too.
"""

from __future__ import annotations

from edge_agent.cloud_sync import ledger
from edge_agent.cloud_sync.store import Store

#: Rows looked at in one go: a read of milliseconds, and a delete of no more.
SLICE_ROWS = 2_000

_SLICE_END = "SELECT max(id) FROM (SELECT id FROM sync_queue WHERE id > ? ORDER BY id LIMIT ?)"
_EXPIRED = "FROM sync_queue WHERE id > ? AND id <= ? AND created_at + ttl_seconds <= ?"


class Expiry:
    """Goes round the queue by id, a slice a call, and deletes what has outlived its TTL.

    By id and not by an index on expiry: such an index would cost a quarter more bytes on the card
    for every reading, and this costs a scan an hour.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cursor = 0

    def sweep(self, now: float) -> tuple[int, bool]:
        """Look at the next slice.

        Args:
            now: queue time, Unix seconds.

        Returns:
            how many rows expired, and whether the end was reached (the next call starts anew).
        """
        start = self._cursor
        with self._store.read() as db:
            end = db.execute(_SLICE_END, (start, SLICE_ROWS)).fetchone()[0]
            if end is None:
                self._cursor = 0
                return 0, True
            found = db.execute(f"SELECT count(*) {_EXPIRED}", (start, end, now)).fetchone()[0]
        self._cursor = end
        return (self._delete(start, end, now) if found else 0), False

    def _delete(self, start: int, end: int, now: float) -> int:
        """Delete and count the slice's expired rows, in one transaction."""
        with self._store.write() as db:
            gone = db.execute(f"DELETE {_EXPIRED}", (start, end, now)).rowcount
            ledger.post(db, "expired", gone)
        return gone
