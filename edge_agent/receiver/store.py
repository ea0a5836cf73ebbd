"""Where received readings are kept, each of them once: one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.clock import Clock, SystemClock
from edge_agent.errors import StoreError
from edge_agent.receiver.batch import Batch


@dataclass(frozen=True, slots=True)
class ReceivedItem:
    """One reading, as it was stored."""

    #: as in `Batch`
    queue_id: str
    #: as in `Batch`
    request_key: str
    #: unique together with ``queue_id`` and ``request_key``
    id: int
    #: who sent it first
    device_id: str
    #: Unix seconds when it came first
    arrived_at: float
    #: the payload
    data: Mapping[str, Any]


class Counts(NamedTuple):
    """What became of one request's items."""

    stored: int
    repeated: int


class Totals(NamedTuple):
    """What came since the file was made: requests accepted, items stored, items repeated."""

    requests: int
    items: int
    repeated: int


class ReceiverStore:
    """The readings received, in one SQLite file. Thread-safe: one kept connection and a lock.

    A batch that `store` returned for is on the disk (WAL with ``synchronous=FULL``: committed means
    flushed, https://www.sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        StoreError: the file cannot be opened or is no such file.
    """

    _SCHEMA = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS items (
            arrival INTEGER PRIMARY KEY,
            queue_id TEXT NOT NULL,
            request_key TEXT NOT NULL,
            id INTEGER NOT NULL,
            device_id TEXT NOT NULL,
            arrived_at REAL NOT NULL,
            data TEXT NOT NULL,
            UNIQUE (queue_id, request_key, id)
        );
        CREATE TABLE IF NOT EXISTS totals (
            requests INTEGER NOT NULL, items INTEGER NOT NULL, repeated INTEGER NOT NULL
        );
        INSERT INTO totals SELECT 0, 0, 0 WHERE NOT EXISTS (SELECT * FROM totals);
    """

    def __init__(self, db_path: str | Path, clock: Clock | None = None) -> None:
        self._path = Path(db_path)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        with self._named_errors():
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
        try:
            with self._named_errors():
                self._connection.executescript(self._SCHEMA)
        except StoreError:
            self._connection.close()
            raise

    def store(self, batch: Batch) -> Counts:
        """Keep what is new of a batch, in one transaction, and count what is not.

        Raises:
            StoreError: the file could not be written; what the caller sent may or may not be in it.
        """
        arrived_at = self._clock.wall()
        same = (batch.queue_id, batch.request_key, batch.device_id, arrived_at)
        with self._named_errors(), self._lock, self._connection as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO items"
                " (queue_id, request_key, device_id, arrived_at, id, data)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                ((*same, *item) for item in batch.items),
            )
            stored = connection.total_changes - before
            counts = Counts(stored, len(batch.items) - stored)
            connection.execute(
                "UPDATE totals"
                " SET requests = requests + 1, items = items + ?, repeated = repeated + ?",
                counts,
            )
        return counts

    def totals(self) -> Totals:
        """What came since the file was made.

        Raises:
            StoreError: the file could not be read.
        """
        with self._named_errors(), self._lock:
            row = self._connection.execute("SELECT requests, items, repeated FROM totals")
            return Totals(*row.fetchone())

    def items(self) -> Iterator[ReceivedItem]:
        """Every item, in the order of first arrival, as of the moment iteration begins.

        Reads over a connection of its own, so batches go on coming in meanwhile.

        Raises:
            StoreError: the file could not be read.
        """
        with self._named_errors(), contextlib.closing(sqlite3.connect(self._path)) as connection:
            rows = connection.execute(
                "SELECT queue_id, request_key, id, device_id, arrived_at, data"
                " FROM items ORDER BY arrival"
            )
            for queue_id, request_key, number, device_id, arrived_at, data in rows:
                yield ReceivedItem(
                    queue_id, request_key, number, device_id, arrived_at, json.loads(data)
                )

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path} cannot be used: {error}; see that it is a receiver's file on a"
                " disk with room, and may be written",
                reason=getattr(error, "sqlite_errorname", "unknown"),
            ) from error
