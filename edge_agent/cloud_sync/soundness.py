"""Whether the file is whole: pages, index, books, and every row, as far as reading can tell."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_agent.cloud_sync import ledger, salvage, schema
from edge_agent.cloud_sync.queue_file import size_of

#: Problems of one kind that are told; a broken file has thousands.
MOST_TOLD = 20
#: Rows read in one go: a long read would keep the log from being folded away.
_SLICE_ROWS = 2_000
_Check = Callable[[sqlite3.Connection], Iterator[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Soundness:
    """What a look at the whole file found."""

    #: one sentence each; empty when all is well
    problems: tuple[str, ...]
    #: rows and dead letters that could be read
    rows: int
    dead_letters: int
    #: the file without its log, and what of it holds nothing
    size_bytes: int
    unused_bytes: int
    log_bytes: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def look_over(path: Path, progress: Callable[[int], None] = lambda _: None) -> Soundness:
    """Read all of a queue file; what cannot be read is a problem, and never raised.

    Reads only, over a connection of its own, so no writer waits for it.

    Args:
        path: of the file.
        progress: called after each slice with the rows and dead letters read so far; SQLite's own
            look at the pages comes before the first one.
    """
    counts = dict.fromkeys(salvage.ROWS, 0)
    checks: tuple[_Check, ...] = (
        _pages,
        _books,
        _ids,
        *(
            functools.partial(_rows, table=table, counts=counts, progress=progress)
            for table in salvage.ROWS
        ),
    )
    # What keeps one check from the file keeps the others from it, too, and is told once.
    problems = dict.fromkeys(problem for check in checks for problem in _found(path, check))
    return Soundness(
        problems=tuple(problems),
        rows=counts["sync_queue"],
        dead_letters=counts["dead_letters"],
        size_bytes=size_of(path),
        unused_bytes=_unused_bytes(path),
        log_bytes=size_of(Path(f"{path}-wal")),
    )


def _found(path: Path, check: _Check) -> Iterator[str]:
    """What one check finds; where it cannot go on, that is the last thing found.

    Each has its own connection: one that has met damage may see it everywhere.
    """
    try:
        with _reading(path) as db:
            yield from check(db)
    except (sqlite3.Error, TypeError, ValueError) as exc:
        yield f"file: it could not be read to the end: {exc}"


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
        db.text_factory = _text_or_bytes
        yield db


def _text_or_bytes(data: bytes) -> str | bytes:
    """A damaged text is no reason to stop reading."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _pages(db: sqlite3.Connection) -> Iterator[str]:
    """Every page, and whether the index has each row once.

    Source:
        https://sqlite.org/pragma.html#pragma_integrity_check
    """
    for (text,) in db.execute(f"PRAGMA integrity_check({MOST_TOLD})"):
        if text != "ok":
            yield f"file: {' '.join(text.split())}"


def _books(db: sqlite3.Connection) -> Iterator[str]:
    """Every row ever enqueued is booked in one place."""
    # One view for all that is compared; closing the connection ends it.
    db.execute("BEGIN")
    books = ledger.read(db)
    if not books.closes:
        said = ", ".join(f"{name} {n}" for name, n in dataclasses.asdict(books).items() if n)
        yield f"ledger: it does not close: {said}"
    dead = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    if dead != books.dead:
        yield f"ledger: {books.dead} dead letters are booked, and {dead} are there"


def _ids(db: sqlite3.Connection) -> Iterator[str]:
    """Every row has an origin, and no id that will be given out again."""
    db.execute("BEGIN")
    first = db.execute("SELECT min(first_id) FROM origins").fetchone()[0]
    for what, where in (
        ("below the first origin, so nobody knows whose they are", "?1 IS NULL OR id < ?1"),
        ("that will be given out again", f"id > {schema.sequence(db)} AND ?1 IS ?1"),
    ):
        count, low = db.execute(
            f"SELECT count(*), min(id) FROM sync_queue WHERE {where}", (first,)
        ).fetchone()
        if count:
            yield f"sync_queue: {count} rows from {low} on have an id {what}"


def _rows(
    db: sqlite3.Connection, table: str, counts: dict[str, int], progress: Callable[[int], None]
) -> Iterator[str]:
    """Every row is one that could have been stored."""
    query = (
        f"SELECT {salvage.ROWS[table]} FROM {table} NOT INDEXED"
        f" WHERE id > ? ORDER BY id LIMIT {_SLICE_ROWS}"
    )
    last, seen, bad = -(1 << 62), -1, 0
    while seen != counts[table]:
        seen = counts[table]
        for row in db.execute(query, (last,)):
            last = row[0]
            counts[table] += 1
            if not salvage.is_sound(row):
                bad += 1
                if bad <= MOST_TOLD:
                    yield f"{table}: row {last} has no JSON object as payload, or a wrong column"
        progress(sum(counts.values()))
    if bad > MOST_TOLD:
        yield f"{table}: {bad - MOST_TOLD} more rows are like that"


def _unused_bytes(path: Path) -> int:
    """Bytes of the file that hold nothing; 0 where it cannot say."""
    with contextlib.suppress(sqlite3.Error), _reading(path) as db:
        (pages,), (size,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size")
        )
        return int(pages * size)
    return 0
