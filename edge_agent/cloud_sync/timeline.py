"""Queue time: a clock for a machine that has none.

It starts at the greater of the wall clock and the greatest queue time given out before, and then
advances with `Clock.monotonic`. Until this boot's first synchronisation a step forward lifts it
to the wall clock; afterwards nothing but time moves it. It never goes back: nothing freezes when
somebody corrects the clock, order holds over a reboot that comes up in the past, and with a good
clock it is the wall clock.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable

from edge_agent.clock import Clock
from edge_agent.cloud_sync import correction, schema
from edge_agent.cloud_sync.rows import NewRow

#: A smaller change of wall clock against monotonic time is the kernel's slewing, not a step.
SMALLEST_STEP_S = 1.0
#: Steps kept for a program that never asks for them: the last ones.
MOST_STEPS = 100


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


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """Where a boot's queue time stands; kept in the file for a restart in the same boot."""

    #: queue time less monotonic time
    ahead_s: float
    #: wall clock less monotonic time, as of the last step
    wall_offset_s: float
    #: whether this boot's first synchronisation is behind us
    synchronized: bool


class QueueTime:
    """Queue time for one opened queue. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """Start the clock; `begin_after` tells it what a file knows.

        Args:
            clock: the machine's.
        """
        self._clock = clock
        self._lock = threading.Lock()
        monotonic = clock.monotonic()
        self._ahead_s = self._wall_offset_s = clock.wall() - monotonic
        self._was_synchronized = clock.synchronized()
        #: whether a time was given out already
        self._used = False
        self._began_at = clock.wall()
        #: how far queue time began after the greatest that the file knows of, until it is booked
        self.opening_s: float | None = None
        #: steps that nobody has been told of, oldest first
        self.untold: deque[Step] = deque(maxlen=MOST_STEPS)
        #: how many steps were seen; counted before queue time moves
        self.seen = 0

    def standing(self) -> Standing:
        """Where it stands, to be kept."""
        with self._lock:
            return Standing(self._ahead_s, self._wall_offset_s, self._was_synchronized)

    def now(self) -> float:
        """Queue time, Unix seconds; never less than an earlier answer."""
        self._used = True
        return self._clock.monotonic() + self._ahead_s

    def begin_after(self, given_out: float, former: Standing | None = None) -> None:
        """Go on where a file that was just opened stands; queue time never goes back.

        Args:
            given_out: the greatest queue time a row in it bears.
            former: where queue time stood when the file was closed, if that was in this boot. A
                step of the wall clock since then is found at the first look.
        """
        with self._lock:
            if former is not None and not self._used:
                self._ahead_s = former.ahead_s
                self._wall_offset_s = former.wall_offset_s
                self._was_synchronized = former.synchronized
                if former.synchronized:
                    self._clock.trust()
            if former is None and given_out:
                self.opening_s = self._began_at - given_out
            self._ahead_s = max(self._ahead_s, given_out - self._clock.monotonic())

    def observe(self) -> Step | None:
        """Look whether the wall clock was set since the last look, and lift queue time if it may.

        Returns:
            the step, told once; None while there is none.
        """
        with self._lock:
            # Before the offset: a flag that follows a step must not be seen before the step is.
            synchronized = self._clock.synchronized()
            monotonic = self._clock.monotonic()
            offset = self._clock.wall() - monotonic
            moved = offset - self._wall_offset_s
            if abs(moved) <= SMALLEST_STEP_S:
                self._was_synchronized = synchronized
                return None
            self._wall_offset_s = offset
            # As of the last look: a time service sets the clock and at once puts up its flag.
            first, self._was_synchronized = not self._was_synchronized, True
            jump = max(0.0, offset - self._ahead_s) if first else 0.0
            step = Step(moved, jump, first, seen_at=monotonic + self._ahead_s + jump)
            self.untold.append(step)
            self.seen += 1
            self._ahead_s += jump
            # Somebody set the clock: as good a sign as a time service's flag.
            self._clock.trust()
            return step


_KEPT = "queue_time"
#: The boot id where /proc hides it (`Clock.boot_id`).
_NOBODY_KNOWS = "unknown"


def former(db: sqlite3.Connection, boot_id: str) -> Standing | None:
    """What `keep` kept in this boot; None where that was another, or nobody can tell."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (_KEPT,)).fetchone()
    kept_in, *rest = json.loads(row[0]) if row else ("",)
    return Standing(*rest) if kept_in == boot_id != _NOBODY_KNOWS else None


