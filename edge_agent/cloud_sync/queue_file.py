"""The queue's file, opened: kept connections, locks, errors by name; opened anew when in doubt.

Two connections: one writes, under a lock that is never held for anything slow; one reads, so that
a long count stands in nobody's way. What SQLite raises leaves here as `StoreError`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import faults, recovery, schema
from edge_agent.cloud_sync.large_check import LargeCheck
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.cloud_sync.salvage import Salvage
from edge_agent.errors import EdgeAgentError, QueueClosed, StoreError

Change = Callable[[sqlite3.Connection], object]


class QueueFile:
    """One queue file, opened; replaced by a fresh one where it is damaged and nobody is there."""

    def __init__(
        self,
        path: Path,
        *,
        durability: str,
        clock: Clock | None = None,
        unattended: bool = False,
        opened: Callable[[sqlite3.Connection], None] = lambda _: None,
        replaced: Callable[[], None] = lambda: None,
        guard: Callable[[], None] = lambda: None,
        make_way: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open the file, and make it where there is none.

        Args:
            path: absolute.
            durability: ``full`` or ``normal``.
            clock: the machine's.
            unattended: nobody is there to help. A damaged file is set aside and salvaged, and one
                that cannot be opened now is tried again at each call.
            opened: called whenever the file has been opened, with a connection.
            replaced: called when a fresh file took a damaged one's place.
            guard: called before each write; raises `StoreError` where there may be none.
            make_way: called where there is no room to open the file; whether there is more now.

        Raises:
            StoreError: the file or its directory cannot be used, and somebody is there to see it.
        """
        self.path = path
        self._durability = durability
        self._clock = clock or SystemClock()
        self._unattended = unattended
        self._opened, self._replaced, self._guard = opened, replaced, guard
        self._make_way = make_way
        #: relieves a full disk for the so-many-th try; what that one has to do first, None: no more
        self.relieve: Callable[[int], Change | None] = lambda _: None
        #: called when a transaction was undone: what it was to change is as it was
        self.undone: Callable[[], None] = lambda: None
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._closed = False
        self._process = os.getpid()
        self._connections = contextlib.ExitStack()
        self._salvage: Salvage | None = None
        #: SQLite's name of the error after which the connections are not to be trusted
        self._suspect = "unopened"
        #: whether the file was too large to be checked when it was opened
        self._unchecked = False
        #: the look over it, from its beginning until what it found is told
        self._check: LargeCheck | None = None
        #: how far the file and its log may grow
        self.growth = schema.Growth()
        #: of commits that failed, and whose rows may be in the file all the same
        self._disputed: list[Receipt] = []
        try:
            with self._translated():
                self._make_ready()
        except StoreError:
            if not unattended:
                raise

    def limit(self, growth: schema.Growth) -> None:
        """Let this opening of the file, and every later one, grow so far."""
        with self._write_lock, self._read_lock, self._translated():
            self.growth = growth
            if not self._suspect:
                self._apply_growth()

    def log_bytes(self) -> int:
        """The size of the write-ahead log."""
        return size_of(Path(f"{self.path}-wal"))

    def total_bytes(self) -> int:
        """What the file and its log occupy on the disk."""
        return size_of(self.path) + self.log_bytes()

    def close(self) -> None:
        """Close both connections; the last one in the file folds the log away. Idempotent."""
        with self._write_lock, self._read_lock:
            self._closed = True
            self._connections.close()

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
    def _translated(self) -> Iterator[None]:
        """Let SQLite's and the system's errors leave as `StoreError`, in one sentence."""
        try:
            yield
        except sqlite3.Error as exc:
            reason = faults.reason_of(exc)
            if faults.is_suspicious(reason):
                self._suspect = self._suspect or reason
            raise StoreError(
                f"{self.path}: {exc} ({reason}){faults.remedy(reason)}", reason=reason
            ) from exc
        except EdgeAgentError:
            raise
        except OSError as exc:
            raise StoreError(
                f"{self.path}: {exc.strerror or exc};"
                " name another place, or let this user write there",
                reason="OS",
            ) from exc

    def _make_ready(self) -> None:
        """Open the file if it is not, or if the last error leaves doubts about the connections."""
        if not self._suspect or self._closed:
            return
        with self._write_lock, self._read_lock:
            doubtful = self._suspect.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
            try:
                self._open(doubtful=doubtful)
            except (sqlite3.Error, StoreError) as exc:
                if faults.may_want_room(exc) and self._make_way():
                    self._open(doubtful=doubtful)
                elif self._unattended and recovery.is_damage(exc):
                    # A read error is reported as damage too: what is damaged is so twice.
                    self._replace(exc) if doubtful else self._open_or_replace()
                else:
                    raise
            self._suspect = ""

    def _open_or_replace(self) -> None:
        try:
            self._open(doubtful=True)
        except (sqlite3.Error, StoreError) as exc:
            if not recovery.is_damage(exc):
                raise
            self._replace(exc)

    def _replace(self, exc: Exception) -> None:
        """Open a fresh file in place of a damaged one."""
        now = self._clock.wall()
        recovery.replace(self.path, durability=self._durability, wall_s=now, why=str(exc))
        self._replaced()
        self._open(doubtful=False)

    def _open(self, *, doubtful: bool) -> None:
        """Two connections to a file that is whole; nothing stays open when it raises."""
        self._connections.close()
        self._salvage = self._check = None
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        recovery.finish_replacing(self.path)
        recovery.check_emptied(self.path)
        if self._unattended and self.path.is_dir():
            raise StoreError(f"{self.path} is a directory", reason="SQLITE_NOTADB")
        with contextlib.ExitStack() as opened:
            check = doubtful or (self._unattended and recovery.wants_check(self.path))
            if self._unattended:
                recovery.check_log(self.path)
            self._writer = schema.connect(self.path, durability=self._durability)
            opened.callback(self._writer.close)
            if check:
                recovery.check(self._writer, self.path, thorough=doubtful)
            with recovery.sensible(self.path):
                schema.prepare(self._writer)
                if self._unattended:
                    recovery.check_shape(self._writer, self.path)
                if check:
                    recovery.check_index(self._writer, self.path)
                self._opened(self._writer)
            self._reader = schema.connect(self.path, durability=self._durability)
            opened.callback(self._reader.close)
            self._apply_growth()
            self._settle_disputes()
            if self._unattended:
                self._salvage = recovery.unfinished(self._writer, self.path)
                if self._salvage is not None:
                    opened.callback(self._salvage.close)
            self._unchecked = self._unattended and not check
            # All went well: from here on `close` is what closes.
            self._connections = opened.pop_all()

    def _apply_growth(self) -> None:
        for db in (self._writer, self._reader):
            self.growth.apply(db)

    def _settle_disputes(self) -> None:
        """Take out the rows of commits that were reported as failed."""
        if not self._disputed:
            return
        # Whoever opens closes the connection where this fails, and so undoes it.
        self._writer.execute("BEGIN IMMEDIATE")
        for receipt in self._disputed:
            receipt.withdraw(self._writer)
        self._writer.execute("COMMIT")
        self._disputed.clear()


def size_of(path: Path) -> int:
    """Bytes, 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
