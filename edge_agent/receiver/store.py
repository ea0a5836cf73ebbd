"""Where received readings are kept, each of them once: one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.clock import Clock, SystemClock
from edge_agent.errors import StoreError
from edge_agent.receiver.batch import Batch, Refusal

#: How long a request waits for another process that writes to the file.
_BUSY_S = 30.0


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


class Receipt(NamedTuple):
    """What is to be answered to a request that is on the disk."""

    counts: Counts
    #: the answer's body
    said: Mapping[str, Any]
    #: whether the key was known, and this is what it was answered the first time
    replayed: bool


class Totals(NamedTuple):
    """What came since the file was made: requests accepted, items stored, items repeated."""

    requests: int
    items: int
    repeated: int


class ReceiverStore:
    """The readings received, in one SQLite file. Thread-safe: one kept connection and a lock.

    A batch that `store` returned for is on the disk (WAL with ``synchronous=FULL``: committed means
    flushed, https://www.sqlite.org/pragma.html#pragma_synchronous), and the answer to its key with
    it: a receiver that dies before it could answer gives the same answer after its restart. Several
    processes may share a file.

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
        CREATE TABLE IF NOT EXISTS answers (
            key TEXT PRIMARY KEY, digest BLOB NOT NULL, said TEXT NOT NULL
        ) WITHOUT ROWID;
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
            self._connection = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._named_errors():
                self._connection.executescript(self._SCHEMA)
        except StoreError:
            self._connection.close()
            raise

    def store(
        self,
        batch: Batch,
        *,
        rejected: Mapping[int, str] | None = None,
        retry: Collection[int] = (),
    ) -> Receipt:
        """Keep what is new of a batch and the answer to its key, in one transaction.

        A key that is known gets its first answer again, and nothing is stored. An answer that
        refuses items for reasons of the moment, or wants them again, is no last word: it is not
        remembered, and the same request is judged anew.

        Args:
            batch: what came.
            rejected: names of items to refuse besides the batch's own, each with the reason.
            retry: names of items that are to be sent again later.

        Raises:
            Refusal: (422) the key is known, and stands for another body.
            StoreError: the file could not be written; what the caller sent may or may not be in it.
        """
        refused = {**batch.rejected, **(rejected or {})}
        with self._named_errors(), self._lock, self._connection as connection:
            # At once, not at the first write: what was looked up must still hold then.
            connection.execute("BEGIN IMMEDIATE")
            known = self._known_answer(batch)
            if known is not None:
                counts, said = Counts(0, len(batch.items)), known
            else:
                counts = self._insert(batch, refused.keys() | set(retry))
                said = _answer(counts, refused, retry)
                if not (rejected or retry):
                    self._remember(batch, said)
            connection.execute(
                "UPDATE totals"
                " SET requests = requests + 1, items = items + ?, repeated = repeated + ?",
                counts,
            )
        return Receipt(counts, said, known is not None)

    def _known_answer(self, batch: Batch) -> Mapping[str, Any] | None:
        row = self._connection.execute(
            "SELECT digest, said FROM answers WHERE key = ?", (batch.key,)
        ).fetchone()
        if row is None:
            return None
        digest, said = row
        if digest != batch.digest:
            raise Refusal(
                "the Idempotency-Key was used for another body; a new body needs a new key",
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
            )
        answer: Mapping[str, Any] = json.loads(said)
        return answer

    def _insert(self, batch: Batch, without: Collection[int]) -> Counts:
        same = (batch.queue_id, batch.request_key, batch.device_id, self._clock.wall())
        kept = [item for item in batch.items if item.name not in without]
        before = self._connection.total_changes
        self._connection.executemany(
            "INSERT OR IGNORE INTO items"
            " (queue_id, request_key, device_id, arrived_at, id, data)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            ((*same, item.id, item.data) for item in kept),
        )
        stored = self._connection.total_changes - before
        return Counts(stored, len(kept) - stored)

    def _remember(self, batch: Batch, said: Mapping[str, Any]) -> None:
        if batch.key:
            self._connection.execute(
                "INSERT INTO answers VALUES (?, ?, ?)", (batch.key, batch.digest, json.dumps(said))
            )

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


def _answer(
    counts: Counts, rejected: Mapping[int, str], retry: Collection[int]
) -> Mapping[str, Any]:
    """The body of a 2xx: what became of the items, by name where that is not the same for all."""
    said: dict[str, Any] = dict(counts._asdict())
    if rejected:
        said["rejected"] = [{"id": name, "reason": why} for name, why in rejected.items()]
    if retry:
        said["retry"] = list(retry)
    return said
