"""The shape of the queue file: tables, pragmas, versions. All SQL that shapes stands here.

``sync_queue`` and its index are those of the published reference, to the letter. The helper tables
stand beside it and were complete from the first release, so that files of all versions can be
read by all. ``PRAGMA user_version`` numbers the schema; changes are additive, and the setting
``min_reader`` names the oldest version of this code that suits the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync import ttl_span

#: The schema this code writes.
VERSION = 1

SYNC_QUEUE = """
CREATE TABLE IF NOT EXISTS sync_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created_at REAL NOT NULL,
    ttl_seconds INTEGER NOT NULL,
    retry_count INTEGER NOT NULL DEFAULT 0,
    next_retry_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_sync_queue_priority
ON sync_queue(priority, next_retry_at);
"""

HELPERS = """
-- Only nacked rows stand in it: an insert pays nothing, and a start finds them at once.
CREATE INDEX idx_sync_queue_retried ON sync_queue(id) WHERE retry_count > 0;
-- Who the rows are: those from first_id up to the next origin's were born as (queue_id, device_id),
-- in the boot boot_id; from synced_from_id on (NULL: never) the wall clock was right.
CREATE TABLE origins (
    first_id INTEGER PRIMARY KEY,
    queue_id TEXT NOT NULL UNIQUE,
    device_id TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    synced_from_id INTEGER
);
-- How many rows left in which way, counted in the transaction that removed them.
CREATE TABLE ledger (
    entry TEXT PRIMARY KEY,
    items INTEGER NOT NULL
) WITHOUT ROWID;
-- Rows that a server condemned one by one, each with the answer that did it.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created_at REAL NOT NULL,
    ttl_seconds INTEGER NOT NULL,
    retry_count INTEGER NOT NULL,
    died_at REAL NOT NULL,
    reason TEXT NOT NULL
);
-- What drivers and alarms must know again after a restart (JSON), by owner.
CREATE TABLE state (
    owner TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
-- Steps of the wall clock. Rows first_id..last_id were taken before it was right and move by
-- queue_jump_s; the payloads of those from boot_first_id on move by wall_step_s, but for the ids
-- excepted (JSON). Rewritten down to done_to (NULL: not begun).
CREATE TABLE clock_steps (
    id INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    seen_at REAL NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    boot_first_id INTEGER NOT NULL,
    queue_jump_s REAL NOT NULL,
    wall_step_s REAL NOT NULL,
    excepted TEXT NOT NULL DEFAULT '[]',
    done_to INTEGER
);
-- Rows that a request carried before the clock was right: the server may have them as they are.
CREATE TABLE requested (
    id INTEGER PRIMARY KEY
);
-- The last changes of state that a person would ask about.
CREATE TABLE state_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    event TEXT NOT NULL
);
-- What thinning and shedding took, until the far end has been told.
CREATE TABLE gaps (
    sensor TEXT NOT NULL,
    why TEXT NOT NULL,
    items INTEGER NOT NULL,
    from_time REAL NOT NULL,
    to_time REAL NOT NULL,
    PRIMARY KEY (sensor, why)
) WITHOUT ROWID;
-- Amounts of a period (a local day, a month): items and bytes sent.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    period TEXT NOT NULL,
    amount INTEGER NOT NULL
) WITHOUT ROWID;
-- Single facts: min_reader, sequence_base, longest TTLs, the present run.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;
"""

#: The ways out of the queue that the ledger names, and what was refused at the door (`rejected`,
#: which never was in it).
FATES = ("delivered", "expired", "shed", "thinned", "dead", "exported", "discarded", "corrupt")
ENTRIES = (*FATES, "rejected")

#: Pages of the log after which an insert checkpoints by itself: only where a program never calls
#: anything that does it off the hot path (16 MiB).
BACKSTOP_PAGES = 4096
#: A page of the file, and with its header in the log.
PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24
LOG_LIMIT_BYTES = 1 << 20
BUSY_TIMEOUT_S = 10.0

#: One seek of the index for each priority.
_UNRETRIED = "priority IN (1, 2, 3, 4) AND next_retry_at <= 0"

#: Pages that no disk has: SQLite's own limit.
_ANY_PAGES = (1 << 32) - 2

_SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """How far a queue file and its log may grow.

    Source:
        https://sqlite.org/pragma.html#pragma_max_page_count: beyond it an insert is told that the
        disk is full, before anything is written.
    """

    #: what a log that was folded away is shortened to
    log_bytes: int = LOG_LIMIT_BYTES
    #: pages of log at which an insert folds it away
    backstop_pages: int = BACKSTOP_PAGES
    #: pages of the file; None: as many as it needs
    most_pages: int | None = None

    def apply(self, db: sqlite3.Connection) -> None:
        """Let a connection keep to it."""
        db.execute(f"PRAGMA journal_size_limit = {self.log_bytes}").fetchone()
        db.execute(f"PRAGMA wal_autocheckpoint = {self.backstop_pages}").fetchone()
        most_pages = _ANY_PAGES if self.most_pages is None else self.most_pages
        db.execute(f"PRAGMA max_page_count = {most_pages}").fetchone()


def connect(path: Path, *, durability: str) -> sqlite3.Connection:
    """One kept connection to the queue file, set up; the file is made (0600) where it is not.

    Args:
        path: absolute; its directory exists.
        durability: ``full`` (a commit survives a power cut) or ``normal`` (a crash).

    Raises:
        sqlite3.Error: the file cannot be opened or is no database.

    Source:
        https://sqlite.org/pragma.html; ``auto_vacuum`` is silently ignored once the file is in
        WAL mode, so it goes first.
    """
    _create_private(path)
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        # On a file that has pages it would take the writer's lock, and write, for nothing.
        if db.execute("PRAGMA page_count").fetchone()[0] == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        # Debian's SQLite does so by itself: what was delivered is not left lying in the file.
        db.execute("PRAGMA secure_delete = ON").fetchone()
        Growth().apply(db)
        db.execute("PRAGMA cache_size = -1024")
        db.execute("PRAGMA temp_store = MEMORY")
        # A memory-mapped page that cannot be read is a signal, not an error.
        db.execute("PRAGMA mmap_size = 0").fetchone()
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def impatient(db: sqlite3.Connection) -> Iterator[None]:
    """In a ``with`` block a lock that another process holds is an error at once."""
    db.execute("PRAGMA busy_timeout = 0").fetchone()
    try:
        yield
    finally:
        db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}").fetchone()


def prepare(db: sqlite3.Connection) -> None:
    """Bring the file to `VERSION`: make the tables, or adopt a file made by the reference.

    One transaction: a file is either untouched or complete. Idempotent.
    """
    if _version(db) >= VERSION and not _unretried(db):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been first while this one waited for the lock.
        if _version(db) < VERSION:
            _create(db)
        _take_in(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _create(db: sqlite3.Connection) -> None:
    """Make what is missing, in the caller's transaction."""
    for statement in (SYNC_QUEUE + HELPERS).split(";\n"):
        db.execute(statement)
    db.executemany("INSERT INTO ledger VALUES (?, 0)", [(entry,) for entry in ENTRIES])
    # Rows that a reference-made file brings along were all enqueued and none has left since.
    adopted = db.execute("SELECT count(*) FROM sync_queue").fetchone()[0]
    base = sequence(db) - adopted
    db.executemany(
        "INSERT INTO settings VALUES (?, ?)", [("min_reader", VERSION), ("sequence_base", base)]
    )
    ttl_span.keep_found(db)
    db.execute("UPDATE sync_queue SET next_retry_at = created_at WHERE next_retry_at < created_at")
    # Whose the rows are that stood here before: nobody said, so they get an origin of their own.
    db.execute("INSERT INTO origins VALUES (0, ?, '', '', 0)", (uuid.uuid4().hex,))
    db.execute(f"PRAGMA user_version = {VERSION}")


def _take_in(db: sqlite3.Connection) -> None:
    """Take in rows that raw SQL inserted, with the column's default of 0 for their first try.

    Below their birth they would stand before everything, and `selection` would not look there.
    """
    ttl_span.keep_found(db, "next_retry_at <= 0")
    db.execute(f"UPDATE sync_queue SET next_retry_at = created_at WHERE {_UNRETRIED}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _unretried(db: sqlite3.Connection) -> bool:
    """Whether raw SQL left rows without a time for their first try."""
    found = db.execute(f"SELECT EXISTS (SELECT * FROM sync_queue WHERE {_UNRETRIED})").fetchone()
    return bool(found[0])


def sequence(db: sqlite3.Connection) -> int:
    """The greatest id ever given out in this file; 0 when none was."""
    return int(sequence_found(db))


def sequence_found(db: sqlite3.Connection) -> Any:
    """The same as it stands in the file, which in a damaged one may be anything."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sync_queue'").fetchone()
    return row[0] if row else 0


def _create_private(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its log the same mode.

    An existing file is never opened here: closing it again would drop the locks that SQLite
    holds on it in this process (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return
