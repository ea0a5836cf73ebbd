"""Ways to damage a queue file, and what is asked of it afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue

ROWS = 3_000
PAGE = 4096


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def overwritten(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def folded(path: Path) -> None:
    """Fold the log into the file."""
    with opened(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def pages(path: Path, first: int, count: int, byte: int | None = None) -> None:
    """Overwrite pages, counted from 0; with noise if no byte is given."""
    noise = random.Random(first)
    data = noise.randbytes(count * PAGE) if byte is None else bytes([byte]) * count * PAGE
    overwritten(path, first * PAGE, data)


def cut(path: Path, to_bytes: int) -> None:
    folded(path)
    os.truncate(path, to_bytes)


def part_of(path: Path, share: float) -> int:
    return int(path.stat().st_size * share)


def log(path: Path) -> Path:
    return Path(f"{path}-wal")


def all_in_the_log(path: Path) -> None:
    """Write every page anew, so that the log has them all."""
    with opened(path) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        db.execute("VACUUM")
        beside = [path.with_name(f"kept{part}") for part in ("", "-wal")]
        for part, copy in zip(("", "-wal"), beside, strict=True):
            shutil.copy(f"{path}{part}", copy)
    for part, copy in zip(("", "-wal"), beside, strict=True):
        copy.replace(f"{path}{part}")


def foreign_log(path: Path) -> None:
    """The log of another program's file, valid in itself."""
    other = path.with_name("other.db")
    with opened(other) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [("y" * 3000,)] * 50)
        folded(path)
        shutil.copy(f"{other}-wal", f"{path}-wal")


def another_programs(path: Path) -> None:
    path.unlink()
    Path(f"{path}-wal").unlink()
    with opened(path) as db:
        db.execute("CREATE TABLE sync_queue (name TEXT, text TEXT)")


def too_new(path: Path) -> None:
    with opened(path) as db:
        db.execute("UPDATE settings SET value = 99 WHERE name = 'min_reader'")
        db.execute("PRAGMA user_version = 99")


def table_missing(path: Path) -> None:
    with opened(path) as db:
        db.execute("DROP TABLE gaps")


def index_of_half_the_rows(path: Path) -> None:
    """The pages of a partial index under the name of the whole one."""
    with opened(path) as db:
        name = "idx_sync_queue_priority"
        [whole] = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        db.execute(f"DROP INDEX {name}")
        db.execute(f"CREATE INDEX {name} ON sync_queue(priority, next_retry_at) WHERE id % 2")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (whole, name))


def time_garbled(path: Path) -> None:
    with opened(path) as db:
        db.execute("UPDATE sync_queue SET created_at = 'noon' WHERE id = ?", (ROWS,))


def sequence_garbled(path: Path) -> None:
    with opened(path) as db:
        db.execute("UPDATE sqlite_sequence SET seq = 'many'")


#: How to spoil the file, and the fewest of its 2,897 rows that must be saved.
KINDS: dict[str, tuple[Callable[[Path], None], int]] = {
    "magic": (lambda p: overwritten(p, 0, b"X" * 16), 2_800),
    "header_zeroed": (lambda p: overwritten(p, 0, bytes(100)), 2_800),
    "header_noise": (lambda p: overwritten(p, 0, random.Random(1).randbytes(100)), 2_800),
    "page_size_wrong": (lambda p: (folded(p), overwritten(p, 16, b"\x00\x07")), 0),
    "first_page_zeroed": (lambda p: (folded(p), pages(p, 0, 1, 0)), 0),
    "page_of_noise": (lambda p: (folded(p), pages(p, 40, 1)), 2_800),
    "pages_of_noise": (lambda p: (folded(p), pages(p, 30, 12)), 2_300),
    "pages_zeroed": (lambda p: (folded(p), pages(p, 50, 10, 0)), 2_300),
    "pages_of_ff": (lambda p: (folded(p), pages(p, 60, 3, 255)), 2_600),
    "every_tenth_page": (
        lambda p: (folded(p), [pages(p, n, 1) for n in range(33, 120, 10)]),
        2_000,
    ),
    "all_but_first_page": (lambda p: (folded(p), pages(p, 1, part_of(p, 1) // PAGE - 1)), 0),
    "cut_in_the_header": (lambda p: cut(p, 60), 0),
    "cut_to_one_page": (lambda p: cut(p, PAGE), 0),
    "cut_to_half": (lambda p: cut(p, part_of(p, 0.5)), 1_000),
    "cut_in_a_page": (lambda p: cut(p, part_of(p, 0.9) + 100), 2_000),
    "foreign_log": (foreign_log, 2_897),
    "log_of_noise": (lambda p: overwritten(log(p), 0, random.Random(2).randbytes(50_000)), 2_887),
    "emptied": (lambda p: os.truncate(p, 0), 0),
    "emptied_all_in_the_log": (lambda p: (all_in_the_log(p), os.truncate(p, 0)), 2_897),
    "removed_but_for_the_log": (lambda p: (all_in_the_log(p), p.unlink()), 2_897),
    "a_directory": (lambda p: (log(p).unlink(), p.unlink(), p.mkdir()), 0),
    "not_sqlite": (lambda p: p.write_bytes(b"sensor,value\n" * 4_000), 0),
    "another_programs": (another_programs, 0),
    "too_new": (too_new, 2_897),
    "table_missing": (table_missing, 2_897),
    "index_of_half_the_rows": (index_of_half_the_rows, 2_897),
    "time_garbled": (time_garbled, 2_896),
    "sequence_garbled": (sequence_garbled, 2_897),
}


def names(queue: CloudSyncQueue) -> dict[tuple[str, int], object]:
    """Every row that may be sent, by the name it has for ever."""
    with_payload = {}
    for batch in queue.all_batches():
        with_payload |= {(batch.queue_id, row.id): row.payload for row in batch.rows}
    return with_payload


def salvage(queue: CloudSyncQueue) -> None:
    """Upkeep until all is brought over."""
    for _ in range(2_000):
        if not queue.restless():
            return
        queue.upkeep()
        assert queue.ledger().closes
    pytest.fail("the salvage comes to no end")
