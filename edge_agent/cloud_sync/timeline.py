"""Queue time: a clock for a machine that has none.

It starts at the greater of the wall clock and the greatest queue time given out before, and then
advances with `Clock.monotonic`. Until this boot's first synchronisation a step forward lifts it
to the wall clock; afterwards nothing but time moves it. It never goes back: nothing freezes when
somebody corrects the clock, order holds over a reboot that comes up in the past, and with a good
clock it is the wall clock.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import threading

from edge_agent.clock import Clock
from edge_agent.cloud_sync import schema

#: A smaller change of wall clock against monotonic time is the kernel's slewing, not a step.
SMALLEST_STEP_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set while we ran."""

    #: how far the wall clock moved, in seconds; negative is back
    wall_s: float
    #: how far queue time moved with it; 0 or more
    queue_s: float
    #: whether this was the boot's first synchronisation
    first: bool
    #: queue time when it was seen, after the jump
    seen_at: float


class QueueTime:
    """Queue time for one opened queue. Thread-safe."""

    def __init__(self, clock: Clock, *, given_out: float) -> None:
        """Start the clock.

        Args:
            clock: the machine's.
            given_out: the greatest queue time a row in the file bears; 0.0 in an empty file.
        """
        self._clock = clock
        self._lock = threading.Lock()
        monotonic = clock.monotonic()
        wall = clock.wall()
        self._ahead_s = max(wall, given_out) - monotonic
        self._wall_offset_s = wall - monotonic
        self._was_synchronized = clock.synchronized()

    def now(self) -> float:
        """Queue time, Unix seconds; never less than an earlier answer."""
        return self._clock.monotonic() + self._ahead_s

    def begin_after(self, given_out: float) -> None:
        """Lift queue time to the greatest that a file just opened bears; it never goes back."""
        with self._lock:
            self._ahead_s = max(self._ahead_s, given_out - self._clock.monotonic())

    def observe(self) -> Step | None:
        """Look whether the wall clock was set since the last look, and lift queue time if it may.

        Returns:
            the step, told once; None while there is none.
        """
        with self._lock:
            monotonic = self._clock.monotonic()
            offset = self._clock.wall() - monotonic
            moved = offset - self._wall_offset_s
            if abs(moved) <= SMALLEST_STEP_S:
                self._was_synchronized = self._clock.synchronized()
                return None
            self._wall_offset_s = offset
            # As of the last look: a time service sets the clock and at once puts up its flag.
            first, self._was_synchronized = not self._was_synchronized, True
            jump = max(0.0, offset - self._ahead_s) if first else 0.0
            self._ahead_s += jump
            # Somebody set the clock: as good a sign as a time service's flag.
            self._clock.trust()
            return Step(moved, jump, first, seen_at=monotonic + self._ahead_s)


#: A boot has one first synchronisation.
_KNOWN = "SELECT 1 FROM clock_steps WHERE boot_id = ?"


def record(db: sqlite3.Connection, step: Step, *, boot_id: str) -> None:
    """Keep what a step means for rows taken before the clock was right, to be applied to them.

    Nothing is kept where there are no such rows. Idempotent: asks the file, because a transaction
    that failed left nothing there.
    """
    if not step.first or db.execute(_KNOWN, (boot_id,)).fetchone():
        return
    first, boot_first = db.execute(
        "SELECT min(first_id), min(CASE WHEN boot_id = ? THEN first_id END) FROM origins"
        " WHERE synced_from_id IS NULL",
        (boot_id,),
    ).fetchone()
    last = schema.sequence(db)
    if first is not None and last >= first:
        db.execute(
            "INSERT INTO clock_steps(boot_id, seen_at, first_id, last_id, boot_first_id,"
            " queue_jump_s, wall_step_s) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (boot_id, step.seen_at, first, last, boot_first or last + 1, step.queue_s, step.wall_s),
        )


def mark_synchronized(db: sqlite3.Connection, boot_id: str) -> None:
    """Keep that from the next id on this boot's clock was right."""
    db.execute(
        "UPDATE origins SET synced_from_id = ? WHERE boot_id = ? AND synced_from_id IS NULL",
        (schema.sequence(db) + 1, boot_id),
    )
