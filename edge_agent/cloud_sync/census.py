"""Looking at the queue: how much there is, how old, how often tried. Reads only."""

from __future__ import annotations

import sqlite3
from typing import Any

from edge_agent.cloud_sync import correction
from edge_agent.types import Priority


def depth(db: sqlite3.Connection) -> int:
    """All rows, whatever their state."""
    return int(db.execute("SELECT count(*) FROM sync_queue").fetchone()[0])


def depths(db: sqlite3.Connection) -> dict[Priority, int]:
    """Rows of each priority; every priority is named."""
    counted = dict(
        db.execute("SELECT priority, count(*) FROM sync_queue GROUP BY priority").fetchall()
    )
    return {priority: counted.get(priority.value, 0) for priority in Priority}


def stats(db: sqlite3.Connection) -> dict[str, Any]:
    """The documented statistics; reads every row."""
    names = ("depth", "oldest_item_timestamp", "total_retries", "retrying_items")
    counted = db.execute(
        f"SELECT count(*), min(created_at + {correction.shift(db)}), coalesce(sum(retry_count), 0),"
        " coalesce(sum(retry_count > 0), 0) FROM sync_queue"
    ).fetchone()
    return dict(zip(names, counted, strict=True))


def oldest(db: sqlite3.Connection) -> float | None:
    """When the first row was queued, queue time; None in an empty queue."""
    return _born(db, "ASC")


def newest(db: sqlite3.Connection) -> float:
    """When the last row was queued, queue time; 0.0 in an empty queue.

    Raises:
        TypeError: what stands there is no time, which arithmetic in SQL would make a 0 of.
    """
    last = db.execute("SELECT typeof(created_at) FROM sync_queue ORDER BY id DESC LIMIT 1")
    (kind,) = last.fetchone() or ("real",)
    if kind != "real":
        raise TypeError(f"created_at of the last row is of type {kind}")
    return _born(db, "DESC") or 0.0


def _born(db: sqlite3.Connection, direction: str) -> float | None:
    """When the first or last row was queued, corrected."""
    born = f"created_at + {correction.shift(db)}"
    row = db.execute(f"SELECT {born} FROM sync_queue ORDER BY id {direction} LIMIT 1").fetchone()
    return row[0] if row else None


def waiting(db: sqlite3.Connection, now: float) -> int:
    """Rows whose next try is still to come."""
    # From where the first of them can stand: on the index, and nothing uncorrected is passed over.
    query = (
        "SELECT count(*) FROM sync_queue WHERE priority = ? AND next_retry_at > ?"
        f" AND next_retry_at + {correction.shift(db)} > ?"
    )
    first = now - correction.longest_shift(db)
    return sum(
        int(db.execute(query, (priority.value, first, now)).fetchone()[0]) for priority in Priority
    )
