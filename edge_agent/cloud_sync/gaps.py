"""What thinning and shedding took, by sensor, until the far end has been told.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: The ``sensor_name`` of a gap reading, and of what had no sensor's name.
GAP_READING = "agent.gap"
_NAMELESS = "unknown"
#: Gaps told in one transaction.
MOST_AT_ONCE = 100


class Gap(NamedTuple):
    """Readings of one sensor that the far end will not see."""

    sensor: str
    #: ``shed`` or ``thinned``
    why: str
    #: how many
    items: int
    #: Unix seconds of the first and of the last
    from_time: float
    to_time: float


def of_payload(text: str, created_at: float, why: str) -> Gap:
    """The gap that a stored payload leaves; of a gap reading, the gap it told of."""
    payload = json.loads(text)
    told = _told(payload)
    if told is not None:
        return told
    name, at = payload.get("sensor_name"), payload.get("timestamp")
    at = at if isinstance(at, int | float) else created_at
    return Gap(name if isinstance(name, str) else _NAMELESS, why, 1, at, at)


def note(db: sqlite3.Connection, gaps: Iterable[Gap]) -> None:
    """Add gaps to those that are still to be told."""
    db.executemany(
        "INSERT INTO gaps VALUES (?, ?, ?, ?, ?) ON CONFLICT (sensor, why) DO UPDATE SET"
        " items = items + excluded.items, from_time = min(from_time, excluded.from_time),"
        " to_time = max(to_time, excluded.to_time)",
        gaps,
    )


def are_untold(db: sqlite3.Connection) -> bool:
    """Whether there is any gap to tell of."""
    return bool(db.execute("SELECT EXISTS (SELECT * FROM gaps)").fetchone()[0])


def take(db: sqlite3.Connection) -> list[Gap]:
    """Up to `MOST_AT_ONCE` gaps, which are forgotten with the caller's commit."""
    found = db.execute("SELECT * FROM gaps ORDER BY sensor, why LIMIT ?", (MOST_AT_ONCE,))
    taken = [Gap(*row) for row in found.fetchall()]
    db.executemany(
        "DELETE FROM gaps WHERE sensor = ? AND why = ?", [(gap.sensor, gap.why) for gap in taken]
    )
    return taken


def _told(payload: Mapping[str, Any]) -> Gap | None:
    """What a gap reading says; None of any other payload."""
    if payload.get("sensor_name") != GAP_READING:
        return None
    try:
        said = payload["metadata"]
        return Gap(said["sensor"], said["why"], payload["value"], said["from"], said["to"])
    except (KeyError, TypeError):
        return None
