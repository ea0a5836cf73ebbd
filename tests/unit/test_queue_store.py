"""The queue's file: how it is opened, what it withstands, what is said when it is of no use."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, schema
from edge_agent.cloud_sync.store import Store
from edge_agent.errors import QueueClosed, StoreError
from edge_agent.types import Submission


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def open_files() -> list[str]:
    """What this process has open."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(link.readlink()))
    return links


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
def test_file_is_opened_to_last(tmp_path: Path, durability: str, level: int) -> None:
    """S14. WAL, the level of flushing asked for, and space that can be given back."""
    with CloudSyncQueue(tmp_path / "q.db", durability=durability) as queue:
        for db in (queue._store._writer, queue._store._reader):
            found = [
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "auto_vacuum", "mmap_size")
            ]
            assert found == ["wal", level, 2, 0]
            assert db.execute("PRAGMA journal_size_limit").fetchone()[0] == 1 << 20
            assert db.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == schema.BACKSTOP_PAGES


def test_file_and_directory_are_private(tmp_path: Path) -> None:
    """0600 and 0750, the log and its index as well, whatever the umask."""
    before = os.umask(0)
    try:
        with CloudSyncQueue(tmp_path / "state" / "q.db") as queue:
            queue.enqueue({})
            with queue.flushing():
                modes = {
                    path.name: stat.S_IMODE(path.stat().st_mode)
                    for path in (tmp_path / "state").iterdir()
                }
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("q.db", "q.db-wal", "q.db-shm", "q.db.lock"), 0o600)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o750


def test_file_of_a_relative_path_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its directory keeps its queue, and its lock."""
    monkeypatch.chdir(tmp_path)
    with CloudSyncQueue() as queue:
        monkeypatch.chdir("/")
        queue.enqueue({})
        with queue.flushing():
            assert (tmp_path / "sync_queue.db.lock").exists()
        assert queue.path == tmp_path / "sync_queue.db"
        assert queue.size_bytes() > 0


def test_commit_is_seen_by_others_when_enqueue_returns(queue: CloudSyncQueue) -> None:
    """Not before the end of a program, not at the next turn: now."""
    with opened(queue.path) as other:
        for number in (1, 2):
            queue.enqueue({})
            assert other.execute("SELECT max(id) FROM sync_queue").fetchone() == (number,)


def not_sqlite(path: Path) -> None:
    path.write_bytes(b"sensor,value\n" * 400)


def other_table(path: Path) -> None:
    with opened(path) as db:
        db.execute("CREATE TABLE sync_queue (id INTEGER PRIMARY KEY, text TEXT)")


def newer_without_tables(path: Path) -> None:
    with opened(path) as db:
        db.execute("PRAGMA user_version = 99")


def under_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (not_sqlite, r"not a database .*another program's file"),
        (Path.mkdir, r"unable to open .*see that it is a file"),
        (other_table, "no such column"),
        (newer_without_tables, "no such table"),
        (under_a_file, r"File exists|Not a directory"),
        (lambda path: path.symlink_to("/nowhere/at/all"), "see that it is a file"),
    ],
)
def test_file_that_cannot_be_used_is_named_and_nothing_stays_open(
    tmp_path: Path, spoil: Any, said: str
) -> None:
    """One kind of error, a sentence with the path, no connection left behind, nothing changed."""
    path = tmp_path / "state" / "q.db"
    path.parent.mkdir()
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=said) as refused:
        CloudSyncQueue(path)
    assert str(path) in str(refused.value)
    assert not [name for name in open_files() if str(tmp_path) in name]
    # Of another SQLite file the journal mode has changed (bytes 18 and 19), and nothing else.
    assert before is None or path.read_bytes()[:18] == before[:18]


def test_file_in_a_place_where_nothing_can_be_made_says_what_to_do() -> None:
    """A read-only system."""
    with pytest.raises(StoreError, match="let this user write there"):
        CloudSyncQueue("/proc/nowhere/q.db")


def test_opening_that_fails_halfway_closes_what_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second connection, or the first look into the file."""
    connect, calls = schema.connect, []

    def second_fails(path: Path, **options: Any) -> sqlite3.Connection:
        calls.append(path)
        if len(calls) == 2:
            raise sqlite3.OperationalError("no")
        return connect(path, **options)

    with monkeypatch.context() as broken:
        broken.setattr(schema, "connect", second_fails)
        with pytest.raises(StoreError):
            Store(tmp_path / "q.db", durability="full")
    with monkeypatch.context() as broken:
        broken.setattr("edge_agent.cloud_sync.census.newest", _fail)
        with pytest.raises(ZeroDivisionError):
            CloudSyncQueue(tmp_path / "q.db")
    assert not [name for name in open_files() if str(tmp_path) in name]


