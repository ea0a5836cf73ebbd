"""What happens when the file is damaged: set aside, replaced, and salvaged while work goes on.

The fresh file is made whole under a name of its own before the damaged one is moved, so that a
power cut in between leaves one or the other in place.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cloud_sync import ledger, salvage, schema
from edge_agent.cloud_sync.salvage import Salvage
from edge_agent.errors import StoreError
from edge_agent.events import event

#: Files of this size and below are checked at every opening.
SMALL_BYTES = 64 << 20
#: How many damaged files are kept, with their logs.
MOST_KEPT = 2
#: Ids that the damaged file may have given out without our being able to read of it.
ID_MARGIN = 10**6

_log = logging.getLogger(__name__)
_PARTS = ("", "-wal", "-shm")
#: SQLite's names of what is wrong with a file, and not with the place it is in.
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "TOO_NEW")
#: Small tables that are brought over before the fresh file takes over.
_HELPERS = ("origins", "state", "clock_steps", "state_changes", "gaps", "counters")


def is_damage(exc: sqlite3.Error | StoreError) -> bool:
    """Whether an error of opening means that the file itself is of no use."""
    reason = exc.reason if isinstance(exc, StoreError) else getattr(exc, "sqlite_errorname", "")
    return reason == "SQLITE_ERROR" or reason.startswith(_DAMAGE)


def check(db: sqlite3.Connection, path: Path, *, thorough: bool) -> None:
    """See whether the file is whole.

    Args:
        db: a connection to it.
        path: for the message.
        thorough: look into the index too; for a file that there is a reason to doubt.

    Raises:
        StoreError: it is not (``SQLITE_CORRUPT``).
    """
    pragma = "integrity_check" if thorough else "quick_check"
    found = db.execute(f"PRAGMA {pragma}(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{path} is damaged: {found}", reason="SQLITE_CORRUPT")


def check_index(db: sqlite3.Connection, path: Path) -> None:
    """See whether the index knows every row, which ``quick_check`` leaves out: others never leave.

    Raises:
        StoreError: it does not (``SQLITE_CORRUPT``).
    """
    in_table, in_index = (
        db.execute(f"SELECT count(*) FROM sync_queue {how}").fetchone()[0]
        for how in ("NOT INDEXED", "INDEXED BY idx_sync_queue_priority")
    )
    if in_table != in_index:
        raise StoreError(
            f"{path} has {in_table} rows, and its index {in_index}", reason="SQLITE_CORRUPT"
        )


@contextlib.contextmanager
def sensible(path: Path) -> Iterator[None]:
    """Let what never was stored so, a text for a number, count as damage."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as exc:
        raise StoreError(
            f"{path} holds what was never stored there: {exc}", reason="SQLITE_CORRUPT"
        ) from exc


def check_emptied(path: Path) -> None:
    """See, before SQLite begins a new one, whether the file is an old one that was emptied.

    Raises:
        StoreError: it is, for its log or files set aside are here (``SQLITE_CORRUPT``).

    Source:
        https://sqlite.org/src/file/src/pager.c, ``pagerOpenWalIfPresent``: the log of an empty file
        is removed.
    """
    emptied = path.is_file() and path.stat().st_size == 0
    if (not path.exists() and _was_left_open(path)) or (
        emptied and (_was_left_open(path) or _set_aside(path))
    ):
        raise StoreError(
            f"{path} is empty, and was not: its log or its former files are beside it; start the"
            " agent, which saves what can be read, or move them away",
            reason="SQLITE_CORRUPT",
        )


def check_log(path: Path) -> None:
    """See, before SQLite folds it into the file, whether the log is the file's own.

    Raises:
        StoreError: it is none, or makes another file of it (``SQLITE_CORRUPT``).
    """
    if not _was_left_open(path):
        return
    if not salvage.is_log(path):
        raise StoreError(f"{path}-wal is no log of SQLite's", reason="SQLITE_CORRUPT")
    without, within = (_reads(path, options) for options in ("immutable=1", "mode=ro"))
    if without and not within:
        raise StoreError(f"{path}-wal is another file's log", reason="SQLITE_CORRUPT")


def _reads(path: Path, options: str) -> bool:
    with contextlib.closing(salvage.connect_reading(path, options)) as db:
        return salvage.has_rows(db)


def _was_left_open(path: Path) -> bool:
    """Whether there is something in the log: the last one to close the file removes it."""
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > 0


def check_shape(db: sqlite3.Connection, path: Path) -> None:
    """See whether the file has all that this code works with.

    Raises:
        StoreError: it has not, or it says that it wants newer code.
    """
    for table, columns in _shape().items():
        missing = columns - _columns(db, table)
        if missing:
            raise StoreError(
                f"{path}: {table} has no {', '.join(sorted(missing))}", reason="SQLITE_CORRUPT"
            )
    oldest, last = ledger.setting(db, "min_reader"), schema.sequence_found(db)
    if oldest > schema.VERSION:
        raise StoreError(
            f"{path} wants schema {oldest:g}, and this release has {schema.VERSION}; install the"
            " newer release again to use it",
            reason="TOO_NEW",
        )
    if not isinstance(last, int):
        raise StoreError(f"{path}: the last id is {last!r}, no number", reason="SQLITE_CORRUPT")


