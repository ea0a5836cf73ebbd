"""How big the queue may be, how big it is, and how much room the disk has."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge_agent.cloud_sync import schema
from edge_agent.cloud_sync.store import Store

MAX_SIZE_BYTES = 512 << 20
MIN_FREE_DISK_BYTES = 100 << 20
POLICIES = ("thin", "shed", "reject")
_RESERVE_LEAST_BYTES = 256 << 10


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the queue.

    Raises:
        ValueError: a size is not above 0, a room below 0, or the policy none of `POLICIES`.
    """

    #: rows, log, dead letters and files set aside together
    max_size_bytes: int = MAX_SIZE_BYTES
    #: what is left to the rest of the system
    min_free_disk_bytes: int = MIN_FREE_DISK_BYTES
    #: ``thin``, ``shed`` or ``reject``
    when_full: str = "thin"

    @property
    def log_bytes(self) -> int:
        """Bytes of log beyond which it is folded away: never much of a small queue."""
        return min(schema.LOG_LIMIT_BYTES, self.max_size_bytes // 8)

    def __post_init__(self) -> None:
        if self.max_size_bytes <= 0:
            raise ValueError(f"max_size_bytes is {self.max_size_bytes}; it must be above 0")
        if self.min_free_disk_bytes < 0:
            raise ValueError(
                f"min_free_disk_bytes is {self.min_free_disk_bytes}; it must be 0 or more"
            )
        if self.when_full not in POLICIES:
            raise ValueError(f"when_full is {self.when_full!r}; it is one of {', '.join(POLICIES)}")


class Marks(NamedTuple):
    """Amounts of occupied bytes at which something happens."""

    #: upkeep begins to make room
    high: int
    #: upkeep ends it
    low: int
    #: nothing is stored beyond it without making room first
    hard: int


def free_bytes(directory: Path) -> int:
    """What this user may still write on the disk.

    Raises:
        OSError: nobody can say.
    """
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize


class Room:
    """Measures the queue and its disk. Holds no lock of its own."""

    def __init__(self, store: Store, limits: Limits, free: Callable[[Path], int]) -> None:
        self._store = store
        self._limits = limits
        self._free = free
        #: what the file may grow to while the disk is low; None while there is room
        self._ceiling: int | None = None

    @property
    def disk_low(self) -> bool:
        """Whether the disk was low when it was last looked at."""
        return self._ceiling is not None

    def free(self) -> int:
        """Bytes that are free on the disk; plenty where nobody can say."""
        try:
            return self._free(self._store.path.parent)
        except OSError:
            return 1 << 62

    def occupied(self, db: sqlite3.Connection) -> int:
        """Bytes in use: pages with something in them, the log, the files set aside."""
        return self._bytes(db, "page_count") - self._bytes(db, "freelist_count") + self._beside()

    def pages(self, db: sqlite3.Connection) -> int:
        """Pages of the file."""
        return int(db.execute("PRAGMA page_count").fetchone()[0])

    def unused_pages(self, db: sqlite3.Connection) -> int:
        """Pages of the file that hold nothing."""
        return int(db.execute("PRAGMA freelist_count").fetchone()[0])

    def marks(self, db: sqlite3.Connection) -> Marks:
        """The marks as they are now.

        Upkeep begins a little below ``max_size_bytes``, so that it has time for its slices. While
        the disk is low the file as it stands is the limit: it fills, and does not grow.
        """
        most = self._limits.max_size_bytes
        usual = Marks(most - most // 32, most - most // 10, most)
        # Whatever is configured: where the log finds no room, nothing can be deleted either.
        if self.free() >= max(self._limits.min_free_disk_bytes, 2 * self._limits.log_bytes):
            self._ceiling = None
            return usual
        if self._ceiling is None:
            self._ceiling = self._bytes(db, "page_count") + self._beside()
        here = self._ceiling
        low = Marks(here, here - here // 64, here + here // 32)
        return min(usual, low, key=lambda marks: marks.hard)

    def _beside(self) -> int:
        """The log and files that were set aside.

        The log counts as what it is kept to: a longer one is folded away, and no row goes for it.
        """
        path = self._store.path
        aside = 0
        for file in path.parent.glob(f"{path.name}.corrupt-*"):
            with contextlib.suppress(FileNotFoundError):
                aside += file.stat().st_size
        return self._limits.log_bytes + aside

    @staticmethod
    def _bytes(db: sqlite3.Connection, which: str) -> int:
        """A number of pages, in bytes."""
        size = int(db.execute("PRAGMA page_size").fetchone()[0])
        return size * int(db.execute(f"PRAGMA {which}").fetchone()[0])


class Reserve:
    """A file beside the queue that is given up first when the disk is full.

    Deleting rows needs room too, in the log: without it a full disk could not even be relieved.
    So it is as large as a log that is about to be folded away.
    """

    def __init__(self, queue_path: Path, limits: Limits) -> None:
        self.path = Path(f"{queue_path}.reserve")
        self.size_bytes = max(_RESERVE_LEAST_BYTES, limits.log_bytes)

    def release(self) -> bool:
        """Give it up; returns whether it was there."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True

    def keep(self, free: int, min_free: int) -> None:
        """Make it if it is not there and there is room for it."""
        if free < min_free + 2 * self.size_bytes or self.path.exists():
            return
        with contextlib.suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, self.size_bytes)
            except OSError:
                self.path.unlink()
            finally:
                os.close(handle)
