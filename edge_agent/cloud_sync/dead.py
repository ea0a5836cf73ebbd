"""Dead letters in a person's hands: to look at, to send once more, to be done with.

Every function that changes something works inside the caller's transaction and books it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from edge_agent.cloud_sync import ledger, origin, rows, ttl_span
from edge_agent.cloud_sync.store import Store
from edge_agent.types import NEVER_S, Priority

#: Read in one go, and moved in one transaction: far below SQLite's limit on parameters.
SLICE = 500

_LOOK = f"""
SELECT id, payload, priority, created_at, ttl_seconds, retry_count, died_at, reason
FROM dead_letters WHERE id > ? ORDER BY id LIMIT {SLICE}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row that a server condemned."""

    queue_id: str
    device_id: str
    id: int
    #: what went over the wire as ``data``
    payload: dict[str, Any]
    priority: Priority
    #: when it was queued, and when it was condemned; queue time, Unix seconds
    created_at: float
    ttl_seconds: int
    retry_count: int
    died_at: float
    #: the answer that condemned it
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """It as a JSON-representable dictionary, the priority as its number."""
        return dataclasses.asdict(self) | {"priority": self.priority.value}


def all_of(store: Store) -> Iterator[DeadLetter]:
    """All of them, by id, read in slices."""
    last = 0
    while True:
        with store.read() as db:
            found = [_letter(db, *row) for row in db.execute(_LOOK, (last,)).fetchall()]
        if not found:
            return
        yield from found
        last = found[-1].id


def _letter(
    db: sqlite3.Connection, number: int, payload: str, priority: int, *rest: Any
) -> DeadLetter:
    _, queue_id, device_id, _ = origin.of_row(db, number)
    return DeadLetter(queue_id, device_id, number, json.loads(payload), Priority(priority), *rest)


def replay(db: sqlite3.Connection, ids: Sequence[int], now: float) -> int:
    """Put up to `SLICE` back into the queue under their ids, eligible at once, their TTL anew.

    The TTL is lengthened by the age that a row has: its ``created_at`` must stay, by which rows are
    in the order of their ids, and by which a person purges.

    Returns:
        how many there were.
    """
    where = f"id IN ({','.join('?' * len(ids))})"
    db.execute(
        "UPDATE dead_letters SET ttl_seconds ="
        f" min({NEVER_S}, ttl_seconds + max(0, CAST(? - created_at AS INTEGER) + 1)) WHERE {where}",
        (now, *ids),
    )
    kinds = db.execute(
        f"SELECT DISTINCT priority, ttl_seconds FROM dead_letters WHERE {where}", ids
    )
    ttl_span.keep(db, kinds.fetchall())
    return rows.resurrect(db, ids, now)


def drop(db: sqlite3.Connection, ids: Sequence[int], fate: str) -> int:
    """Delete them, booked under ``fate``; returns how many there were."""
    statement = "DELETE FROM dead_letters WHERE id = ?"
    gone = db.executemany(statement, [(number,) for number in ids]).rowcount if ids else 0
    ledger.post(db, "dead", -gone)
    ledger.post(db, fate, gone)
    return gone


def slices(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids, each once, so many at a time as a transaction takes."""
    left = iter(dict.fromkeys(ids))
    while part := tuple(itertools.islice(left, SLICE)):
        yield part