def test_commit_that_fails_leaves_nothing_behind_and_the_queue_usable(
    queue: CloudSyncQueue,
) -> None:
    """The transaction is undone; what was handed over is still the caller's."""
    db = queue._store._writer
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED)")
    db.execute("CREATE TRIGGER t AFTER INSERT ON sync_queue BEGIN INSERT INTO b VALUES (7); END")
    with pytest.raises(StoreError, match="FOREIGN KEY") as failed:
        queue.enqueue_many([Submission({}), Submission({})])
    assert failed.value.reason == "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert (queue.pending_count(), queue.ledger().enqueued) == (0, 0)
    db.execute("DROP TRIGGER t")
    assert queue.enqueue({}) == 1
    assert queue.ledger().closes


def test_file_that_is_full_refuses_and_takes_again_when_there_is_room(
    queue: CloudSyncQueue,
) -> None:
    """SQLITE_FULL by name; nothing of the refused commit is there; the books close."""
    queue.enqueue({})
    db = queue._store._writer
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    with pytest.raises(StoreError, match="make room") as full:
        queue.enqueue_many([Submission({"x": "y" * 9_000})] * 2)
    assert full.value.reason == "SQLITE_FULL"
    assert (queue.pending_count(), queue.ledger().closes) == (1, True)
    db.execute("PRAGMA max_page_count = 1000000").fetchone()
    assert queue.enqueue_many([Submission({"x": "y" * 9_000})] * 2) == [2, 3]


def test_file_locked_by_another_refuses_by_name_after_its_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading goes on meanwhile."""
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.0)
    with CloudSyncQueue(tmp_path / "q.db") as queue, opened(queue.path) as other:
        queue.enqueue({})
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process") as busy:
            queue.enqueue({})
        assert busy.value.reason == "SQLITE_BUSY"
        assert len(queue.dequeue()) == 1
        other.execute("ROLLBACK")
        assert queue.enqueue({}) == 2


def test_queue_in_a_forked_process_refuses(queue: CloudSyncQueue) -> None:
    """Connections do not go through a fork; a lock that a thread held would never be freed."""
    with queue._store._write_lock:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(QueueClosed):
                queue.enqueue({})
                os._exit(1)
            with contextlib.suppress(QueueClosed):
                queue.dequeue()
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert queue.enqueue({}) == 1


def test_file_made_by_the_reference_is_adopted_with_its_rows(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Ids, priorities and tries stay; rows without a time for their first try get one."""
    path = tmp_path / "q.db"
    now = clock.wall()
    with opened(path) as db:
        db.executescript(schema.SYNC_QUEUE)
        db.executemany(
            "INSERT INTO sync_queue VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (3, '{"n": 3}', 3, now - 50, 100, 0, 0),
                (5, '{"n": 5}', 1, now - 40, 100, 2, now + 30),
                (9, '{"n": 9}', 3, now - 30, 100, 0, now - 30),
            ],
        )
        db.execute("UPDATE sqlite_sequence SET seq = 20")
    with CloudSyncQueue(path, clock=clock) as queue:
        assert [(item.id, item.payload) for item in queue.dequeue()] == [
            (3, {"n": 3}),
            (9, {"n": 9}),
        ]
        assert queue.enqueue({}) == 21
        assert (queue.ledger().enqueued, queue.ledger().closes) == (4, True)
        clock.advance(30)
        assert [item.id for item in queue.dequeue()] == [5, 3, 9, 21]
        assert queue.dequeue()[0].retry_count == 2
        first, second = queue.all_batches()
        assert (first.ids, second.ids) == ((5, 3, 9), (21,))
        assert first.queue_id != second.queue_id
        clock.advance(30)
        assert queue.purge_expired() == 2
        assert queue.ledger().closes
    with CloudSyncQueue(path, clock=clock) as queue:
        assert (queue.pending_count(), queue.ledger().closes) == (2, True)


