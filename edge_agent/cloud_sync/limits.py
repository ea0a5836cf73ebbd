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
from edge_agent.cloud_sync.queue_file import size_of
from edge_agent.cloud_sync.store import Store

MAX_SIZE_BYTES = 512 << 20
MIN_FREE_DISK_BYTES = 100 << 20
POLICIES = ("thin", "shed", "reject")
#: What a disk is taken to have free of which nobody can say.
_PLENTY_BYTES = 1 << 62
_RESERVE_LEAST_BYTES = 256 << 10
#: The shared-memory file of a log of up to 4,000 pages (https://sqlite.org/walformat.html).
_INDEX_BYTES = 32 << 10
#: The reserve is allocated in steps: half of it is better than none.
_STEP_BYTES = 16 << 10


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

    @property
    def backstop_pages(self) -> int:
        """Pages of log at which an insert folds it away, where nobody else has done it."""
        return min(schema.BACKSTOP_PAGES, self.max_size_bytes // 8 // schema.FRAME_BYTES)

    @property
    def tight_bytes(self) -> int:
        """With less free, whatever is configured, the log might find no room to be folded."""
        return 2 * self.log_bytes

    @property
    def wanted_bytes(self) -> int:
        """What must be free on the disk; less, and new rows take the place of old ones."""
        return max(self.min_free_disk_bytes, self.tight_bytes)

    def __post_init__(self) -> None:
        if self.max_size_bytes <= 0:
            raise ValueError(f"max_size_bytes is {self.max_size_bytes}; it must be above 0")
        if self.min_free_disk_bytes < 0:
            raise ValueError(
                f"min_free_disk_bytes is {self.min_free_disk_bytes}; it must be 0 or more"
            )
        if self.when_full not in POLICIES:
            raise ValueError(f"when_full is {self.when_full!r}; it is one of {', '.join(POLICIES)}")


class LowDisk(NamedTuple):
    """A disk that has less room than it should have."""

    free_bytes: int
    #: what the queue's files occupy, those set aside included
    ours_bytes: int
    #: who has filled it: ``queue`` if there would be room without it, else ``others``
    whose: str


class Vacancy(NamedTuple):
    """What there is still room for."""

    #: on the disk; None where nobody can say
    free_bytes: int | None
    #: that the queue may still take before anything has to give way
    left_bytes: int


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
        self._directory = store.path.parent
        #: what the file may grow to while the disk is low; None while there is room
        self._ceiling: int | None = None
        #: of a page of the file; 0 until it is known
        self._page_bytes = 0
        #: of the files set aside, and the state of the directory for which that holds
        self._aside_bytes = 0
        self._aside_as_of: tuple[int, Path | None] | None = None

    @property
    def disk_low(self) -> bool:
        """Whether the disk was low when it was last looked at."""
        return self._ceiling is not None

    def low_disk(self) -> LowDisk:
        """How low it is now, and who is to blame."""
        files = self._store.path.parent.glob(f"{self._store.path.name}*")
        free, ours = self.free(), sum(map(size_of, files))
        return LowDisk(
            free, ours, "queue" if free + ours >= self._limits.wanted_bytes else "others"
        )

    def free(self) -> int:
        """Bytes that are free on the disk; plenty where nobody can say."""
        try:
            return self._free(self._store.path.parent)
        except OSError:
            return _PLENTY_BYTES

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
        if self.free() >= self._limits.wanted_bytes:
            self._ceiling = None
            return usual
        if self._ceiling is None:
            self._ceiling = self._bytes(db, "page_count") + self._beside()
        here = self._ceiling
        low = Marks(here, here - here // 64, here + here // 32)
        return min(usual, low, key=lambda marks: marks.hard)

    def vacancy(self, db: sqlite3.Connection) -> Vacancy:
        """What fits until the high-water mark, or until the disk is low, whichever comes first.

        Unused pages of the file count: they are filled before it grows.
        """
        marks, free = self.marks(db), self.free()
        left_bytes = marks.high - self.occupied(db)
        if not self.disk_low:
            unused_bytes = self._bytes(db, "freelist_count")
            left_bytes = min(left_bytes, free - self._limits.wanted_bytes + unused_bytes)
        return Vacancy(None if free == _PLENTY_BYTES else free, max(0, left_bytes))

    def _beside(self) -> int:
        """The log and files that were set aside.

        The log counts as the most that it grows to: so it takes nobody's room when it does. A file
        that is being salvaged does not count: its rows do, as they come over.
        """
        salvaged = self._store.salvaging()
        # The directory's time changes with its entries; every insert would look through them else.
        state = (self._directory.stat().st_mtime_ns, salvaged)
        if state != self._aside_as_of:
            self._aside_bytes, self._aside_as_of = self._aside(salvaged), state
        return self._limits.backstop_pages * schema.FRAME_BYTES + self._aside_bytes

    def look_around(self) -> None:
        """Measure pages and files set aside anew: two changes in one tick of a clock look alike."""
        self._page_bytes, self._aside_as_of = 0, None

    def _aside(self, salvaged: Path | None) -> int:
        path = self._store.path
        aside = path.parent.glob(f"{path.name}.corrupt-*")
        return sum(size_of(f) for f in aside if not (salvaged and f.name.startswith(salvaged.name)))

    def _bytes(self, db: sqlite3.Connection, which: str) -> int:
        """A number of pages, in bytes."""
        # Each insert would ask otherwise; a file that takes another's place is asked at upkeep.
        if not self._page_bytes:
            self._page_bytes = int(db.execute("PRAGMA page_size").fetchone()[0])
        return self._page_bytes * int(db.execute(f"PRAGMA {which}").fetchone()[0])


class Reserve:
    """Two files beside the queue that are given up first when the disk is full.

    Deleting rows needs room too, in the log: without it a full disk could not even be relieved.
    So one is as large as a log that is about to be folded away; the other as its index, which is
    a file of its own, and there may be no inode for it.
    """

    def __init__(self, queue_path: Path, limits: Limits) -> None:
        self.path = Path(f"{queue_path}.reserve")
        self.size_bytes = max(_RESERVE_LEAST_BYTES, limits.log_bytes)
        self._sizes = {self.path: self.size_bytes, Path(f"{self.path}-shm"): _INDEX_BYTES}
        self._log = Path(f"{queue_path}-wal")
        self._log_bytes = limits.log_bytes

    def release(self) -> bool:
        """Give it up; returns whether any of it was there."""
        there = [_unlinked(path) for path in self._sizes]
        return any(there)

    def extend_log(self) -> None:
        """Let the log have the room that was given up, before anybody else takes it.

        Source:
            https://sqlite.org/fileformat2.html#walformat: what follows the last valid frame is
            not read. (And the log has no POSIX locks that closing it here could drop.)
        """
        with contextlib.suppress(FileNotFoundError):
            _allocate(os.open(self._log, os.O_WRONLY | os.O_CLOEXEC), self._log_bytes)

    def keep(self, free: int, min_free: int) -> None:
        """Make it if it is not there and there is room for it."""
        if free >= min_free + 2 * self.size_bytes:
            self.make()

    def make(self) -> None:
        """Make what is not there of it, as far as the disk lets us."""
        for path, size_bytes in self._sizes.items():
            with contextlib.suppress(OSError):
                if not path.exists() or path.stat().st_size < size_bytes:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                    _allocate(os.open(path, flags, 0o600), size_bytes)


def _allocate(handle: int, size_bytes: int) -> None:
    """Let an open file have its room on the disk, or what there is of it, and close it."""
    try:
        for end in range(_STEP_BYTES, size_bytes + 1, _STEP_BYTES):
            try:
                os.posix_fallocate(handle, 0, end)
            except OSError:
                # A journal keeps blocks that were freed until it is written.
                os.fsync(handle)
                os.posix_fallocate(handle, 0, end)
    except OSError:
        # So much, and no more.
        return
    finally:
        os.close(handle)


def _unlinked(path: Path) -> bool:
    """Remove a file; whether it was there."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
