"""Damaged files: set aside, replaced at once, salvaged; what is lost is in the books."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.damage import KINDS, ROWS, folded, names, pages, salvage, too_new

from edge_agent.cloud_sync import CloudSyncQueue, recovery
from edge_agent.cloud_sync.large_check import LargeCheck
from edge_agent.cloud_sync.receipt import Receipt
from edge_agent.errors import StoreError
from edge_agent.events import NOTICE


def tried_again(queue: CloudSyncQueue) -> tuple[int, list[str]]:
    """The id of a new row, and what its caller was told before he got it."""
    saw: list[str] = []
    while len(saw) < 5:
        try:
            return queue.enqueue({"fresh": True}), saw
        except StoreError as exc:
            saw.append(exc.reason)
    pytest.fail(f"collection does not go on: {saw}")


@pytest.mark.fault(
    "corrupt file",
    "header",
    "random pages",
    "truncated",
    "garbage log",
    "wrong schema",
    "not SQLite",
    how="bytes of a file of 2,897 rows are overwritten, cut off or exchanged",
    part="the queue, in the test's process",
)
@pytest.mark.fault(
    "copies",
    "a salvaged file",
    how="a file is spoilt in every way, salvaged, and written on",
    part="the queue, in the test's process",
)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_replaced_and_what_can_be_read_is_salvaged(
    kind: str,
    spoilt: Path,
    sound: Path,
    clock: FakeClock,
    *,
    caplog: pytest.LogCaptureFixture,
    tell: Callable[[str], None],
) -> None:
    """At once a file that takes rows; then the old rows under their names; the books close."""
    for part in ("", "-wal"):
        shutil.copy(sound / f"q.db{part}", spoilt.with_name(f"c.db{part}"))
    with CloudSyncQueue(spoilt.with_name("c.db"), clock=clock) as queue:
        before, last = names(queue), queue.ledger().enqueued
    caplog.set_level(NOTICE)
    spoil, fewest = KINDS[kind]
    spoil(spoilt)
    began = time.monotonic()
    with CloudSyncQueue(spoilt, clock=clock, device_id="pi-7", unattended=True) as queue:
        first_new, saw = tried_again(queue)
        pause_s = time.monotonic() - began
        assert len(saw) <= 1
        assert first_new > last
        salvage(queue)
        salvage_s = time.monotonic() - began - pause_s
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
        tell(
            f"{len(kept)} kept, {lost} lost, collection after {pause_s:.3f} s, "
            f"salvaged in {salvage_s:.3f} s"
        )
        again = queue.enqueue({"fresh": True})
        assert again == first_new + 1
    assert len(list(spoilt.parent.glob("q.db.corrupt-*Z"))) == 1
    assert not spoilt.with_name("q.db.fresh").exists()
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        assert not queue.restless()
        assert names(queue).keys() >= kept
        assert queue.ledger().closes
        assert queue.ledger().corrupt_unknown == ledger.corrupt_unknown


def test_rows_lost_uncounted_stay_so_through_the_next_damage(
    spoilt: Path, clock: FakeClock
) -> None:
    """What the second salvage can count does not make the first one's loss known."""
    spoilt.write_bytes(b"sensor,value\n" * 50)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.ledger().corrupt_unknown
    too_new(spoilt)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert (queue.ledger().corrupt, queue.ledger().corrupt_unknown) == (0, True)


def test_damage_met_while_running_is_told_once_and_healed_at_the_next_call(
    spoilt: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One call fails; the next finds a fresh file, and upkeep brings the rows back."""
    folded(spoilt)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        pages(spoilt, 30, 12)
        with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
            queue.get_stats()
        assert queue.enqueue({}) > ROWS
        salvage(queue)
        assert queue.pending_count() > 2_300
        assert queue.ledger().closes
    assert caplog.text.count("store_damaged") == 1


@pytest.mark.fault(
    "disk errors",
    "one SQLITE_CORRUPT",
    how="one read is reported as corruption, of a file that is whole",
    part="the queue, in the test's process",
)
def test_read_error_that_was_reported_as_damage_sets_nothing_aside(
    spoilt: Path, clock: FakeClock
) -> None:
    """One SQLITE_CORRUPT is not corruption: opened anew, the file is whole."""
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT"
        with pytest.raises(StoreError), queue._store.read():
            raise error
        assert queue.pending_count() == 2_897
    assert not list(spoilt.parent.glob("*.corrupt-*"))


def test_large_file_is_checked_in_upkeep_instead(
    spoilt: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it at the start; what it finds is set aside all the same."""
    monkeypatch.setattr(recovery, "SMALL_BYTES", 0)
    folded(spoilt)
    pages(spoilt, 50, 10, 0)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        queue._store.check_once()
        queue._store._check.join()
        with pytest.raises(StoreError, match="is damaged"):
            queue._store.check_once()
        assert queue.enqueue({}) > ROWS
        assert queue.restless()


def test_shared_memory_of_noise_is_made_anew(spoilt: Path, clock: FakeClock) -> None:
    """It is an index of the log and no more."""
    Path(f"{spoilt}-shm").write_bytes(random.Random(3).randbytes(32_768))
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        assert queue.pending_count() == 2_897
    assert not list(spoilt.parent.glob("*.corrupt-*"))


@pytest.mark.fault(
    "disk errors",
    "an error from COMMIT",
    how="COMMIT raises after it was carried out",
    part="the queue, in the test's process",
)
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


def test_large_file_is_looked_over_while_the_queue_s_locks_are_taken(
    spoilt: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs none of them, and whoever began it has it told at a later call."""
    monkeypatch.setattr(recovery, "SMALL_BYTES", 0)
    folded(spoilt)
    pages(spoilt, 50, 10, 0)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        store = queue._store
        with store._write_lock, store._read_lock:
            store._unchecked, check = False, LargeCheck(spoilt)
            check.join()
        assert check.damage is not None


def test_large_file_is_looked_over_as_of_one_instant(
    spoilt: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that comes meanwhile is in both of the counts that are compared, or in neither."""
    counts: list[int] = []

    def count(db: sqlite3.Connection, *_: object, **__: object) -> None:
        for _ in range(2):
            counts.append(db.execute("SELECT count(*) FROM sync_queue").fetchone()[0])
            queue.enqueue({})

    with CloudSyncQueue(spoilt, clock=clock) as queue:
        monkeypatch.setattr(recovery, "check", count)
        LargeCheck(spoilt).join()
        assert counts == [2_897, 2_897]


def test_queue_that_is_closed_leaves_the_look_over_alone(
    spoilt: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends by itself, and keeps nothing open."""
    monkeypatch.setattr(recovery, "SMALL_BYTES", 0)
    folded(spoilt)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        queue._store.check_once()
        check = queue._store._check
        assert check is not None
    check.join()
    assert check.damage is None
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        check._db.execute("SELECT 1")
