"""What outlives a restart besides the rows: state by owner, and the last changes of state."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from edge_agent.clock import Clock
from edge_agent.cloud_sync.store import Store

#: How many changes of state are kept.
HISTORY = 200


class Memory:
    """State and history in the queue file. Thread-safe."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def load(self, owner: str) -> Any:
        """What `save` kept for ``owner``; None where it kept nothing."""
        with self._store.read() as db:
            row = db.execute("SELECT value FROM state WHERE owner = ?", (owner,)).fetchone()
        return json.loads(row[0]) if row else None

    def save(self, owner: str, value: Any) -> None:
        """Keep a JSON-representable value, durably."""
        self._store.change(lambda db: keep(db, {owner: value}))

    def note(self, event: str) -> None:
        """Keep one change of state, with the wall clock's time; the oldest beyond `HISTORY` go."""

        def add(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO state_changes(at, event) VALUES (?, ?)", (self._clock.wall(), event)
            )
            db.execute("DELETE FROM state_changes WHERE id <= last_insert_rowid() - ?", (HISTORY,))

        self._store.change(add)

    def history(self, most: int = HISTORY) -> list[tuple[float, str]]:
        """The last changes as pairs of Unix seconds and event, oldest first."""
        with self._store.read() as db:
            found = db.execute(
                "SELECT at, event FROM state_changes ORDER BY id DESC LIMIT ?", (most,)
            ).fetchall()
        return found[::-1]


def keep(db: sqlite3.Connection, states: Mapping[str, Any]) -> None:
    """Keep JSON-representable values by owner, in the caller's transaction."""
    kept = [(owner, json.dumps(value)) for owner, value in states.items()]
    db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
