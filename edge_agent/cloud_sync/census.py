"""Looking at the queue: how much there is, how old, how often tried. Reads only."""

from __future__ import annotations

import sqlite3
from typing import Any

from edge_agent.cloud_sync import correction, schema
from edge_agent.types import Priority

#: How many of the newest rows tell how large the next ones will be.
_SAMPLE_ROWS = 100
#: What stands beside the payload in a row, and the row's place in the index, in bytes.
#:
#: Source: https://sqlite.org/fileformat2.html, 1.6 and 2.1, and measured: 20,000 rows with payloads
#: of 60, 166 and 1,000 bytes take 116, 226 and 1,391 bytes each; this says 117, 225 and 1,385.
_BESIDE_BYTES, _INDEX_BYTES = 37, 20


def depth(db: sqlite3.Connection) -> int:
    """All rows, whatever their state."""
    return int(db.execute("SELECT count(*) FROM sync_queue").fetchone()[0])


def depths(db: sqlite3.Connection) -> dict[Priority, int]:
    """Rows of each priority; every priority is named."""
    counted = dict(
        db.execute("SELECT priority, count(*) FROM sync_queue GROUP BY priority").fetchall()
    )
    return {priority: counted.get(priority.value, 0) for priority in Priority}


def row_bytes(db: sqlite3.Connection) -> float:
    """About what one more row takes of the file: as the newest ones do; 0.0 in an empty queue.

    Rows do not cross pages, so of large ones a page has room for a whole number.
    """
    (payload_bytes,) = db.execute(
        "SELECT avg(length(CAST(payload AS BLOB))) FROM"
        f" (SELECT payload FROM sync_queue ORDER BY id DESC LIMIT {_SAMPLE_ROWS})"
    ).fetchone()
    if payload_bytes is None:
        return 0.0
    cell_bytes = payload_bytes + _BESIDE_BYTES
    share_bytes = schema.PAGE_BYTES / max(1, schema.PAGE_BYTES // cell_bytes)
    return float(max(cell_bytes, share_bytes) + _INDEX_BYTES)


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
