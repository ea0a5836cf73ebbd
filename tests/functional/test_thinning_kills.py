"""kill -9 in the middle of thinning: every reading stands somewhere, and the round goes on."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.types import SensorReading, Submission

MAX_BYTES = 1 << 20
READINGS = 5_000
WORK = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
with CloudSyncQueue(sys.argv[1], max_size_bytes=1 << 20, min_free_disk_bytes=0) as queue:
    while True:
        queue.upkeep()
        if not queue.bounds.crowded:
            break
"""


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A queue beyond its high-water mark, of which nothing was thinned yet."""
    path = tmp_path / "full.db"
    readings = (
        SensorReading(f"sensor.{n % 3}", float(n), n + 0.5, "celsius", {"pad": "x" * 60}).to_dict()
        for n in range(READINGS)
    )
    with CloudSyncQueue(path, min_free_disk_bytes=0) as queue:
        queue.enqueue_many(map(Submission, readings))
    return path


def stands_for(queue: CloudSyncQueue) -> int:
    """How many readings the stored ones tell of."""
    with queue._store.read() as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = db.execute("SELECT payload FROM sync_queue").fetchall()
    thinned = [json.loads(text)["metadata"].get("thinned", 0) for (text,) in found]
    # One round is enough here: none stands for more than itself and its neighbour.
    assert max(thinned) <= 1
    return sum(thinned) + len(thinned)


def killed_at(call: str, number: int, path: Path) -> bool:
    """Make room until the number-th such call; whether it came to that."""
    inject = ["strace", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"]
    work = [*inject, sys.executable, "-c", WORK, str(path)]
    return subprocess.run(work, check=False, timeout=60).returncode != 0


@pytest.mark.fault(
    "kill",
    "at each pwrite",
    "at each fdatasync",
    how="strace kills a process that thins a full queue at each 97th write and each flush",
    part="a process that works the queue alone",
)
# Each slice is some hundred writes; the flushes are few.
@pytest.mark.parametrize(("call", "every"), [("pwrite64", 97), ("fdatasync", 1)])
def test_kill_while_thinning_loses_no_reading_and_the_next_start_goes_on(
    call: str, every: int, full: Path, tmp_path: Path
) -> None:
    """Each is stored or stands in another; what was thinned is not thinned again in this round."""
    cursors = set()
    for number in itertools.count(1, every):
        path = tmp_path / f"{number}.db"
        shutil.copy(full, path)
        if not killed_at(call, number, path):
            break
        with CloudSyncQueue(path, max_size_bytes=MAX_BYTES, min_free_disk_bytes=0) as queue:
            assert stands_for(queue) == READINGS
            with queue._store.read() as db:
                cursors |= set(
                    db.execute("SELECT value FROM settings WHERE name = 'thinned_to'").fetchall()
                )
            while not queue.bounds.roomy:
                queue.upkeep()
            assert stands_for(queue) == READINGS
            books = queue.ledger()
            assert books.closes
            assert books.shed == 0
            assert books.thinned > 0
    assert len(cursors) > 1, "no kill came between two slices"
