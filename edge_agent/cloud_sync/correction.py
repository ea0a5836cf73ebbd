"""Readings taken before the clock was right: corrected when it is set.

A step leaves one record in ``clock_steps``. It holds from the moment it is committed: who reads
rows adds `shift` and passes payloads through `Corrections`. The rows themselves are rewritten
afterwards, in slices, newest id first, so that what is still to do always stands in front; then
the record goes. Of two records whose ranges overlap one at most has payloads there to move: each
reading was stamped in one boot.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.cloud_sync.store import Store

#: Rows rewritten in one transaction, and transactions in one call.
SLICE_ROWS = 1_000
_SLICES = 5

_SHIFT = """
(SELECT coalesce(sum(queue_jump_s), 0.0) FROM clock_steps
 WHERE sync_queue.id >= first_id AND sync_queue.id < coalesce(done_to, last_id + 1))
"""
_STANDING = """
SELECT id, first_id, coalesce(done_to, last_id + 1), boot_first_id, queue_jump_s, wall_step_s,
       excepted
FROM clock_steps ORDER BY id
"""
_SLICE = "SELECT id, payload FROM sync_queue WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?"


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One step, and what of it is still to be rewritten."""

    id: int
    #: rows from ``first_id`` up to, not including, ``end_id``
    first_id: int
    end_id: int
    #: rows from here on had their payloads stamped by the clock that was set
    boot_first_id: int
    queue_jump_s: float
    wall_step_s: float
    #: rows whose payload the server may have
    excepted: frozenset[int]

    def payload(self, row_id: int, text: str) -> str:
        """The payload of a row in this record's range, as it is to be sent."""
        if row_id < self.boot_first_id or row_id in self.excepted:
            return text
        return moved_text(text, self.wall_step_s)


class Corrections:
    """The records that stand, as one transaction sees them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._records = _standing(db)

    @property
    def standing(self) -> bool:
        """Whether there is any."""
        return bool(self._records)

    def payload(self, row_id: int, text: str) -> str:
        """A row's stored payload as it is to be sent; the same text where no record applies."""
        for record in self._records:
            if record.first_id <= row_id < record.end_id:
                text = record.payload(row_id, text)
        return text


def shift(db: sqlite3.Connection) -> str:
    """SQL for the seconds that a row's stored times still have to move; inside ``sync_queue``."""
    return _SHIFT if db.execute("SELECT 1 FROM clock_steps LIMIT 1").fetchone() else "0.0"


def longest_shift(db: sqlite3.Connection) -> float:
    """As many seconds as any row may have still to move; 0.0 when none has."""
    found = db.execute("SELECT coalesce(sum(queue_jump_s), 0.0) FROM clock_steps").fetchone()
    return float(found[0])


def note_request(db: sqlite3.Connection, ids: Iterable[int], boot_id: str) -> None:
    """Keep which rows of this boot a request is about to carry: their payloads stay as they are.

    Those noted before that have left the queue are forgotten.
    """
    db.execute("DELETE FROM requested WHERE id NOT IN (SELECT id FROM sync_queue)")
    first = db.execute(
        "SELECT min(first_id) FROM origins WHERE boot_id = ? AND synced_from_id IS NULL", (boot_id,)
    ).fetchone()[0]
    if first is not None:
        ours = [(number,) for number in ids if number >= first]
        db.executemany("INSERT OR IGNORE INTO requested VALUES (?)", ours)


def requested(db: sqlite3.Connection, first_id: int) -> list[int]:
    """Rows from ``first_id`` on whose request may have reached the server."""
    found = db.execute(
        "SELECT id FROM sync_queue WHERE retry_count > 0 AND id >= ?1"
        " UNION SELECT id FROM requested WHERE id >= ?1",
        (first_id,),
    )
    return [number for (number,) in found]


def rewrite(store: Store) -> bool:
    """Rewrite some slices of what stands, each in a transaction of its own.

    Returns:
        whether there is more of it.
    """
    for _ in range(_SLICES):
        with store.read() as db:
            records = _standing(db)
        if not records:
            return False
        store.change(_rewrite_next)
    return True


def moved(payload: Mapping[str, Any], wall_step_s: float) -> dict[str, Any] | None:
    """A payload that was stamped by an unsynchronised clock, with the right times.

    Returns:
        a new dictionary; None where nothing says that it was stamped so.
    """
    metadata = payload.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("clock") != "unsynced":
        return None
    times = {name: _later(metadata[name], wall_step_s) for name in ("from", "to") & metadata.keys()}
    new = {**payload, "metadata": {**metadata, **times, "clock": "corrected"}}
    if "timestamp" in new:
        new["timestamp"] = _later(new["timestamp"], wall_step_s)
    return new


def moved_text(text: str, wall_step_s: float) -> str:
    """As `moved`, from stored text to stored text; the same text where there is nothing to move.

    Raw SQL stores anything: what is no JSON object was stamped by nobody, and stays as well.
    """
    # Parsing costs more than looking, and few other payloads have the word.
    if not isinstance(text, str) or '"unsynced"' not in text:
        return text
    try:
        payload = json.loads(text)
        new = moved(payload, wall_step_s) if isinstance(payload, dict) else None
        written = json.dumps(new, ensure_ascii=False, separators=(",", ":")) if new else text
        # Half a surrogate pair, written as an escape, would not go back into the file.
        written.encode()
    except (ValueError, RecursionError):
        return text
    return written


def _later(value: Any, seconds: float) -> Any:
    """A time moved by ``seconds``; what is no time stays."""
    is_time = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return value + seconds if is_time else value
    except OverflowError:
        return value


def _standing(db: sqlite3.Connection) -> list[Record]:
    return [
        Record(number, first, end, boot_first, jump, step, frozenset(json.loads(excepted)))
        for number, first, end, boot_first, jump, step, excepted in db.execute(_STANDING).fetchall()
    ]


def _rewrite_next(db: sqlite3.Connection) -> None:
    # Anew, under the lock: another process may be rewriting as well.
    for record in _standing(db)[:1]:
        _rewrite_slice(db, record)


def _rewrite_slice(db: sqlite3.Connection, record: Record) -> None:
    """Rewrite the newest rows of a record; without any left, the record goes."""
    found = db.execute(_SLICE, (record.first_id, record.end_id, SLICE_ROWS)).fetchall()
    if not found:
        db.execute("DELETE FROM clock_steps WHERE id = ?", (record.id,))
        return
    lowest = found[-1][0]
    if record.queue_jump_s:
        db.execute(
            "UPDATE sync_queue SET created_at = created_at + ?1, next_retry_at = next_retry_at + ?1"
            " WHERE id >= ?2 AND id < ?3",
            (record.queue_jump_s, lowest, record.end_id),
        )
    new = ((record.payload(number, text), number, text) for number, text in found)
    db.executemany(
        "UPDATE sync_queue SET payload = ? WHERE id = ?",
        [(text, number) for text, number, old in new if text != old],
    )
    db.execute("UPDATE clock_steps SET done_to = ? WHERE id = ?", (lowest, record.id))
