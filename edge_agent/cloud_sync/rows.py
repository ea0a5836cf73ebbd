"""Rows in, rows put off, rows out: every statement that changes ``sync_queue`` in normal work.

Each function works inside the caller's transaction and books what it removes.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from edge_agent.cloud_sync import correction, door, ledger
from edge_agent.types import NEVER_S, Priority, Submission

#: Ids in one statement: far below SQLite's limit on parameters (32,766 in 3.40).
_IDS_A_STATEMENT = 500
_ALL = "id, payload, priority, created_at, ttl_seconds, retry_count, next_retry_at"


class NewRow(NamedTuple):
    """What is inserted, but for its time."""

    #: JSON text
    payload: str
    priority: int
    ttl_seconds: int


def stored_form(submission: Submission) -> NewRow:
    """The row a submission becomes.

    Raises:
        PayloadError: the payload is refused.
        ValueError: the priority or the TTL is none.
    """
    if not 0 < submission.ttl_s <= NEVER_S:
        raise ValueError(
            f"ttl_seconds is {submission.ttl_s}; it must be above 0 and at most {NEVER_S}"
        )
    priority = Priority(submission.priority)
    return NewRow(door.encode(submission.payload), priority.value, math.ceil(submission.ttl_s))


def insert(db: sqlite3.Connection, rows: Sequence[NewRow], now: float) -> list[int]:
    """Insert rows as of queue time ``now``, eligible at once.

    Returns:
        their ids, one after the other (AUTOINCREMENT in one transaction).
    """
    db.executemany(
        "INSERT INTO sync_queue(payload, priority, ttl_seconds, created_at, next_retry_at)"
        " VALUES (?, ?, ?, ?, ?)",
        ((*row, now, now) for row in rows),
    )
    last = int(db.execute("SELECT last_insert_rowid()").fetchone()[0])
    return list(range(last - len(rows) + 1, last + 1))


def remove(db: sqlite3.Connection, ids: Sequence[int], fate: str) -> int:
    """Delete rows and book them under ``fate``; returns how many there were."""
    gone = delete(db, ids)
    ledger.post(db, fate, gone)
    return gone


def delete(db: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete rows that the caller books, or restores; returns how many there were."""
    return sum(
        db.execute(f"DELETE FROM sync_queue WHERE {where}", numbers).rowcount
        for where, numbers in _slices(ids)
    )


def present(db: sqlite3.Connection, ids: Sequence[int]) -> set[int]:
    """Which of ``ids`` are in the queue."""
    return {
        number
        for where, numbers in _slices(ids)
        for (number,) in db.execute(f"SELECT id FROM sync_queue WHERE {where}", numbers)
    }


def repack(db: sqlite3.Connection, after: int, most: int, most_bytes: int) -> int:
    """Take some rows out and insert them again as they were, which fills page after page.

    Args:
        db: in the caller's transaction.
        after: the id before the first.
        most: rows.
        most_bytes: of payload, after which no further row is taken.

    Returns:
        the last one's id; 0 where there is none.
    """
    found = db.execute(
        f"SELECT {_ALL} FROM sync_queue WHERE id > ? ORDER BY id LIMIT ?", (after, most)
    )
    taken = up_to_bytes(found, most_bytes)
    if not taken:
        return 0
    last = int(taken[-1][0])
    db.execute("DELETE FROM sync_queue WHERE id > ? AND id <= ?", (after, last))
    db.executemany(f"INSERT INTO sync_queue({_ALL}) VALUES (?, ?, ?, ?, ?, ?, ?)", taken)
    return last


def up_to_bytes(found: Iterable[tuple[Any, ...]], most_bytes: int) -> list[tuple[Any, ...]]:
    """Rows whose second column is a payload, up to that one with which they are enough."""
    taken, size = [], 0
    for row in found:
        taken.append(row)
        size += len(row[1])
        if size >= most_bytes:
            break
    return taken


def restore(
    db: sqlite3.Connection, kept: Sequence[tuple[int, str, int, float, int, float]]
) -> None:
    """Insert rows (id, payload, priority, created_at, ttl_seconds, next_retry_at) that were out."""
    db.executemany(
        "INSERT INTO sync_queue(id, payload, priority, created_at, ttl_seconds, next_retry_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        kept,
    )


def put_off(db: sqlite3.Connection, ids: Sequence[int], due: float) -> int:
    """Make rows eligible at queue time ``due`` and count the try; returns how many there were."""
    # What a step has still to move must be due when it has moved.
    shift = correction.shift(db)
    return sum(
        db.execute(
            "UPDATE sync_queue SET retry_count = retry_count + 1,"
            f" next_retry_at = max(? - {shift}, created_at) WHERE {where}",
            (due, *numbers),
        ).rowcount
        for where, numbers in _slices(ids)
    )


def bury(db: sqlite3.Connection, ids: Sequence[int], now: float, reason: str) -> int:
    """Move rows to the dead letters, with the answer that condemned them; returns how many."""
    # As they would have been sent: what a step has still to move is not moved there any more.
    shift, corrections = correction.shift(db), correction.Corrections(db)
    for where, numbers in _slices(ids):
        found = db.execute(
            f"SELECT id, payload, priority, created_at + {shift}, ttl_seconds, retry_count"
            f" FROM sync_queue WHERE {where}",
            numbers,
        ).fetchall()
        db.executemany(
            "INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(n, corrections.payload(n, text), *rest, now, reason) for n, text, *rest in found],
        )
    return remove(db, ids, "dead")


def resurrect(db: sqlite3.Connection, ids: Sequence[int], due: float) -> int:
    """Move dead letters back, eligible at queue time ``due``; returns how many there were."""
    back, shift = 0, correction.shift(db)
    for where, numbers in _slices(ids):
        db.execute(
            "INSERT INTO sync_queue SELECT id, payload, priority, created_at, ttl_seconds,"
            f" retry_count, max(?, created_at) FROM dead_letters WHERE {where}",
            (due, *numbers),
        )
        # It was buried with its time moved; a step that has still to move it would do so twice.
        db.execute(
            f"UPDATE sync_queue SET created_at = created_at - {shift},"
            f" next_retry_at = next_retry_at - {shift}"
            f" WHERE id IN (SELECT id FROM dead_letters WHERE {where})",
            numbers,
        )
        back += db.execute(f"DELETE FROM dead_letters WHERE {where}", numbers).rowcount
    ledger.post(db, "dead", -back)
    return back


def release(db: sqlite3.Connection) -> int:
    """Put nacked rows back in their old places, a slice of them.

    Returns:
        how many there were; 0 when there are no more.
    """
    return db.execute(
        "UPDATE sync_queue SET next_retry_at = created_at WHERE id IN ("
        "SELECT id FROM sync_queue WHERE retry_count > 0 AND next_retry_at > created_at LIMIT ?)",
        (_IDS_A_STATEMENT,),
    ).rowcount


def _slices(ids: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    """Conditions that together match ``ids``: one range where they have no hole, else lists."""
    wanted = sorted(set(ids))
    if wanted and wanted[-1] - wanted[0] + 1 == len(wanted):
        yield "id BETWEEN ? AND ?", (wanted[0], wanted[-1])
        return
    for start in range(0, len(wanted), _IDS_A_STATEMENT):
        part = wanted[start : start + _IDS_A_STATEMENT]
        yield f"id IN ({','.join('?' * len(part))})", part
