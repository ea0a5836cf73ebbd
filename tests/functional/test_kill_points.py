"""kill -9 at every system call that changes the queue's file, one after the other."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue

WORK = """
import os, sys
from edge_agent.cloud_sync import CloudSyncQueue
told = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
with CloudSyncQueue(sys.argv[1]) as queue:
    ids = []
    for turn in range(3):
        ids += [queue.enqueue({"turn": turn}) for _ in range(2)]
        os.write(told, b"%d %d\\n" % tuple(ids[-2:]))
    queue.nack(ids[:1], 60.0)
    queue.dead_letter(ids[1:2], "refused")
    queue.ack(ids[2:3])
    queue._store.checkpoint()
    queue.enqueue({"after": "the checkpoint"})
"""


COUNT = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.pending import Pending
from edge_agent.types import Submission
with CloudSyncQueue(sys.argv[1]) as queue:
    pending = Pending(queue, commit_interval_s=0, say=print, committed=lambda: None)
    for total in (1, 2):
        pending.remember("pulse:water", total, 0.0)
        pending.add(Submission({"total": total}), 0.0)
        # What cannot be stored is left out, and is no reason for two commits.
        pending.add(Submission({"total": float("nan")}), 0.0)
        assert pending.commit(0.0)
    queue._store.checkpoint()
"""


def killed_at(call: str, number: int, site: Path, program: str = WORK) -> bool:
    """Work until the number-th such call; whether it came to that."""
    site.mkdir(exist_ok=True)
    inject = ["strace", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"]
    work = [sys.executable, "-c", program, str(site / "q.db"), str(site / "told")]
    return subprocess.run([*inject, *work], check=False, timeout=60).returncode != 0


@pytest.mark.fault(
    "kill",
    "at each pwrite",
    "at each fdatasync",
    "at each unlink",
    how="strace kills at the n-th such call, for each n; ftruncate too",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "unlink", "ftruncate"])
def test_kill_at_each_call_loses_no_returned_id_and_the_ledger_closes(
    call: str, tmp_path: Path
) -> None:
    """Whatever was being done: every id that was told is in the books, and the file is sound."""
    points = 0
    for number in itertools.count(1):
        site = tmp_path / str(number)
        if not killed_at(call, number, site):
            break
        points += 1
        told = {int(word) for word in (site / "told").read_text().split()}
        with CloudSyncQueue(site / "q.db") as queue:
            ledger = queue.ledger()
            with queue._store.read() as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                there = {row[0] for row in db.execute("SELECT id FROM sync_queue")}
                dead = {row[0] for row in db.execute("SELECT id FROM dead_letters")}
            assert ledger.closes
            assert len(told - there - dead) <= ledger.delivered <= 1
            assert len(dead) == ledger.dead
            assert queue.enqueue({"again": True}) > max(told, default=0)
    assert points > 0, f"the work never called {call}"


@pytest.mark.fault(
    "kill",
    "at each pwrite",
    "at each fdatasync",
    how="strace kills at the n-th such call, for each n, while a counter's total is kept",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_kill_at_each_call_leaves_a_total_and_its_state_the_same(call: str, tmp_path: Path) -> None:
    """Neither is in the file without the other: the next run goes on from what was told last."""
    found = set()
    for number in itertools.count(1):
        site = tmp_path / str(number)
        site.mkdir()
        CloudSyncQueue(site / "q.db").close()
        if not killed_at(call, number, site, COUNT):
            break
        with CloudSyncQueue(site / "q.db") as queue:
            told = max((item.payload["total"] for item in queue.dequeue(10)), default=None)
            assert queue.memory.load("pulse:water") == told
            found.add(told)
    assert found == {None, 1, 2}
