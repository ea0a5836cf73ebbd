"""Damaged files: set aside, replaced at once, salvaged; what is lost is in the books."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, recovery
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.errors import StoreError
from edge_agent.events import NOTICE
from edge_agent.types import Submission

ROWS = 3_000
PAGE = 4096


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else's."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with queued rows, delivered ones, dead letters and state; its log still beside it."""
    site = tmp_path_factory.mktemp("sound")
    with CloudSyncQueue(site / "w.db", clock=FakeClock(), device_id="pi-7") as queue:
        queue.enqueue_many([Submission({"n": n, "pad": "x" * 80}) for n in range(ROWS - 10)])
        queue.ack(list(range(1, 101)))
        queue.dead_letter([101, 102, 103], "refused")
        queue.memory.save("driver", {"total": 7})
        queue._store.checkpoint()
        queue.enqueue_many([Submission({"n": n, "late": True}) for n in range(10)])
        for part in ("", "-wal"):
            shutil.copy(f"{queue.path}{part}", site / f"q.db{part}")
    return site


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt: 2,897 rows, the last ten in the log alone."""
    for part in ("", "-wal"):
        shutil.copy(sound / f"q.db{part}", tmp_path / f"q.db{part}")
    return tmp_path / "q.db"


@pytest.fixture
def clock() -> FakeClock:
    clock = FakeClock()
    clock.advance(60)
    return clock


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


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_replaced_and_what_can_be_read_is_salvaged(
    kind: str, path: Path, sound: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """At once a file that takes rows; then the old rows under their names; the books close."""
    for part in ("", "-wal"):
        shutil.copy(sound / f"q.db{part}", path.with_name(f"c.db{part}"))
    with CloudSyncQueue(path.with_name("c.db"), clock=clock) as queue:
        before, last = names(queue), queue.ledger().enqueued
    caplog.set_level(NOTICE)
    spoil, fewest = KINDS[kind]
    spoil(path)
    with CloudSyncQueue(path, clock=clock, device_id="pi-7", unattended=True) as queue:
        first_new = queue.enqueue({"fresh": True})
        assert first_new > last
        salvage(queue)
        ledger = queue.ledger()
        after = names(queue)
        kept = before.keys() & after.keys()
        assert ledger.closes
        assert len(kept) >= fewest
        assert all(after[name] == before[name] for name in kept)
        assert len(after) == len({number for _, number in after})
        assert queue.pending_count() == len(after)
        assert "store_damaged" in caplog.text
        # Books and journal say how many are gone, or both that nobody knows.
        lost = "unknown" if ledger.corrupt_unknown else ledger.corrupt
        assert lost in ("unknown", len(before) - len(kept))
        assert f" lost={lost} " in caplog.text
        again = queue.enqueue({"fresh": True})
        assert again == first_new + 1
    assert len(list(path.parent.glob("q.db.corrupt-*Z"))) == 1
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        assert not queue.restless()
        assert names(queue).keys() >= kept
        assert queue.ledger().closes
        assert queue.ledger().corrupt_unknown == ledger.corrupt_unknown


def test_rows_lost_uncounted_stay_so_through_the_next_damage(path: Path, clock: FakeClock) -> None:
    """What the second salvage can count does not make the first one's loss known."""
    path.write_bytes(b"sensor,value\n" * 50)
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.ledger().corrupt_unknown
    too_new(path)
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert (queue.ledger().corrupt, queue.ledger().corrupt_unknown) == (0, True)


def test_damage_met_while_running_is_told_once_and_healed_at_the_next_call(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One call fails; the next finds a fresh file, and upkeep brings the rows back."""
    folded(path)
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        pages(path, 30, 12)
        with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
            queue.get_stats()
        assert queue.enqueue({}) > ROWS
        salvage(queue)
        assert queue.pending_count() > 2_300
        assert queue.ledger().closes
    assert caplog.text.count("store_damaged") == 1


def test_read_error_that_was_reported_as_damage_sets_nothing_aside(
    path: Path, clock: FakeClock
) -> None:
    """One SQLITE_CORRUPT is not corruption: opened anew, the file is whole."""
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        with pytest.raises(StoreError), queue._store.read():
            raise error
        assert queue.pending_count() == 2_897
    assert not list(path.parent.glob("*.corrupt-*"))


def test_large_file_is_checked_in_upkeep_instead(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it at the start; what it finds is set aside all the same."""
    monkeypatch.setattr(recovery, "SMALL_BYTES", 0)
    folded(path)
    pages(path, 50, 10, 0)
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        with pytest.raises(StoreError, match="is damaged"):
            queue._store.check_once()
        assert queue.enqueue({}) > ROWS
        assert queue.restless()


def test_salvage_goes_on_where_it_was_after_a_restart(path: Path, clock: FakeClock) -> None:
    """How far it has come stands in the file."""
    too_new(path)
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        queue.upkeep()
        assert 0 < queue.pending_count() < 2_897
    with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.pending_count() == 2_897
        assert (queue.ledger().corrupt, queue.ledger().closes) == (0, True)


def test_damaged_files_beyond_two_are_removed(path: Path, clock: FakeClock) -> None:
    """A failing card must not fill itself with them."""
    for _ in range(4):
        path.write_bytes(b"sensor,value\n" * 50)
        with CloudSyncQueue(path, clock=clock, unattended=True) as queue:
            queue.enqueue({})
        clock.advance(1)
    assert len(list(path.parent.glob("q.db.corrupt-*Z"))) == 2


def test_commit_that_failed_with_its_rows_in_the_file_is_taken_back(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The caller was told that nothing was stored, and will hand them over again."""
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        number = queue.enqueue({"n": 1})
        receipt = Receipt()
        receipt.fill([number], ['{"n":1}'], clock.wall())
        assert receipt.honoured(queue._store._writer)
        with queue._store.write() as db:
            receipt.withdraw(db)
        assert not receipt.honoured(queue._store._writer)
        assert (queue.pending_count(), queue.ledger().enqueued) == (0, 0)
        assert queue.enqueue({"n": 1}) == 2
        assert queue.ledger().closes
