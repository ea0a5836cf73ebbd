"""Every readable row of a damaged file, brought over into the one that took its place, in slices.

Rows keep their ids, and so the names they were born with. How far it has come stands in the new
file, in the transaction of each slice: a salvage that was interrupted goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync import ledger, schema, ttl_span
from edge_agent.events import NOTICE, event

#: The setting that names the file a salvage reads from; its presence says that it is not done.
SOURCE = "salvage_from"
#: Rows read by one statement, and reads in one slice (those that find a damaged place count too).
STEP_ROWS = 500
SLICE_READS = 200
#: SQLite's page, and the largest file that is read into memory to be given a new first one.
PAGE_BYTES = 4096
MOST_BEHEADED_BYTES = 32 << 20
#: Damaged places in a row after which the rest is given up: a broken root answers nothing at all.
MOST_FAILURES = 20_000

#: How a log begins, but for the byte that tells its byte order; and then its version.
_LOG_MAGIC, _LOG_VERSION = b"\x37\x7f\x06", (3_007_000).to_bytes(4, "big")

_log = logging.getLogger(__name__)
#: Tables of rows, with the column in which each has its count in the new file's settings.
ROWS = {
    "sync_queue": "id, payload, priority, created_at, ttl_seconds, retry_count, next_retry_at",
    "dead_letters": "id, payload, priority, created_at, ttl_seconds, retry_count, died_at, reason",
}


class Salvage:
    """Brings rows over from one damaged file. Used by one thread at a time."""

    def __init__(self, new: sqlite3.Connection, source: Path) -> None:
        """Go on where the new file says that the last run was."""
        #: the damaged file
        self.source = source
        self._old = open_damaged(source)
        self._done_to = {table: _count(new, f"{table}_to") for table in ROWS}
        self._reads = self._all_reads()

    def slice(self, new: sqlite3.Connection) -> bool:
        """Bring a slice over, in the caller's transaction; returns whether that was the last."""
        rows_brought = 0
        for _ in range(SLICE_READS):
            read = next(self._reads, None)
            if read is None:
                self._close_books(new)
                return True
            _take_in(new, *read)
            rows_brought += len(read[1])
            if rows_brought >= STEP_ROWS:
                break
        return False

    def close(self) -> None:
        """Let go of the damaged file."""
        self._old.close()

    def _all_reads(self) -> Iterator[tuple[str, list[Sequence[Any]]]]:
        last = _last_id(self._old)
        for table, columns in ROWS.items():
            for rows in _intact(self._old, table, columns, self._done_to[table] + 1, last):
                yield table, rows

    def _close_books(self, new: sqlite3.Connection) -> None:
        """Carry the old books over; what they cannot account for was lost to the damage."""
        rows, dead = _count(new, "sync_queue_brought"), _count(new, "dead_letters_brought")
        lost: int | None = None
        uncounted = False
        with contextlib.suppress(sqlite3.Error, TypeError, ValueError, KeyError):
            entries = dict(self._old.execute("SELECT entry, items FROM ledger").fetchall())
            base = int(ledger.setting(self._old, "sequence_base"))
            uncounted = bool(ledger.setting(self._old, ledger.CORRUPT_UNKNOWN))
            gone = sum(int(entries[fate]) for fate in schema.FATES if fate != "dead")
            lost = max(0, schema.sequence(self._old) - base - gone - rows - dead)
            for entry in schema.ENTRIES:
                if entry != "dead":
                    ledger.post(new, entry, int(entries[entry]))
            ledger.post(new, "corrupt", lost)
            _move_base(new, gone + lost)
        unknown = lost is None or not is_log(self.source)
        if unknown or uncounted:
            ledger.set_setting(new, ledger.CORRUPT_UNKNOWN, 1)
        new.execute("DELETE FROM settings WHERE name LIKE 'salvage\\_%' ESCAPE '\\'")
        with contextlib.suppress(sqlite3.Error):
            # It was itself still being filled from another: that one is next.
            left = self._old.execute(
                "SELECT name, value FROM settings WHERE name LIKE 'salvage\\_%' ESCAPE '\\'"
            ).fetchall()
            new.executemany("INSERT INTO settings VALUES (?, ?)", left)
        level = logging.ERROR if unknown or lost else NOTICE
        told = "unknown" if unknown else lost
        _log.log(level, event("salvaged", rows=rows, dead=dead, lost=told, file=self.source))


def open_damaged(path: Path) -> sqlite3.Connection:
    """A connection that only reads: without the log, or with a new head, where there is no other.

    Never raises for what is in the file: of one that is no database nothing can be read.
    """
    if not path.is_file():
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if path.stat().st_size == 0:
        # With a page to it, if only of zeros, SQLite reads its log instead of removing it.
        os.truncate(path, PAGE_BYTES)
    beheaded = True
    for options in ("mode=ro", "immutable=1"):
        db = connect_reading(path, options)
        if has_rows(db):
            return db
        # One that has tables, but not ours, is another program's.
        beheaded &= not _answers(db, "SELECT name FROM sqlite_master")
        db.close()
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if beheaded and 2 * PAGE_BYTES <= path.stat().st_size <= MOST_BEHEADED_BYTES:
        db.deserialize(_with_a_head(path))
    return db


