"""The one door to the SQLite file: kept connections, locks, transactions, errors by name.

Two connections: one writes, under a lock that is never held for anything slow; one reads, so that
a long count stands in nobody's way. What SQLite raises leaves here as `StoreError`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cloud_sync import schema
from edge_agent.errors import EdgeAgentError, QueueClosed, StoreError

#: By the beginning of SQLite's name for the error.
_REMEDIES = {
    "SQLITE_NOTADB": "it is another program's file: name another path, or move it away",
    "SQLITE_CANTOPEN": "see that it is a file and that this user may write in its directory",
    "SQLITE_READONLY": "see that this user may write it and that the disk is not read-only",
    "SQLITE_PERM": "see that this user may write it",
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_IOERR": "see whether the disk is full or failing",
    "SQLITE_BUSY": "another process holds it; see which has it open",
}


class Store:
    """One queue file, opened.

    Thread-safe. Several processes may have the file open; SQLite's own locks keep them apart.
    """

    def __init__(self, path: Path, *, durability: str) -> None:
        """Open the file, and make it where there is none.

        Raises:
            StoreError: the file or its directory cannot be used.
        """
        self.path = path
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._closed = False
        self._process = os.getpid()
        with _translated(path), contextlib.ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._writer = schema.connect(path, durability=durability)
            opened.callback(self._writer.close)
            schema.prepare(self._writer)
            self._reader = schema.connect(path, durability=durability)
            # All went well: from here on `close` is what closes.
            opened.pop_all()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises.

        Raises:
            StoreError: not committed as far as SQLite says.
            QueueClosed: after `close`.
        """
        self._check_process()
        with self._write_lock, _translated(self.path):
            self._check_open()
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # SQLite ends some failed transactions by itself.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of what is committed; never waits for a writer.

        Raises:
            StoreError: the file cannot be read.
            QueueClosed: after `close`.
        """
        self._check_process()
        with self._read_lock, _translated(self.path):
            self._check_open()
            db = self._reader
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def checkpoint(self) -> None:
        """Move what is committed from the log into the file, without making a writer wait.

        Source:
            https://sqlite.org/c3ref/wal_checkpoint_v2.html: PASSIVE waits for nobody.
        """
        with self._read_lock, _translated(self.path):
            self._check_open()
            self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def limit_log(self, size_bytes: int, backstop_pages: int) -> None:
        """Let the log shrink to ``size_bytes``, and an insert fold it away at so many pages."""
        for lock, db in ((self._write_lock, self._writer), (self._read_lock, self._reader)):
            with lock, _translated(self.path):
                db.execute(f"PRAGMA journal_size_limit = {size_bytes}").fetchone()
                db.execute(f"PRAGMA wal_autocheckpoint = {backstop_pages}").fetchone()

    def vacuum(self, pages: int) -> None:
        """Give up to so many unused pages back to the disk."""
        with self._write_lock, _translated(self.path):
            self._check_open()
            # Through `execute` Python 3.11 steps the statement once, which frees a single page.
            self._writer.executescript(f"PRAGMA incremental_vacuum({pages})")

    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        return _size(Path(f"{self.path}-wal"))

    def total_bytes(self) -> int:
        """What the file and its log occupy on the disk."""
        return _size(self.path) + self.log_bytes()

    def close(self) -> None:
        """Close both connections; the last one in the file folds the log away. Idempotent."""
        with self._write_lock, self._read_lock:
            self._closed = True
            self._reader.close()
            self._writer.close()

    def _check_process(self) -> None:
        """Refuse to work on connections, and wait for locks, that a fork brought along.

        Source:
            https://sqlite.org/howtocorrupt.html, 2.6.
        """
        if os.getpid() != self._process:
            raise QueueClosed(
                f"the queue {self.path} was opened by process {self._process}, of which this is a"
                " fork; open it anew here"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise QueueClosed(f"the queue {self.path} was closed before this call")


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Let SQLite's and the system's errors leave as `StoreError`, in one sentence."""
    try:
        yield
    except sqlite3.Error as exc:
        reason = getattr(exc, "sqlite_errorname", type(exc).__name__)
        raise StoreError(f"{path}: {exc} ({reason}){_remedy(reason)}", reason=reason) from exc
    except EdgeAgentError:
        raise
    except OSError as exc:
        raise StoreError(
            f"{path}: {exc.strerror or exc}; name another place, or let this user write there",
            reason="OS",
        ) from exc


def _remedy(reason: str) -> str:
    """What a person can do about SQLite's error of this name; empty where nothing helps."""
    return next((f"; {do}" for name, do in _REMEDIES.items() if reason.startswith(name)), "")


def _size(path: Path) -> int:
    """Bytes, 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
