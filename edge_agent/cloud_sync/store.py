"""The one door to the SQLite file: transactions, and the work that goes through the whole file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edge_agent.cloud_sync import faults, recovery, schema
from edge_agent.cloud_sync.large_check import LargeCheck
from edge_agent.cloud_sync.queue_file import Change, QueueFile
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.errors import StoreError

T = TypeVar("T")


class Store(QueueFile):
    """Transactions on one queue file, and what is done to it as a whole.

    Thread-safe. Several processes may have the file open; SQLite's own locks keep them apart.
    """

    def change(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """As `store`, for what inserts no rows into the queue."""
        return self.store(lambda db, _: act(db))

    def store(self, act: Callable[[sqlite3.Connection, Receipt], T]) -> T:
        """Do something in one transaction; on a full disk, anew for as long as room is made.

        Args:
            act: does it, and fills the receipt with what it inserts. It may be called again.

        Raises:
            StoreError: not done as far as SQLite says.
            QueueClosed: after `close`.
        """
        tries = 0
        make_room: Change = lambda _: None  # noqa: E731
        while True:
            # A new one for each try: that of a failed commit may still be asked for.
            receipt = Receipt()
            try:
                with self.write(receipt) as db:
                    make_room(db)
                    return act(db, receipt)
            except StoreError as exc:
                found = self.relieve(tries) if faults.is_full_disk(exc) else None
                if found is None:
                    raise
                tries, make_room = tries + 1, found

    @contextlib.contextmanager
    def write(self, receipt: Receipt | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, undone when it raises.

        Args:
            receipt: filled in the block with what it inserts; then an error from COMMIT is no
                error where the rows are found in the file.

        Raises:
            StoreError: not committed. (Without a receipt: as far as SQLite says.)
            QueueClosed: after `close`.
        """
        self._check_process()
        with self._write_lock, self._translated():
            self._check_open()
            self._guard()
            self._make_ready()
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                # SQLite ends some failed transactions by itself.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                self.undone()
                raise
            try:
                db.execute("COMMIT")
            except sqlite3.Error as exc:
                if not self._committed_after_all(exc, receipt):
                    self.undone()
                    raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of what is committed; never waits for a writer.

        Raises:
            StoreError: the file cannot be read.
            QueueClosed: after `close`.
        """
        self._check_process()
        with self._translated():
            self._make_ready()
        with self._read_lock, self._translated():
            self._check_open()
            db = self._reader
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextlib.contextmanager
    def beside(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, without any lock of this process: for what takes long.

        Raises:
            StoreError: the file cannot be opened, or SQLite refuses what is done in the block.
        """
        with (
            self._translated(),
            contextlib.closing(schema.connect(self.path, durability=self._durability)) as db,
        ):
            yield db

    def checkpoint(self) -> None:
        """Move what is committed from the log into the file, without making a writer wait.

        Source:
            https://sqlite.org/c3ref/wal_checkpoint_v2.html: PASSIVE waits for nobody.
        """
        with self._translated():
            self._make_ready()
        with self._read_lock, self._translated():
            self._check_open()
            self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def vacuum(self, pages: int) -> None:
        """Give up to so many unused pages back to the disk."""
        with self._write_lock, self._translated():
            self._check_open()
            self._make_ready()
            # Through `execute` Python 3.11 steps the statement once, which frees a single page.
            self._writer.executescript(f"PRAGMA incremental_vacuum({pages})")

    def salvaging(self) -> Path | None:
        """The damaged file whose rows are still to be brought over; None where there is none."""
        salvage = self._salvage
        return salvage.source if salvage else None

    def salvage(self) -> None:
        """Bring over a slice of a damaged file's rows, if there is one."""
        if self._salvage is None:
            return
        try:
            with self.write() as db:
                # Opening the file anew may have ended it, or begun another.
                salvage = self._salvage
                done = salvage is not None and salvage.slice(db)
        except StoreError as exc:
            # What was read of this slice is to be read again: opening begins where it stood.
            self._suspect = self._suspect or "salvage"
            if not faults.is_full_disk(exc):
                raise
            # It waits for room; what else there is to do does not wait for it.
            self.relieve(0)
            return
        if done and salvage is not None:
            salvage.close()
            with self.read() as db:
                self._salvage = recovery.unfinished(db, self.path)
            if self._salvage is not None:
                self._connections.callback(self._salvage.close)

    def check_once(self) -> None:
        """Have a file looked over that was too large for it when it was opened.

        Returns at once; a later call tells what was found.

        Raises:
            StoreError: it is damaged; the next call that needs it sets it aside.
        """
        if self._unchecked:
            self._unchecked = False
            with self._translated():
                self._check = LargeCheck(self.path)
                self._connections.callback(self._check.stop)
        elif self._check is not None and (damage := self._check.damage) is not None:
            self._check = None
            self._suspect = self._suspect or damage.reason
            raise damage

    def _committed_after_all(self, exc: sqlite3.Error, receipt: Receipt | None) -> bool:
        """After COMMIT failed: whether its rows are in the file, as a new look tells."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
            return False
        # The log's last frame was not written: no doubt, and opening anew would want more room.
        if faults.reason_of(exc) == "SQLITE_FULL":
            return False
        self._suspect = faults.reason_of(exc)
        if receipt is None:
            return False
        with contextlib.suppress(sqlite3.Error, StoreError, OSError):
            self._make_ready()
            if receipt.honoured(self._writer):
                return True
        # The caller is told that the rows are not there, so they must not be.
        self._disputed.append(receipt)
        self._suspect = self._suspect or "disputed"
        with contextlib.suppress(sqlite3.Error, StoreError, OSError):
            self._make_ready()
        return False