def is_log(path: Path) -> bool:
    """Whether a file's log is one that SQLite reads, or there is none.

    SQLite takes one that it cannot read for none at all. So is one of zeros: its beginning was not
    on the disk yet when the power went, and then nothing after it counts either.

    Source:
        https://sqlite.org/fileformat2.html#the_wal_file: magic number and version.
    """
    try:
        with Path(f"{path}-wal").open("rb") as log:
            head = log.read(8)
    except FileNotFoundError:
        return True
    return not any(head) or (head[:3], head[4:]) == (_LOG_MAGIC, _LOG_VERSION)


def connect_reading(path: Path, options: str) -> sqlite3.Connection:
    """A connection that writes nothing, not even when it is closed.

    Source:
        https://sqlite.org/uri.html: ``immutable`` leaves the log unread.
        https://sqlite.org/pragma.html#pragma_writable_schema: lets a file be read that is shorter
        than its header says.
    """
    uri = f"{path.as_uri()}?{options}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    with contextlib.suppress(sqlite3.Error):
        db.execute("PRAGMA writable_schema = ON")
    return db


def has_rows(db: sqlite3.Connection) -> bool:
    """Whether there is a table to read rows from."""
    return _answers(db, "SELECT id FROM sync_queue LIMIT 0")


def _answers(db: sqlite3.Connection, question: str) -> bool:
    with contextlib.suppress(sqlite3.Error):
        db.execute(question).fetchone()
        return True
    return False


def _with_a_head(path: Path) -> bytes:
    """The file's pages, in memory, with a first page that can be read.

    All files that this code makes have the same first page: the tables are made in one order.

    Source:
        https://sqlite.org/fileformat2.html#the_database_header: 18 and 19 are the journal mode (1:
        none, as in memory), 24 and 92 a pair of counters, 28 the number of pages, 32 the free list.
    """
    data = bytearray(path.read_bytes())
    del data[len(data) // PAGE_BYTES * PAGE_BYTES :]
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        model.execute("PRAGMA auto_vacuum = INCREMENTAL")
        schema.prepare(model)
        data[:PAGE_BYTES] = model.serialize()[:PAGE_BYTES]
    data[18:20] = b"\x01\x01"
    data[28:32] = (len(data) // PAGE_BYTES).to_bytes(4, "big")
    data[32:40] = bytes(8)
    data[92:96] = data[24:28]
    return bytes(data)


def _last_id(old: sqlite3.Connection) -> int:
    """The greatest id that may be found; as far as ids reach where the file does not say."""
    with contextlib.suppress(sqlite3.Error, TypeError, ValueError):
        return schema.sequence(old)
    return 1 << 52


def _intact(
    old: sqlite3.Connection, table: str, columns: str, first: int, last: int
) -> Iterator[list[Sequence[Any]]]:
    """The readable rows of a table by id; an empty list for each damaged place met.

    A range that cannot be read is halved. The index is left alone: it may be what is damaged.
    """
    select = (
        f"SELECT {columns} FROM {table} NOT INDEXED WHERE id BETWEEN ? AND ?"
        f" ORDER BY id LIMIT {STEP_ROWS}"
    )
    ranges, failures = [(first, last)], 0
    while ranges and failures < MOST_FAILURES:
        low, high = ranges.pop()
        try:
            rows = old.execute(select, (low, high)).fetchall()
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorname", "") == "SQLITE_ERROR":
                # The table is another one, or there is none.
                return
            failures += 1
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            yield []
            continue
        failures = 0 if rows else failures
        if len(rows) == STEP_ROWS:
            ranges.append((rows[-1][0] + 1, high))
        yield rows


def _take_in(new: sqlite3.Connection, table: str, rows: list[Sequence[Any]]) -> None:
    """Insert rows that make sense, and let the books know that they are here."""
    sound = [row for row in rows if is_sound(row)]
    if not rows:
        return
    marks = ",".join("?" * len(rows[0]))
    brought = new.executemany(
        f"INSERT OR IGNORE INTO {table}({ROWS[table]}) VALUES ({marks})", sound
    ).rowcount
    brought = max(brought, 0)
    if table == "dead_letters":
        ledger.post(new, "dead", brought)
    else:
        ttl_span.keep(new, [(row[2], row[4]) for row in sound])
    _move_base(new, brought)
    _set_count(new, f"{table}_brought", _count(new, f"{table}_brought") + brought)
    _set_count(new, f"{table}_to", rows[-1][0])


def is_sound(row: Sequence[Any]) -> bool:
    """Whether a row is one that was ever stored: a damaged page may read as anything."""
    _, payload, priority, created_at, ttl_seconds, retry_count, time, *reason = row
    numbers = (created_at, ttl_seconds, retry_count, time)
    if priority not in (1, 2, 3, 4) or not all(map(_is_number, numbers)):
        return False
    if not all(isinstance(text, str) for text in (payload, *reason)):
        return False
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _move_base(new: sqlite3.Connection, items: int) -> None:
    """Let ``items`` more rows count as enqueued."""
    ledger.set_setting(new, "sequence_base", ledger.setting(new, "sequence_base") - items)


def _count(new: sqlite3.Connection, name: str) -> int:
    return int(ledger.setting(new, f"salvage_{name}"))


def _set_count(new: sqlite3.Connection, name: str, value: int) -> None:
    ledger.set_setting(new, f"salvage_{name}", value)
