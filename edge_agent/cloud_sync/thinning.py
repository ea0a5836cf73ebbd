"""Coarser data instead of a hole: every second reading leaves, its neighbour stands for it.

The oldest stretch that was not thinned in this round comes first; when all were, the next round
begins. Survivors are inserted anew under their ids: deleting every second row empties no page.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from edge_agent.cloud_sync import gaps, ledger, rows
from edge_agent.cloud_sync.correction import Corrections
from edge_agent.cloud_sync.gaps import Gap
from edge_agent.cloud_sync.store import Store

#: Rows looked at in one slice.
STRETCH_ROWS = 2_000
#: The setting that keeps how far the present round has come.
_THINNED_TO = "thinned_to"

_END = "SELECT max(id) FROM (SELECT id FROM sync_queue WHERE id > ? ORDER BY id LIMIT ?)"
# What was nacked may have arrived: it is never changed. By id, not by the index (hence the +).
# No reading is longer than a page, and a stretch of foreign payloads would fill the memory.
_STRETCH = """
SELECT id, payload, created_at, ttl_seconds, next_retry_at FROM sync_queue
WHERE id > ? AND id <= ? AND +priority = 3 AND +retry_count = 0 AND length(payload) <= 4096
ORDER BY id
"""
_OURS = {"sensor_name", "timestamp", "value", "unit", "metadata"}
#: What marks a reading that tells of more than one moment, or of a change.
_MARKS = {"alarm", "from", "to", "why", "sensor"}


class _Stored(NamedTuple):
    """A row as it is stored, and its payload decoded."""

    id: int
    text: str
    payload: dict[str, Any]
    created_at: float
    ttl_seconds: int
    next_retry_at: float


def periodic(payload: Mapping[str, Any]) -> bool:
    """Whether it is a number read at intervals: no contact, alarm, window, fault, foreign payload.

    A contact says a truth value, or a number without a unit.
    """
    if payload.keys() != _OURS or not _is_number(payload["value"]):
        return False
    unit, metadata = payload["unit"], payload["metadata"]
    named = isinstance(payload["sensor_name"], str) and _is_number(payload["timestamp"])
    return named and bool(unit) and isinstance(metadata, dict) and not _MARKS & metadata.keys()


def thin(store: Store, spare: AbstractSet[int]) -> tuple[int, bool]:
    """Thin the next stretch, in one short transaction.

    Args:
        store: the queue's file.
        spare: ids that stay as they are.

    Returns:
        how many readings left, and whether the round is at its end.
    """
    with store.read() as db:
        start = int(ledger.setting(db, _THINNED_TO))
        end = db.execute(_END, (start, STRETCH_ROWS)).fetchone()[0]
        found = db.execute(_STRETCH, (start, end or start)).fetchall()
    pairs = _pairs([_Stored(n, text, json.loads(text), *rest) for n, text, *rest in found], spare)

    def merge(db: sqlite3.Connection) -> int:
        ledger.set_setting(db, _THINNED_TO, end or 0)
        return _merge(db, pairs)

    return store.change(merge), end is None


def _pairs(stretch: list[_Stored], spare: AbstractSet[int]) -> list[tuple[_Stored, _Stored]]:
    """Neighbours of one sensor, each with the one that will stand for both first."""
    sensors: dict[str, list[_Stored]] = defaultdict(list)
    for row in stretch:
        if row.id not in spare and periodic(row.payload):
            sensors[row.payload["sensor_name"]].append(row)
    return [
        pair for found in sensors.values() for pair in zip(found[::2], found[1::2], strict=False)
    ]


def _merge(db: sqlite3.Connection, pairs: list[tuple[_Stored, _Stored]]) -> int:
    """Let the first of each pair stand for the second; returns how many readings left.

    Nothing happens if somebody has deleted one of them since they were read.
    """
    ids = [row.id for pair in pairs for row in pair]
    if len(rows.present(db, ids)) < len(ids):
        return 0
    rows.delete(db, ids)
    # In order of their ids, which fills page after page.
    rows.restore(db, sorted(_survivor(*pair) for pair in pairs))
    corrections = Corrections(db)
    gaps.note(db, [_gap(gone, corrections) for _, gone in pairs])
    ledger.post(db, "thinned", len(pairs))
    return len(pairs)


def _survivor(kept: _Stored, gone: _Stored) -> tuple[int, str, int, float, int, float]:
    """The row that stands for both."""
    stands_for = 1 + _thinned(kept) + _thinned(gone)
    metadata = {**kept.payload["metadata"], "thinned": stands_for}
    text = json.dumps({**kept.payload, "metadata": metadata}, separators=(",", ":"))
    return (kept.id, text, 3, kept.created_at, kept.ttl_seconds, kept.next_retry_at)


def _gap(gone: _Stored, corrections: Corrections) -> Gap:
    """What is missing without a row, at the time that it would have been sent with."""
    text = corrections.payload(gone.id, gone.text)
    payload = gone.payload if text is gone.text else json.loads(text)
    return Gap(payload["sensor_name"], "thinned", 1, payload["timestamp"], payload["timestamp"])


def _thinned(row: _Stored) -> int:
    """How many readings it stands for besides itself."""
    count = row.payload["metadata"].get("thinned", 0)
    return count if isinstance(count, int) else 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
