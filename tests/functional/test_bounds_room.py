"""How much a full queue occupies, what counts, and that it is full of what matters most."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.crowd import Open, occupied, settle

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.cloud_sync.limits import free_bytes
from edge_agent.cloud_sync.shedding import EMERGENCY_ROWS
from edge_agent.types import Submission

MIB = 1 << 20


@pytest.fixture
def open_queue(open_queue: Open) -> Open:
    """That shed what is too much, on a disk that has room."""
    return functools.partial(open_queue, "shed", min_free_disk_bytes=0, free_bytes=free_bytes)


def on_disk(queue: CloudSyncQueue) -> int:
    """Bytes of the file, its log and what was set aside, as the directory has them."""
    files = queue.path.parent.glob(f"{queue.path.name}*")
    beside = (".reserve", "-shm", ".lock")
    return sum(f.stat().st_size for f in files if not any(word in f.name for word in beside))


@pytest.mark.parametrize("max_size_bytes", [2 * MIB, 24 * MIB])
def test_files_without_a_checkpoint_of_ours_never_exceed_max_size(
    open_queue: Open, max_size_bytes: int
) -> None:
    """Nobody calls upkeep: the log that an insert folds away itself is in the sum too."""
    queue = open_queue(max_size_bytes)
    row_bytes = max_size_bytes // 1_000
    commit = [Submission({"pad": "x" * row_bytes})] * 10
    most = 0
    for _ in range(120):
        queue.enqueue_many(commit)
        most = max(most, on_disk(queue))
    # Its pages stand in the log and then in the file; in the log also those it empties for them.
    one_commit = 2 * (10 * (row_bytes + 4_096) + EMERGENCY_ROWS * 1_024)
    assert 0.8 * max_size_bytes < most <= max_size_bytes + one_commit
    assert queue.ledger().closes


def damage(queue: CloudSyncQueue) -> None:
    """Make the file another program's; the next opening sets it aside."""
    queue.close()
    data = bytearray(queue.path.read_bytes())
    data[4_096 : 4_096 * 40] = b"garbage!" * (4_096 * 39 // 8)
    queue.path.write_bytes(data)


def set_aside(queue: CloudSyncQueue) -> list[Path]:
    return sorted(queue.path.parent.glob("q.db.corrupt-*Z"))


def test_files_set_aside_count_and_go_before_any_row(open_queue: Open, clock: FakeClock) -> None:
    """At most two are kept, and only while there is room for them."""
    queue = open_queue(4 * MIB, unattended=True)
    for _ in range(3):
        queue.enqueue_many([Submission({"pad": "x" * 2_000})] * 200)
        damage(queue)
        clock.advance(60.0)
        queue = open_queue(4 * MIB, unattended=True)
        while queue.restless():
            queue.upkeep()
    kept = set_aside(queue)
    assert len(kept) == 2
    assert occupied(queue) > sum(file.stat().st_size for file in kept) > MIB // 2
    depth = queue.pending_count()
    for _ in range(200):
        if not set_aside(queue):
            break
        queue.enqueue_many([Submission({"pad": "x" * 2_000})] * 20)
        depth += 20
        settle(queue)
        assert on_disk(queue) <= 4 * MIB
    assert set_aside(queue) == []
    assert queue.pending_count() == depth
    assert queue.ledger().shed == 0


def test_upkeep_begins_above_its_mark_and_ends_at_the_low_one(open_queue: Open) -> None:
    """Below the high-water mark nothing goes; once above it, all down to the low one."""
    queue = open_queue(4 * MIB)
    with queue._store.read() as db:
        marks = queue.bounds._room.marks(db)
    assert (marks.low, marks.hard) == (4 * MIB - 4 * MIB // 10, 4 * MIB)
    assert marks.low < marks.high < marks.hard
    while occupied(queue) <= marks.high:
        queue.upkeep()
        assert queue.ledger().shed == 0
        queue.enqueue_many([Submission({"pad": "x" * 400})] * 10)
    assert queue.ledger().shed == 0
    settle(queue)
    assert marks.low - MIB // 2 < occupied(queue) <= marks.low


@pytest.mark.parametrize("with_upkeep", [True, False])
def test_critical_rows_stay_while_they_fit_whatever_stood_between_them(
    open_queue: Open, *, with_upkeep: bool
) -> None:
    """One third each, interleaved: deleting the others empties no page, packing does."""
    queue = open_queue(MIB)
    with queue._store.read() as db:
        low = queue.bounds._room.marks(db).low
    empty = occupied(queue)
    row_bytes = 700
    # A row takes its payload, some 40 bytes beside it and 30 in the index; pages are never quite
    # full.
    fitting = int((low - empty) / (row_bytes + 70) * 0.9)
    kinds = itertools.cycle((Priority.LOGS, Priority.TELEMETRY, Priority.CRITICAL))
    for _ in range(3 * fitting // 30):
        queue.enqueue_many(
            [Submission({"pad": "x" * (row_bytes - 10)}, next(kinds)) for _ in range(30)]
        )
        if with_upkeep:
            queue.upkeep()
    settle(queue)
    depths = queue.depths()
    assert depths[Priority.CRITICAL] == fitting // 10 * 10
    assert queue.ledger().shed > fitting
    assert queue.ledger().closes
    assert occupied(queue) <= MIB


def test_packing_keeps_rows_as_they_were(open_queue: Open) -> None:
    """Ids, times, and the tries of one that was nacked."""
    queue = open_queue(MIB)
    ids = queue.enqueue_many([Submission({"n": n}, Priority(1 + n % 4)) for n in range(400)])
    queue.nack(ids[:7], 60.0)
    with queue._store.read() as db:
        before = db.execute("SELECT * FROM sync_queue WHERE priority < 3 ORDER BY id").fetchall()
    with queue._store.write() as db:
        shedder = queue.bounds._shedder
        for priority in (Priority.TELEMETRY, Priority.LOGS):
            db.execute("DELETE FROM sync_queue WHERE priority = ?", (priority.value,))
        while shedder._pack(db, 50):
            pass
        assert db.execute("SELECT * FROM sync_queue ORDER BY id").fetchall() == before
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
