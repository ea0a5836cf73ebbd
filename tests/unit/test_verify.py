"""The whole file looked over: what is wrong is found, and what is sound draws no word."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, soundness
from edge_agent.types import Submission

ROWS = 400
PAGE = 4096


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", durability="normal", clock=clock) as made:
        made.enqueue_many([Submission({"n": n, "pad": "x" * 80}) for n in range(ROWS)])
        made.ack([1, 2, 3])
        made.nack([4, 5])
        made.dead_letter([6], "HTTP 400")
        yield made


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def run(*statements: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with opened(path) as db:
            for statement in statements:
                db.execute(statement)

    return spoil


def page_of_rows(path: Path) -> None:
    """Noise over a page in the middle of the table."""
    place = path.read_bytes().index(b'{"n":200,')
    with path.open("r+b") as file:
        file.seek(place // PAGE * PAGE)
        file.write(b"\xa5" * PAGE)


HALF_AN_INDEX = run(
    "DROP INDEX idx_sync_queue_priority",
    "CREATE INDEX idx_sync_queue_priority ON sync_queue(priority, next_retry_at) WHERE id % 2",
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_master SET sql = 'CREATE INDEX idx_sync_queue_priority"
    " ON sync_queue(priority, next_retry_at)' WHERE name = 'idx_sync_queue_priority'",
)


def test_verify_of_a_healthy_queue_draws_no_problem(queue: CloudSyncQueue) -> None:
    """Delivered, nacked and dead rows are no faults; the sizes are those of the files."""
    found = queue.verify()

    assert found.sound
    assert found.problems == ()
    assert (found.rows, found.dead_letters) == (ROWS - 4, 1)
    assert found.size_bytes + found.log_bytes == queue.size_bytes()
    assert found.unused_bytes == 0


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (page_of_rows, "file: "),
        (HALF_AN_INDEX, "row 10 missing from index idx_sync_queue_priority"),
        (run("DELETE FROM sync_queue WHERE id = 9"), "ledger: it does not close: enqueued 400, "),
        (run("DELETE FROM dead_letters"), "ledger: 1 dead letters are booked, and 0 are there"),
        (run("UPDATE sync_queue SET payload = '{' WHERE id = 9"), "sync_queue: row 9 has no JSON"),
        (run("UPDATE sync_queue SET payload = '[]' WHERE id = 9"), "sync_queue: row 9 has no JSON"),
        (
            run("UPDATE sync_queue SET payload = CAST(x'7b7dff' AS TEXT) WHERE id = 9"),
            "sync_queue: row 9 has no JSON",
        ),
        (run("UPDATE sync_queue SET created_at = 'noon' WHERE id = 9"), "sync_queue: row 9 has no"),
        (run("UPDATE dead_letters SET payload = 'x'"), "dead_letters: row 6 has no JSON"),
        (run("UPDATE sync_queue SET payload = 'x'"), "sync_queue: 376 more rows are like that"),
        (
            run("DELETE FROM origins"),
            "sync_queue: 396 rows from 4 on have an id below the first origin",
        ),
        (
            run("DELETE FROM origins WHERE first_id < 10", "UPDATE origins SET first_id = 10"),
            "sync_queue: 396 rows from 4 on have an id below the first origin",
        ),
        (
            run("UPDATE sqlite_sequence SET seq = 390 WHERE name = 'sync_queue'"),
            "sync_queue: 10 rows from 391 on have an id that will be given out again",
        ),
        (run("DROP TABLE ledger"), "no such table: ledger"),
    ],
)
def test_verify_finds_what_is_wrong(
    queue: CloudSyncQueue, spoil: Callable[[Path], None], told: str
) -> None:
    """Each in a sentence that names it."""
    path = queue.path
    queue.close()
    spoil(path)

    found = soundness.look_over(path)

    assert not found.sound
    assert any(told in problem for problem in found.problems), found.problems
    assert all("\n" not in problem for problem in found.problems)


def test_verify_reads_only_and_waits_for_no_writer(queue: CloudSyncQueue) -> None:
    """Somebody holds the write lock all the time; the file is as it was."""
    with queue._store.write() as db:
        db.execute("SELECT 1").fetchone()
        before = queue.path.read_bytes()
        assert queue.verify().sound
        assert queue.path.read_bytes() == before


def test_verify_of_a_file_that_is_gone_says_so(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """It makes none."""
    found = soundness.look_over(tmp_path / "none.db")

    assert "unable to open" in found.problems[0]
    assert not (tmp_path / "none.db").exists()
