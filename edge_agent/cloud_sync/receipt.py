"""What tells, after a commit that ended in an error, whether its rows are in the file.

An error from COMMIT is not "not committed": the frames may be whole in the log although flushing
them failed, and then whoever opens the file next finds the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edge_agent.cloud_sync import ledger

_THESE = "id = ? AND payload = ? AND created_at = ?"


class Receipt:
    """The rows that one transaction inserts."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, str, float]] = []

    def fill(self, ids: Sequence[int], payloads: Sequence[str], created_at: float) -> None:
        """Note what was inserted, still inside the transaction."""
        self._rows = [(*row, created_at) for row in zip(ids, payloads, strict=True)]

    def honoured(self, db: sqlite3.Connection) -> bool:
        """Whether the rows are in the file and on the disk; for a connection opened since.

        Being there is not enough: after a flush that failed the system may take pages for written
        that are not. What the checkpoint copies and flushes anew is.
        """
        if not self._rows:
            return False
        found = db.execute(f"SELECT 1 FROM sync_queue WHERE {_THESE}", self._rows[-1]).fetchone()
        if not found:
            return False
        busy, logged, copied = db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        return not busy and bool(logged == copied)

    def withdraw(self, db: sqlite3.Connection) -> None:
        """Take out, in the caller's transaction, what its owner was told is not in the file."""
        gone = sum(
            db.execute(f"DELETE FROM sync_queue WHERE {_THESE}", row).rowcount for row in self._rows
        )
        # They never were enqueued as far as anybody knows.
        ledger.set_setting(db, "sequence_base", ledger.setting(db, "sequence_base") + gone)
