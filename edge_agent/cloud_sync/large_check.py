"""The look over a file too large to be checked when it is opened: nobody waits for it.

SQLite checks a file in one statement that cannot be divided. So it runs beside everything else, in
a thread and on a connection of its own that only reads and takes none of the queue's locks.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

from edge_agent.cloud_sync import recovery, salvage
from edge_agent.errors import StoreError


class LargeCheck:
    """One look over one file."""

    def __init__(self, path: Path) -> None:
        """Begin it."""
        #: what it found; None while it found nothing
        self.damage: StoreError | None = None
        self._path = path
        self._db = salvage.connect_reading(path, "mode=ro")
        self._thread = threading.Thread(target=self._look, name="large_check", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def stop(self) -> None:
        """Let it end at its next row; it is not waited for."""
        with contextlib.suppress(sqlite3.Error):
            self._db.interrupt()

    def _look(self) -> None:
        # What keeps it from reading keeps the others from it too, and they tell.
        with contextlib.closing(self._db), contextlib.suppress(sqlite3.OperationalError):
            try:
                # As of one instant: rows come and go meanwhile.
                self._db.execute("BEGIN")
                recovery.check(self._db, self._path, thorough=False)
                recovery.check_index(self._db, self._path)
            except StoreError as exc:
                self.damage = exc
            except sqlite3.DatabaseError as exc:
                if not recovery.is_damage(exc):
                    raise
                self.damage = StoreError(f"{self._path}: {exc}", reason=exc.sqlite_errorname)