def keep(db: sqlite3.Connection, boot_id: str, standing: Standing) -> None:
    """Keep where queue time stands; writes only what is new."""
    db.execute(
        "INSERT INTO settings VALUES (?1, ?2)"
        " ON CONFLICT(name) DO UPDATE SET value = ?2 WHERE value != ?2",
        (_KEPT, _as_text(boot_id, standing)),
    )


@functools.lru_cache(maxsize=1)
def _as_text(boot_id: str, standing: Standing) -> str:
    """Made anew only after a step: every transaction keeps it."""
    return json.dumps([boot_id, *dataclasses.astuple(standing)])


def record(db: sqlite3.Connection, step: Step, *, boot_id: str) -> None:
    """Keep what a step means for rows taken before the clock was right, to be applied to them.

    Nothing is kept where there are no such rows. Idempotent: what was booked is marked in the file
    as known, because a transaction that failed left nothing there.
    """
    if not step.first:
        return
    first, boot_first = db.execute(
        "SELECT min(first_id), min(CASE WHEN boot_id = ? THEN first_id END) FROM origins"
        " WHERE synced_from_id IS NULL",
        (boot_id,),
    ).fetchone()
    last = schema.sequence(db)
    if first is not None and last >= first:
        stamped = boot_first or last + 1
        excepted = json.dumps(correction.requested(db, stamped))
        db.execute(
            "INSERT INTO clock_steps(boot_id, seen_at, first_id, last_id, boot_first_id,"
            " queue_jump_s, wall_step_s, excepted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (boot_id, step.seen_at, first, last, stamped, step.queue_s, step.wall_s, excepted),
        )
    mark_synchronized(db)


def record_opening(db: sqlite3.Connection, time: QueueTime, boot_id: str) -> None:
    """Keep that a boot began later than the last one ended, as a step seen before its first look.

    What part of it was a wrong clock and what the power being off, nobody knows: rows of boots that
    never were synchronised keep their age. Idempotent: a boot that was booked has a `former`.
    """
    if time.opening_s is None or boot_id == _NOBODY_KNOWS or former(db, boot_id) is not None:
        return
    first = db.execute("SELECT min(first_id) FROM origins WHERE synced_from_id IS NULL").fetchone()
    last = schema.sequence(db)
    if first[0] is not None and last >= first[0] and time.opening_s > SMALLEST_STEP_S:
        db.execute(
            "INSERT INTO clock_steps(boot_id, seen_at, first_id, last_id, boot_first_id,"
            " queue_jump_s, wall_step_s) VALUES (?, ?, ?, ?, ?, ?, 0)",
            (boot_id, time.now(), first[0], last, last + 1, time.opening_s),
        )
    if time.standing().synchronized:
        mark_synchronized(db)


def caught_up(row: NewRow, untold: Iterable[Step]) -> NewRow:
    """A row from somebody who was not yet told of these steps: he stamped it before the first."""
    for step in untold:
        if step.first:
            row = row._replace(payload=correction.moved_text(row.payload, step.wall_s))
    return row


def mark_synchronized(db: sqlite3.Connection) -> None:
    """Keep that from the next id on the clock was right; of rows before it, no more will be known.

    That holds for earlier boots too: a later step is none of theirs.
    """
    db.execute(
        "UPDATE origins SET synced_from_id = ? WHERE synced_from_id IS NULL",
        (schema.sequence(db) + 1,),
    )
    db.execute("DELETE FROM requested")