@functools.cache
def _shape() -> dict[str, set[str]]:
    """The columns of each table, as a new file has them."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.prepare(db)
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {table: _columns(db, table) for table in tables}


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def wants_check(path: Path) -> bool:
    """Whether the file is checked before it is used: it is small, or was not closed."""
    return path.exists() and (path.stat().st_size <= SMALL_BYTES or _was_left_open(path))


def replace(path: Path, *, durability: str, wall_s: float, why: str) -> None:
    """Put a fresh file in the place of a damaged one, which is set aside to be salvaged.

    Nobody in this process may have the file open.

    Raises:
        sqlite3.Error, OSError: there is no place for a fresh one; the damaged one stays.
    """
    if not path.exists():
        # Only its log is left, and that belongs to a file.
        path.touch(mode=0o600)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_s))
    aside = _free_name(path, stamp)
    fresh = _fresh_name(path)
    _remove(fresh)
    with contextlib.closing(schema.connect(fresh, durability=durability)) as new:
        schema.prepare(new)
        with contextlib.closing(salvage.open_damaged(path)) as old:
            new.execute("BEGIN IMMEDIATE")
            _inherit(new, old, wall_s)
            new.execute("INSERT INTO settings VALUES (?, ?)", (salvage.SOURCE, aside.name))
            new.execute("COMMIT")
        # What stayed behind in its log would be lost when it is moved.
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    for old_file in _set_aside(path)[: 1 - MOST_KEPT]:
        _remove(old_file)
    _move(path, aside)
    fresh.replace(path)
    _log.error(
        event("store_damaged", reason=why, file=aside, do="nothing; what can be read is salvaged")
    )


def drop_oldest(path: Path, *, but: Path | None) -> bool:
    """Remove the oldest damaged file that is kept; returns whether there was one.

    Args:
        path: of the queue.
        but: the one that is still being salvaged.
    """
    for file in _set_aside(path):
        if file != but:
            _remove(file)
            _log.warning(event("set_aside_removed", file=file, why="size"))
            return True
    return False


def finish_replacing(path: Path) -> None:
    """Complete a `replace` that was cut off, or sweep up after it."""
    fresh = _fresh_name(path)
    if not fresh.exists():
        return
    if path.exists():
        _remove(fresh)
        return
    with contextlib.closing(salvage.connect_reading(fresh, "immutable=1")) as db:
        aside = _source(db, path) if salvage.has_rows(db) else None
    if aside is None:
        # Somebody else moved the file: the fresh one was not ready yet.
        _remove(fresh)
        return
    # The damaged file is gone from here; its log must not be taken for the fresh one's.
    _move(path, aside)
    fresh.replace(path)


def unfinished(db: sqlite3.Connection, path: Path) -> Salvage | None:
    """The salvage that the file says is not done; None where there is none."""
    source = _source(db, path)
    return Salvage(db, source) if source else None


def _source(db: sqlite3.Connection, path: Path) -> Path | None:
    """The file that is to be salvaged into this one."""
    row = db.execute("SELECT value FROM settings WHERE name = ?", (salvage.SOURCE,)).fetchone()
    return path.with_name(row[0]) if row else None


def _inherit(new: sqlite3.Connection, old: sqlite3.Connection, wall_s: float) -> None:
    """Bring over what the agent works with, and begin ids beyond all that were given out."""
    for table in _HELPERS:
        # Each table by itself: one that cannot be read must not cost the others.
        with contextlib.suppress(sqlite3.Error):
            rows = old.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                marks = ",".join("?" * len(rows[0]))
                new.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)
    try:
        first = schema.sequence(old) + ID_MARGIN
    except (sqlite3.Error, TypeError, ValueError):
        first = int(wall_s) * ID_MARGIN
    new.execute("DELETE FROM sqlite_sequence WHERE name = 'sync_queue'")
    new.execute("INSERT INTO sqlite_sequence VALUES ('sync_queue', ?)", (first,))
    ledger.set_setting(new, "sequence_base", first)


def _fresh_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.fresh")


def _set_aside(path: Path) -> list[Path]:
    """The damaged files that are kept, oldest first."""
    found = path.parent.glob(f"{path.name}.corrupt-*Z*")
    # A directory that stood here is somebody's: it is moved away once, and never removed.
    return sorted(
        file for file in found if not file.name.endswith(("-wal", "-shm")) and not file.is_dir()
    )


def _free_name(path: Path, stamp: str) -> Path:
    """A name that no file has: two may be damaged in one second, or the clock set back."""
    name, number = path.with_name(f"{path.name}.corrupt-{stamp}"), 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.corrupt-{stamp}.{number}")
    return name


def _move(path: Path, to: Path) -> None:
    """Give a file with its log and shared memory another name; what is not there is done."""
    for part in _PARTS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{part}").replace(f"{to}{part}")


def _remove(path: Path) -> None:
    """Remove a file with its log and shared memory."""
    for part in _PARTS:
        Path(f"{path}{part}").unlink(missing_ok=True)