def test_rows_that_raw_sql_puts_beside_ours_are_found_after_the_next_start(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """The column's default is 0, below the bound from which is looked."""
    with opened(queue.path) as db:
        db.execute(
            "INSERT INTO sync_queue(payload, priority, created_at, ttl_seconds)"
            " VALUES ('{}', ?, ?, 9)",
            (Priority.TELEMETRY, clock.wall()),
        )
    with CloudSyncQueue(queue.path, clock=clock) as again:
        again.enqueue({})
        assert [item.id for item in again.dequeue()] == [1, 2]
        assert again.dequeue()[0].next_retry_at == clock.wall()


def test_opening_a_finished_file_writes_nothing(queue: CloudSyncQueue) -> None:
    """So that the command line can look while the agent commits."""
    queue.enqueue({})
    with opened(queue.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with CloudSyncQueue(queue.path) as reader:
            assert reader.pending_count() == 1
        other.execute("ROLLBACK")


def _fail(*_: object) -> None:
    raise ZeroDivisionError


def linked_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere" / "q.db")


@pytest.mark.parametrize(
    ("spoil", "mend"),
    [(under_a_file, lambda path: path.parent.unlink()), (linked_to_nowhere, Path.unlink)],
)
def test_unattended_file_that_cannot_be_made_yet_is_tried_at_each_call(
    tmp_path: Path, spoil: Any, mend: Any
) -> None:
    """The agent runs on, and needs no restart when somebody has mended the place."""
    path = tmp_path / "state" / "q.db"
    path.parent.mkdir()
    spoil(path)
    with CloudSyncQueue(path, unattended=True) as queue, queue.flushing():
        for call in (queue.pending_count, queue.dequeue, lambda: queue.enqueue({})):
            with pytest.raises(StoreError, match=r"let this user|see that"):
                call()
        mend(path)
        assert queue.enqueue({}) == 1
        assert queue.pending_count() == 1


def test_second_of_two_agents_that_began_without_a_place_is_refused_with_a_sentence(
    tmp_path: Path,
) -> None:
    """Neither could lock at its start; who writes first has the lock until he ends."""
    path = tmp_path / "state" / "q.db"
    path.parent.write_text("x")
    with (
        CloudSyncQueue(path, unattended=True) as first,
        CloudSyncQueue(path, unattended=True) as second,
        second.flushing(),
    ):
        with first.flushing():
            path.parent.unlink()
            first.enqueue({})
            with pytest.raises(StoreError, match="held by another flusher"):
                second.enqueue({})
            assert second.pending_count() == 1
        assert second.enqueue({}) == 2


@pytest.mark.parametrize("patient", [False, True])
def test_file_system_without_locks_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, patient: bool
) -> None:
    """At the start, or, where nobody is there, at each write; nothing stays open."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with CloudSyncQueue(tmp_path / "q.db", unattended=patient) as queue:
        monkeypatch.setattr("fcntl.flock", no_locks)
        with (
            pytest.raises(StoreError, match=r"has no locks .* a disk of this machine"),
            queue.flushing(),
        ):
            queue.enqueue({})
        assert not [name for name in open_files() if name.endswith(".lock")]
