"""Rows that a person wants gone: counted, deleted in slices, and no trace left in the file.

A deleted row leaves copies behind where SQLite moved it from page to page, and where it was deleted
by a build that overwrites nothing. Only `scrub`, which writes the whole file anew, is sure.
"""

from __future__ import annotations

import dataclasses
import functools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.cloud_sync import correction, dead, gaps, origin, rows, salvage, schema
from edge_agent.cloud_sync.limits import free_bytes
from edge_agent.cloud_sync.pace import giving_way
from edge_agent.cloud_sync.store import Store
from edge_agent.cloud_sync.which import Candidate, Which
from edge_agent.errors import StoreError

#: Rows looked at in one read, and deleted in one transaction.
SLICE_ROWS = 1_000
#: Pages given back to the disk in one transaction.
_SLICE_PAGES = 256
#: How long a writer waits at the most while the log is cut short, and how often that is tried.
_TRUNCATE_WAIT_MS = 100
_TRUNCATE_TRIES = 50

_LOOK = {
    "sync_queue": "SELECT id, payload, created_at + {shift},"
    " created_at + {shift} + ttl_seconds <= ?4 FROM sync_queue"
    " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    "dead_letters": "SELECT id, payload, created_at,"
    " created_at + ttl_seconds <= ?4 FROM dead_letters"
    " WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Affected:
    """What a purge would take."""

    rows: int
    dead_letters: int
    #: gaps that are still to be told, and states and lines of history that name the sensor
    gaps: int
    notes: int
    #: damaged files that were set aside; they cannot be searched, and go whole
    files: tuple[Path, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Erased(Affected):
    """What a purge took."""

    #: for the server's side: what was ever given out, whatever became of it
    ranges: tuple[origin.IdRange, ...]
    #: how much smaller the file and its log became
    given_back_bytes: int
    #: why copies may still be in the file, and what to do; empty where none are
    remains: str


def count(store: Store, which: Which, now: float) -> Affected:
    """What `purge` would take; reads only, in slices."""
    found = {
        search.table: sum(items for _, items in search.slices(store))
        for search in _searches(store, which, now)
    }
    with store.read() as db:
        told, notes = len(_gaps(db, which)), len(_notes(db, which))
    return Affected(
        found["sync_queue"], found.get("dead_letters", 0), told, notes, _files(store, which)
    )


def purge(store: Store, which: Which, now: float, progress: Callable[[int], None]) -> Erased:
    """Take what is there as of now, in slices; each is booked in the transaction that deletes it.

    Args:
        store: the same file.
        which: says what goes.
        now: queue time.
        progress: called after each slice with the rows deleted so far.

    Raises:
        StoreError: a damaged file is still being salvaged, out of which rows would come back; or
            the file cannot be written: what the ledger says is gone.
    """
    files = _files(store, which)
    if which.erases:
        _check_salvaged(store)
    size = store.total_bytes()
    gone = Counter[str]()
    for search in _searches(store, which, now):
        for after, _ in search.slices(store):
            with giving_way():
                gone[search.table] += store.change(functools.partial(search.delete, after=after))
            progress(gone.total())
    told, notes = store.change(lambda db: _forget(db, which))
    for file in files:
        file.unlink(missing_ok=True)
    remains = scrub(store) if which.erases else ""
    give_back(store)
    with store.read() as db:
        ranges = origin.ranges(db)
    return Erased(
        rows=gone["sync_queue"],
        dead_letters=gone["dead_letters"],
        gaps=told,
        notes=notes,
        files=files,
        ranges=ranges,
        given_back_bytes=max(0, size - store.total_bytes()),
        remains=remains,
    )


def give_back(store: Store, progress: Callable[[int], None] = lambda _: None) -> int:
    """Give unused pages back to the disk in slices, and cut the log short.

    Args:
        store: the queue's file.
        progress: called after each slice with the pages that are still to be given back.

    Returns:
        how many bytes the file and its log became smaller; 0 where others filled them meanwhile.
    """
    size = store.total_bytes()
    with store.read() as db:
        unused = int(db.execute("PRAGMA freelist_count").fetchone()[0])
    for left in range(unused, 0, -_SLICE_PAGES):
        with giving_way():
            store.vacuum(_SLICE_PAGES)
        progress(max(0, left - _SLICE_PAGES))
    _truncate_log(store)
    return max(0, size - store.total_bytes())


def scrub(store: Store) -> str:
    """Write the whole file anew, without what was ever deleted from it.

    Nobody else can write meanwhile (measured: 0.45 s for 64 MB, 3.9 s for 215 MB on a fast disk;
    a card takes many times that, and beyond `schema.BUSY_TIMEOUT_S` an agent keeps its readings in
    memory); who reads is not disturbed. It is the live rows that take the time, so this comes after
    the deletions. Slices would not do: a page that rows are moved out of or into keeps
    copies in the room between them, and nothing but writing it from empty takes those away.

    Returns:
        empty; or why the file could not be rewritten and what to do, in one sentence.

    Source:
        https://sqlite.org/lang_vacuum.html: takes as much room again in a temporary file, and in
        the log. The temporary file holds live rows only, and never memory: a queue may be larger.
    """
    needed, free = 2 * _live_bytes(store), _free_bytes(store.path.parent)
    if needed > free:
        return (
            f"the rows are deleted, but copies of them may be in {store.path}: writing it anew"
            f" takes {needed} bytes, and {free} are free; make room and purge once more"
        )
    try:
        with store.beside() as db:
            db.execute("PRAGMA temp_store = FILE")
            db.execute("VACUUM")
    except StoreError as exc:
        return (
            f"the rows are deleted, but copies of them may be in the file, which could not be"
            f" written anew: {exc}; purge once more"
        )
    if not _truncate_log(store):
        return (
            f"the rows are deleted, but copies of them may be in {store.path}-wal, which another"
            " program keeps reading; end that and purge once more"
        )
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Search:
    """Looks for what goes in one table, a slice at a time."""

    table: str
    which: Which
    #: queue time
    now: float
    #: what comes later stays
    last_id: int

    def slices(self, store: Store) -> Iterator[tuple[int, int]]:
        """Where each slice begins that has something in it, and how much that is."""
        after: int | None = 0
        while after is not None:
            with store.read() as db:
                ids, end = self.look(db, after)
            if ids:
                yield after, len(ids)
            after = end

    def look(self, db: sqlite3.Connection, after: int) -> tuple[list[int], int | None]:
        """The ids that go among the next rows, and the last id looked at; None at the end."""
        query = _LOOK[self.table].format(shift=correction.shift(db))
        ids, last, looked = [], after, 0
        for row in db.execute(query, (after, self.last_id, SLICE_ROWS, self.now)):
            last, looked = row[0], looked + 1
            if self.which.takes(Candidate(*row)):
                ids.append(last)
        return ids, last if looked == SLICE_ROWS else None

    def delete(self, db: sqlite3.Connection, after: int) -> int:
        """Delete what goes in a slice, as it is now, and book it; returns how many."""
        ids, _ = self.look(db, after)
        if self.table == "sync_queue":
            return rows.remove(db, ids, self.which.fate)
        return dead.drop(db, ids, self.which.fate)


def _searches(store: Store, which: Which, now: float) -> list[_Search]:
    """Where to look: among the rows, and among the dead letters if they are meant."""
    with store.read() as db:
        last = schema.sequence(db)
    tables = ("sync_queue", "dead_letters") if which.dead_letters else ("sync_queue",)
    return [_Search(table, which, now, last) for table in tables]


def _gaps(db: sqlite3.Connection, which: Which) -> list[tuple[str, str]]:
    """Gaps that go."""
    found = (gaps.Gap(*row) for row in db.execute("SELECT * FROM gaps").fetchall())
    return [(gap.sensor, gap.why) for gap in found if which.takes_gap(gap)]


def _notes(db: sqlite3.Connection, which: Which) -> list[tuple[str, str | int]]:
    """States and lines of history that go, as pairs of the statement and the key."""
    states = db.execute("SELECT owner, value FROM state").fetchall()
    changes = db.execute("SELECT id, event FROM state_changes").fetchall()
    return [
        *(
            ("DELETE FROM state WHERE owner = ?", owner)
            for owner, value in states
            if which.takes_note(f"{owner} {value}")
        ),
        *(
            ("DELETE FROM state_changes WHERE id = ?", number)
            for number, event in changes
            if which.takes_note(event)
        ),
    ]


def _forget(db: sqlite3.Connection, which: Which) -> tuple[int, int]:
    """Delete gaps and notes in the caller's transaction; returns how many of each."""
    told, notes = _gaps(db, which), _notes(db, which)
    db.executemany("DELETE FROM gaps WHERE sensor = ? AND why = ?", told)
    for statement, key in notes:
        db.execute(statement, (key,))
    return len(told), len(notes)


def _files(store: Store, which: Which) -> tuple[Path, ...]:
    """Damaged files that were set aside, with their logs, if they go."""
    path = store.path
    return tuple(sorted(path.parent.glob(f"{path.name}.corrupt-*"))) if which.erases else ()


def _check_salvaged(store: Store) -> None:
    """Raises StoreError while rows are still to come out of a file that was set aside."""
    with store.read() as db:
        source = db.execute(
            "SELECT value FROM settings WHERE name = ?", (salvage.SOURCE,)
        ).fetchone()
    if source:
        raise StoreError(
            f"{store.path}: rows of the damaged {source[0]} are still being brought over, which"
            " would come back; let the agent run until it says `salvaged`, then purge",
            reason="SALVAGING",
        )


def _truncate_log(store: Store) -> bool:
    """Fold the log into the file and cut it to nothing; returns whether nobody was in the way.

    Most is moved without making a writer wait; for the rest, moments at a time.
    """
    store.checkpoint()
    with store.beside() as db:
        db.execute(f"PRAGMA busy_timeout = {_TRUNCATE_WAIT_MS}").fetchone()
        for _ in range(_TRUNCATE_TRIES):
            with giving_way():
                busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return True
    return False


def _live_bytes(store: Store) -> int:
    with store.read() as db:
        pages, unused, size = (
            int(db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - unused) * size


def _free_bytes(directory: Path) -> int:
    """What is free on the disk; plenty where nobody can say."""
    try:
        return free_bytes(directory)
    except OSError:
        return 1 << 62
