"""The books: what left the queue in which way.

Every function works inside the caller's transaction, the one that also deletes the rows; so the
books agree with the rows at every instant, across crashes.
"""

from __future__ import annotations

import dataclasses
import sqlite3

from edge_agent.cloud_sync import schema

#: The setting of when the last flush was.
LAST_FLUSH = "last_flush_time"
#: The setting that says that rows were lost uncounted.
CORRUPT_UNKNOWN = "corrupt_unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger:
    """Where every row that was ever enqueued is now."""

    enqueued: int
    queued: int
    delivered: int
    expired: int
    shed: int
    thinned: int
    dead: int
    exported: int
    discarded: int
    #: lost to damage: what the last readable counters cannot account for
    corrupt: int
    #: whether more was lost to damage, and nobody knows how much: the counters were not readable
    corrupt_unknown: bool
    #: refused for want of room; these never were in the queue
    rejected: int

    @property
    def closes(self) -> bool:
        """Whether the books agree: every row enqueued is in exactly one place.

        Of rows that damage took uncounted (`corrupt_unknown`) they know in neither column.
        """
        left: int = sum(getattr(self, fate) for fate in schema.FATES)
        return self.enqueued == self.queued + left


def post(db: sqlite3.Connection, entry: str, items: int) -> None:
    """Book ``items`` rows under ``entry``; negative where they come back."""
    if items:
        db.execute("UPDATE ledger SET items = items + ? WHERE entry = ?", (items, entry))


def entry(db: sqlite3.Connection, name: str) -> int:
    """What is booked under one entry."""
    return int(db.execute("SELECT items FROM ledger WHERE entry = ?", (name,)).fetchone()[0])


def read(db: sqlite3.Connection) -> Ledger:
    """The books as this transaction sees them; counts the rows that are queued."""
    queued = db.execute("SELECT count(*) FROM sync_queue").fetchone()[0]
    return Ledger(queued=queued, corrupt_unknown=bool(setting(db, CORRUPT_UNKNOWN)), **totals(db))


def totals(db: sqlite3.Connection) -> dict[str, int]:
    """How many rows were ever enqueued, and what left in which way; counts no rows."""
    entries = dict(db.execute("SELECT entry, items FROM ledger").fetchall())
    return {"enqueued": schema.sequence(db) - int(setting(db, "sequence_base")), **entries}


def setting(db: sqlite3.Connection, name: str) -> float:
    """A numeric setting; 0 where it was never set."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def set_setting(db: sqlite3.Connection, name: str, value: float) -> None:
    """Keep a numeric setting."""
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
