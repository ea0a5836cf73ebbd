"""What goes when room must be made, and in which order.

Logs, then telemetry read at intervals, then events, each oldest first; anomalies and critical
readings only when nothing else is left. Those stand scattered over pages that were full of others:
before one of them goes, they are packed closer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from edge_agent.cloud_sync import correction, gaps, ledger, rows
from edge_agent.cloud_sync.thinning import periodic
from edge_agent.types import Priority

#: Rows shed in one slice of upkeep, and in one emergency in front of an insert.
SLICE_ROWS = 1_000
EMERGENCY_ROWS = 100

#: Payload for each row of a slice, on average, after which it is at its end: foreign payloads may
#: be a thousand times as long as readings.
_ROW_BYTES = 1 << 10
#: Payload looked through for readings in one slice.
_LOOK_BYTES = 4 << 20

_NEXT = """
SELECT id, payload, created_at + {shift}, next_retry_at FROM sync_queue
WHERE priority = ? AND (next_retry_at, id) > (?, ?) ORDER BY next_retry_at, id LIMIT ?
"""
_NEWEST = "SELECT created_at, id FROM sync_queue ORDER BY id DESC LIMIT 1"
_START = (-1.0, 0)
_DEAD_BYTES = "SELECT coalesce(sum(length(payload) + length(reason) + 64), 0) FROM dead_letters"
_OLDEST_DEAD = """
SELECT id, payload, created_at FROM dead_letters ORDER BY died_at, id LIMIT ?
"""


class _Row(NamedTuple):
    """A row that may have to go."""

    id: int
    payload: str
    created_at: float
    #: as stored: a place in the index
    next_retry_at: float


class Shedder:
    """Sheds slices; remembers up to where no telemetry read at intervals is left."""

    _passed: tuple[float, int]
    #: up to which id rows were packed since others last left; None: all were
    _packed_to: int | None

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Rows that had gone may be there again."""
        self._passed, self._packed_to = _START, 0

    def logs(self, db: sqlite3.Connection, most: int, spare: AbstractSet[int]) -> int:
        """Shed the oldest logs; returns how many rows went."""
        gone = _shed_oldest(db, Priority.LOGS, most, spare)
        if gone:
            self._packed_to = 0
        return gone

    def oldest(self, db: sqlite3.Connection, most: int, spare: AbstractSet[int]) -> int:
        """Shed the oldest telemetry, events as well; returns how many rows went."""
        gone = _shed_oldest(db, Priority.TELEMETRY, most, spare)
        if gone:
            self._packed_to = 0
        return gone

    def any(self, db: sqlite3.Connection, most: int, spare: AbstractSet[int]) -> tuple[int, bool]:
        """Shed the oldest of what matters least.

        Returns:
            how many rows went, and whether another slice may find more.
        """
        gone = self.logs(db, most, spare)
        if gone:
            return gone, True
        further, gone = self._polled(db, most, spare)
        if further or gone:
            return gone, True
        gone = self.oldest(db, most, spare)
        if gone:
            return gone, True
        if self._pack(db, most):
            return 0, True
        for priority in (Priority.ANOMALY, Priority.CRITICAL):
            gone = _shed_oldest(db, priority, most, spare)
            if gone:
                return gone, True
        return 0, False

    def _pack(self, db: sqlite3.Connection, most: int) -> bool:
        """Pack the next rows closer; returns whether there were any."""
        if self._packed_to is not None:
            self._packed_to = rows.repack(db, self._packed_to, most, most * _ROW_BYTES) or None
        return self._packed_to is not None

    def _polled(
        self, db: sqlite3.Connection, most: int, spare: AbstractSet[int]
    ) -> tuple[bool, int]:
        """Shed telemetry read at intervals; returns whether it got any further, how many went."""
        looked = _next(db, Priority.TELEMETRY, self._passed, most, most_bytes=_LOOK_BYTES)
        if not looked:
            return False, 0
        # Never past the newest row: one put off for an hour must not hide an hour of new ones.
        place = min((looked[-1].next_retry_at, looked[-1].id), db.execute(_NEWEST).fetchone())
        passed, self._passed = self._passed, max(self._passed, place)
        going = [row for row in looked if row.id not in spare and periodic(json.loads(row.payload))]
        if going:
            self._packed_to = 0
        return self._passed > passed, _shed(db, going)


def shed_dead_letters(db: sqlite3.Connection, most_bytes: int) -> int:
    """Drop a slice of the oldest dead letters while they exceed ``most_bytes``."""
    if db.execute(_DEAD_BYTES).fetchone()[0] <= most_bytes:
        return 0
    going = db.execute(_OLDEST_DEAD, (EMERGENCY_ROWS,)).fetchall()
    db.executemany("DELETE FROM dead_letters WHERE id = ?", [(number,) for number, *_ in going])
    gaps.note(db, [gaps.of_payload(text, at, "shed") for _, text, at in going])
    ledger.post(db, "dead", -len(going))
    ledger.post(db, "shed", len(going))
    return len(going)


def _next(
    db: sqlite3.Connection,
    priority: Priority,
    after: tuple[float, int],
    most: int,
    *,
    most_bytes: int = 0,
    spare: AbstractSet[int] = frozenset(),
) -> list[_Row]:
    """The oldest rows of a priority beyond a place in its index, but for those to be spared."""
    query, corrections = _NEXT.format(shift=correction.shift(db)), correction.Corrections(db)
    found = db.execute(query, (priority.value, *after, most + len(spare)))
    others = (row for row in found if row[0] not in spare)
    return [
        _Row(number, corrections.payload(number, text), *rest)
        for number, text, *rest in rows.up_to_bytes(others, most_bytes or most * _ROW_BYTES)
    ]


def _shed_oldest(
    db: sqlite3.Connection, priority: Priority, most: int, spare: AbstractSet[int]
) -> int:
    """Shed the oldest rows of a priority; returns how many went."""
    return _shed(db, _next(db, priority, _START, most, spare=spare)[:most])


def _shed(db: sqlite3.Connection, going: list[_Row]) -> int:
    """Delete rows, and note the gaps they leave."""
    # First they leave: on a disk without room the gaps are noted in pages that they free.
    gone = rows.remove(db, [row.id for row in going], "shed") if going else 0
    gaps.note(db, [gaps.of_payload(row.payload, row.created_at, "shed") for row in going])
    return gone
