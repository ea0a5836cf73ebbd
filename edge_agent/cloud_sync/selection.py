"""Which rows are next: one range seek per priority, whatever the state of the queue.

The documented query (``next_retry_at <= now AND created_at + ttl_seconds > now ORDER BY priority,
next_retry_at``) scans past everything backed off or expired. Here each priority is entered by the
index where its first eligible row can stand: a row is never retried before it was created, so what
has ``next_retry_at <= now - longest TTL`` has expired.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import sqlite3
from collections.abc import Set as AbstractSet

from edge_agent.cloud_sync import correction, origin, ttl_span
from edge_agent.cloud_sync.batch import ITEM_OVERHEAD_BYTES, Batch, Row
from edge_agent.types import Priority

#: A critical item younger than this shares its request with no other priority.
FRESH_S = 60.0
#: How long `Floors` are kept, and what of the past they leave out: a transaction takes no longer.
FLOORS_KEPT_S = 5.0
RECENT_S = 15.0

_ELIGIBLE = """
SELECT id, payload, created_at + {shift}, ttl_seconds, retry_count, next_retry_at + {shift}
FROM sync_queue
WHERE priority = ?1 AND next_retry_at > ?2 AND next_retry_at <= ?3
  AND next_retry_at + {shift} <= ?3 AND created_at + {shift} + ttl_seconds > ?3
ORDER BY next_retry_at {order}, id {order} LIMIT ?4
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is to carry."""

    #: most items
    items: int
    #: most bytes of body, uncompressed; a single row always fits
    max_bytes: int = 1 << 62
    #: all other priorities are left alone
    priorities: tuple[Priority, ...] = tuple(Priority)
    #: the newest rows instead of the oldest, of the highest priority as ever
    newest_first: bool = False
    #: rows that are left alone: they are on their way
    but: AbstractSet[int] = frozenset()


def expired_until(db: sqlite3.Connection, now: float) -> dict[int, float]:
    """The ``next_retry_at`` up to which every row of a priority has outlived its TTL.

    Lower by what stored times have still to move: nothing uncorrected is passed over.
    """
    before = now - correction.longest_shift(db)
    return {priority: before - span.longest for priority, span in ttl_span.read(db).items()}


class Floors:
    """Up to where the index of each priority was found to hold nothing but expired rows.

    With several TTLs at one priority, expired rows can stand in front of live ones until expiry
    comes by: they are passed over once, not at every look. Forgotten after moments, and never
    later than `RECENT_S` ago, so that whatever was put in at its place in time is found.
    """

    def __init__(self) -> None:
        self._floors: dict[Priority, float] = {}
        self._valid_until = -math.inf

    def of(self, priority: Priority, now: float) -> float:
        """The ``next_retry_at`` up to which nothing is found; rather too low than too high."""
        if now >= self._valid_until:
            self.forget()
            self._valid_until = now + FLOORS_KEPT_S
        return self._floors.get(priority, -math.inf)

    def learn(self, priority: Priority, first: float | None, now: float) -> None:
        """A look came up with a first row, or with none (None)."""
        found_at = now if first is None else math.nextafter(first, -math.inf)
        self._floors[priority] = min(found_at, now - RECENT_S)

    def forget(self) -> None:
        """Rows may have come back to older places."""
        self._floors.clear()


def eligible(
    db: sqlite3.Connection, now: float, wanted: Wanted, floors: Floors | None = None
) -> list[Row]:
    """Up to ``wanted.items`` rows (-1: all) that may be sent now, by priority, then as queued.

    Or the newest first; whatever `Wanted` says of bytes is the caller's.
    """
    rows: list[Row] = []
    # What is uncorrected has the lower ids and times: the order of the index is right for all.
    order = "DESC" if wanted.newest_first else "ASC"
    query = _ELIGIBLE.format(shift=correction.shift(db), order=order)
    corrections = correction.Corrections(db)
    floors = floors if floors and not corrections.standing else Floors()
    expired = expired_until(db, now)
    for priority in wanted.priorities:
        if len(rows) == wanted.items:
            break
        bound = max(expired[priority], floors.of(priority, now))
        most = wanted.items - len(rows) + len(wanted.but) if wanted.items >= 0 else -1
        found = db.execute(query, (priority.value, bound, now, most)).fetchall()
        if not wanted.newest_first:
            floors.learn(priority, found[0][-1] if found else None, now)
        more = [
            Row(number, corrections.payload(number, text), priority, *rest)
            for number, text, *rest in found
            if number not in wanted.but
        ]
        rows += more[: wanted.items - len(rows)] if wanted.items >= 0 else more
    return rows


def next_batch(
    db: sqlite3.Connection, now: float, wanted: Wanted, floors: Floors | None = None
) -> Batch | None:
    """The next request's rows, of one origin; in the order of the queue, whichever they are.

    A fresh critical item travels with critical items alone.
    """
    rows = eligible(db, now, wanted, floors)
    if not rows:
        return None
    fit = _critical_alone(rows, now)
    first_id, queue_id, device_id, end_id = origin.of_row(db, fit[0].id)
    # Up to the first row of another origin: past it, newer ones would overtake it.
    ours = list(itertools.takewhile(lambda row: first_id <= row.id < end_id, fit))
    batch = Batch(queue_id, device_id, ())
    kept = _of_size(ours, wanted.max_bytes - len(batch.body()))
    whole = len(kept) == len(rows) < wanted.items and end_id == math.inf
    if wanted.newest_first:
        kept.sort(key=lambda row: (row.priority, row.next_retry_at, row.id))
    return dataclasses.replace(batch, rows=tuple(kept), open_ended=whole)


def all_batches(db: sqlite3.Connection, now: float) -> list[Batch]:
    """Everything that may be sent now, a batch for each origin.

    Warning:
        All of it is held in memory.
    """
    by_origin: dict[tuple[str, str], list[Row]] = {}
    for row in eligible(db, now, Wanted(-1)):
        _, queue_id, device_id, _ = origin.of_row(db, row.id)
        by_origin.setdefault((queue_id, device_id), []).append(row)
    return [Batch(*names, rows=tuple(rows)) for names, rows in by_origin.items()]


def _critical_alone(rows: list[Row], now: float) -> list[Row]:
    """The critical rows only, if one of them is fresh; else all."""
    critical = [row for row in rows if row.priority is Priority.CRITICAL]
    fresh = any(now - row.created_at < FRESH_S for row in critical)
    return critical if fresh else rows


def _of_size(rows: list[Row], max_bytes: int) -> list[Row]:
    """The leading rows whose items fit ``max_bytes``; at least one."""
    used = 0
    for index, row in enumerate(rows):
        used += len(row.payload.encode()) + ITEM_OVERHEAD_BYTES
        if used > max_bytes and index:
            return rows[:index]
    return rows
