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
from collections.abc import Sequence

from edge_agent.cloud_sync import correction, origin
from edge_agent.cloud_sync.batch import ITEM_OVERHEAD_BYTES, Batch, Row
from edge_agent.cloud_sync.ledger import set_setting, setting
from edge_agent.cloud_sync.rows import NewRow
from edge_agent.types import Priority

#: A critical item younger than this shares its request with no other priority.
FRESH_S = 60.0

_ELIGIBLE = """
SELECT id, payload, created_at + {shift}, ttl_seconds, retry_count, next_retry_at + {shift}
FROM sync_queue
WHERE priority = ?1 AND next_retry_at > ?2 AND next_retry_at <= ?3
  AND next_retry_at + {shift} <= ?3 AND created_at + {shift} + ttl_seconds > ?3
ORDER BY next_retry_at, id LIMIT ?4
"""


def keep_longest_ttls(db: sqlite3.Connection, new: Sequence[NewRow]) -> None:
    """Keep the longest TTL stored at each priority, in the transaction that stores the rows."""
    for priority in Priority:
        name = _longest_ttl(priority)
        longest = max((row.ttl_seconds for row in new if row.priority == priority), default=0)
        if longest and longest > setting(db, name):
            set_setting(db, name, longest)


def _longest_ttl(priority: Priority) -> str:
    """The setting that keeps the longest TTL, in seconds, of a priority."""
    return f"longest_ttl_{priority.value}"


def expired_until(db: sqlite3.Connection, priority: Priority, now: float) -> float:
    """The ``next_retry_at`` up to which every row of a priority has outlived its TTL.

    Lower by what stored times have still to move: nothing uncorrected is passed over.
    """
    return now - setting(db, _longest_ttl(priority)) - correction.longest_shift(db)


def eligible(
    db: sqlite3.Connection,
    now: float,
    limit: int,
    priorities: tuple[Priority, ...] = tuple(Priority),
) -> list[Row]:
    """Up to ``limit`` rows (-1: all) that may be sent now, by priority, then as queued."""
    rows: list[Row] = []
    # What is uncorrected has the lower ids and times: the order of the index is right for all.
    query = _ELIGIBLE.format(shift=correction.shift(db))
    corrections = correction.Corrections(db)
    for priority in priorities:
        if len(rows) == limit:
            break
        bound = expired_until(db, priority, now)
        found = db.execute(query, (priority.value, bound, now, max(limit - len(rows), -1)))
        rows.extend(
            Row(number, corrections.payload(number, text), priority, *rest)
            for number, text, *rest in found.fetchall()
        )
    return rows


def next_batch(
    db: sqlite3.Connection,
    now: float,
    limit: int,
    max_bytes: int,
    priorities: tuple[Priority, ...] = tuple(Priority),
) -> Batch | None:
    """The next request's rows: of one origin, at most ``limit`` items and ``max_bytes`` of body.

    A fresh critical item travels with critical items alone. One row always fits.
    """
    rows = eligible(db, now, limit, priorities)
    if not rows:
        return None
    wanted = _critical_alone(rows, now)
    first_id, queue_id, device_id, end_id = origin.of_row(db, wanted[0].id)
    # Up to the first row of another origin: past it, newer ones would overtake it.
    ours = list(itertools.takewhile(lambda row: first_id <= row.id < end_id, wanted))
    batch = Batch(queue_id, device_id, ())
    kept = _of_size(ours, max_bytes - len(batch.body()))
    whole = len(kept) == len(rows) < limit and end_id == math.inf
    return dataclasses.replace(batch, rows=tuple(kept), open_ended=whole)


def all_batches(db: sqlite3.Connection, now: float) -> list[Batch]:
    """Everything that may be sent now, a batch for each origin.

    Warning:
        All of it is held in memory.
    """
    by_origin: dict[tuple[str, str], list[Row]] = {}
    for row in eligible(db, now, -1):
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
