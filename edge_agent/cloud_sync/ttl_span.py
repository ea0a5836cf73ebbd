"""The shortest and the longest TTL ever stored at each priority.

They bound where in the index a row can be that has expired: with every TTL the same, as the agent's
are, nobody has to look at a row to know. Every function works inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from edge_agent.types import Priority

_NAMES = {p.value: (f"shortest_ttl_{p.value}", f"longest_ttl_{p.value}") for p in Priority}
_ALL = [name for names in _NAMES.values() for name in names]
_READ = f"SELECT name, value FROM settings WHERE name IN ({','.join('?' * len(_ALL))})"
_KEEP = "INSERT OR REPLACE INTO settings VALUES (?, ?)"


class Span(NamedTuple):
    """Seconds; the reverse of a range where nothing was ever stored."""

    shortest: float
    longest: float


NONE = Span(float("inf"), 0.0)


def read(db: sqlite3.Connection) -> dict[int, Span]:
    """The TTLs stored so far, by priority; every priority is named."""
    known = dict(db.execute(_READ, _ALL).fetchall())
    return {
        priority: Span(known.get(shortest, NONE.shortest), known.get(longest, NONE.longest))
        for priority, (shortest, longest) in _NAMES.items()
    }


def keep(db: sqlite3.Connection, stored: Iterable[tuple[int, float]]) -> None:
    """Take pairs of priority and TTL into account, in the transaction that stores their rows."""
    found: dict[int, Span] = {}
    for priority, ttl_s in set(stored):
        before = found.get(priority, NONE)
        found[priority] = Span(min(before.shortest, ttl_s), max(before.longest, ttl_s))
    old = read(db) if found else {}
    for priority, new in found.items():
        wider = Span(
            min(new.shortest, old[priority].shortest), max(new.longest, old[priority].longest)
        )
        if wider != old[priority]:
            db.executemany(_KEEP, zip(_NAMES[priority], wider, strict=True))


def keep_found(db: sqlite3.Connection, where: str = "1") -> None:
    """The same for rows that somebody else stored, those that a condition of SQL finds."""
    for priority in Priority:
        found = db.execute(
            "SELECT min(ttl_seconds), max(ttl_seconds) FROM sync_queue"
            f" WHERE priority = ? AND {where}",
            (priority.value,),
        ).fetchone()
        keep(db, [(priority.value, ttl_s) for ttl_s in found if ttl_s is not None])
