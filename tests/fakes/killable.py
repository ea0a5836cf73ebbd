"""A small queue whose process may be killed at any statement, and goes on from the files."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cloud_sync import (
    CloudSyncQueue,
    correction,
    gaps,
    retention,
    rows,
    schema,
    shedding,
    thinning,
)
from edge_agent.cloud_sync.limits import Marks
from fakes.clock import FakeClock
from fakes.power import Power, PowerLostError
from fakes.queue_model import Books

#: Room for a dozen rows of `PAD`: an empty file takes four fifths of it.
MAX_BYTES = 110_000
PAD = "x" * 1_500
PLENTY = 1 << 40
LOST = "the power was lost"

_PATCHES = [
    # So that slices end in the middle of what there is.
    (correction, "SLICE_ROWS", 2),
    (correction, "_SLICES", 1),
    (gaps, "MOST_AT_ONCE", 2),
    (retention, "SLICE_ROWS", 3),
    (retention, "LOOK_ROWS", 4),
    (rows, "_IDS_A_STATEMENT", 2),
    (shedding, "SLICE_ROWS", 3),
    (shedding, "EMERGENCY_ROWS", 2),
    (thinning, "STRETCH_ROWS", 6),
    # A kill leaves what the system was given; flushing it would only take time.
    (schema, "_SYNCHRONOUS", {"normal": "OFF"}),
]


class Killable:
    """Opens the queue, kills its process, and looks into its file."""

    queue: CloudSyncQueue

    def __init__(self, clock: FakeClock, when_full: str, between: Callable[[], None]) -> None:
        """Open nothing yet.

        Args:
            clock: the machine's.
            when_full: the queue's policy.
            between: called in an upkeep, when what has expired is gone and before room is made.
        """
        self.free = PLENTY
        self._clock, self._when_full, self._between = clock, when_full, between
        self._kills = 0
        self._power = Power()
        self._patch = pytest.MonkeyPatch()
        with contextlib.ExitStack() as begun:
            begun.callback(self._patch.undo)
            for module, name, value in _PATCHES:
                self._patch.setattr(module, name, value)
            self._patch.setattr(sqlite3, "connect", self._power.connect)
            self._folder = Path(begun.enter_context(tempfile.TemporaryDirectory()))
            # All went well: from here on `remove` ends it.
            self._begun = begun.pop_all()

    @property
    def path(self) -> Path:
        """The file as the last kill left it."""
        return self._folder / f"{self._kills}.db"

    def open(self) -> None:
        self.queue = CloudSyncQueue(
            self.path,
            clock=self._clock,
            durability="normal",
            max_size_bytes=MAX_BYTES,
            min_free_disk_bytes=0,
            when_full=self._when_full,
            free_bytes=lambda _: self.free,
        )
        make_room = self.queue.bounds.upkeep

        def looked_at(spare: Any) -> None:
            left, self._power.left = self._power.left, None
            self._between()
            self._power.left = left
            make_room(spare)

        self._patch.setattr(self.queue.bounds, "upkeep", looked_at)

    def attempt(self, act: Callable[[], Any], fuse: int | None) -> Any:
        """Do it with power for so many statements; `LOST` if that was not enough."""
        self._power.left = fuse
        try:
            return act()
        except PowerLostError:
            old, self._kills = self.path, self._kills + 1
            self._power.restore(old, self.path)
            return LOST
        finally:
            self._power.left = None

    def come_up(self, fuse: int | None) -> None:
        """Open it; if the power is lost meanwhile, again."""
        if self.attempt(self.open, fuse) is LOST:
            self.open()

    def books(self) -> Books:
        with self.queue._store.read() as db:
            return Books.read(db)

    def occupied(self) -> tuple[int, Marks]:
        """The bytes in use, and the marks they are held against."""
        with self.queue._store.read() as db:
            room = self.queue.bounds._room
            return room.occupied(db), room.marks(db)

    @property
    def pinned(self) -> bool:
        """Whether the file may not grow, as there is no room on the disk."""
        return self.queue._store.growth.most_pages is not None

    @property
    def pages(self) -> int:
        with self.queue._store.read() as db:
            return self.queue.bounds._room.pages(db)

    def unused_pages(self) -> int:
        with self.queue._store.read() as db:
            return self.queue.bounds._room.unused_pages(db)

    def correcting(self) -> bool:
        """Whether rows are still to be rewritten after a step of the clock."""
        with self.queue._store.read() as db:
            return bool(db.execute("SELECT count(*) FROM clock_steps").fetchone()[0])

    def remove(self) -> None:
        """Close and delete everything."""
        with self._begun:
            self._power.restore(self.path, self.path.with_name("end"))
