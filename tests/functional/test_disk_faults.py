"""A disk that fails at one system call: no returned id is lost, and nothing is stored twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue

WORK = """
import json, os, sys
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import StoreError
def again(what):
    for _ in range(20):
        try:
            return what()
        except StoreError as exc:
            refused.append(exc.reason)
    raise SystemExit("it does not heal")
refused, told = [], {}
queue = again(lambda: CloudSyncQueue(sys.argv[1], unattended=True))
for number in range(4):
    told[number] = again(lambda: queue.enqueue({"number": number}))
again(lambda: queue.ack([told[0]]))
again(lambda: queue._store.checkpoint())
told[4] = again(lambda: queue.enqueue({"number": 4}))
queue.close()
print(json.dumps([told, refused]))
"""


def with_fault(call: str, error: str, number: int, path: Path) -> tuple[dict[str, int], bool]:
    """Work while the number-th such call fails; the ids returned, and whether it came to that."""
    trace = path.with_suffix(".trace")
    fault = f"inject={call}:error={error}:when={number}"
    inject = ["strace", "-o", str(trace), "-e", f"trace={call}", "-e", fault]
    work = [*inject, sys.executable, "-c", WORK, str(path)]
    done = subprocess.run(work, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, _ = json.loads(done.stdout)
    return told, "(INJECTED)" in trace.read_text()


@pytest.mark.parametrize(
    ("call", "error", "every"),
    # Each third write fails in one way, the one after it in the other: they are many.
    [("pwrite64", "EIO", 3), ("pwrite64", "ENOSPC", 3), ("fdatasync", "EIO", 1)],
)
def test_call_that_fails_once_loses_no_returned_id_and_doubles_none(
    call: str, error: str, every: int, tmp_path: Path
) -> None:
    """Whatever failed, trying again is right: an error means that nothing was stored."""
    points = 0
    for number in itertools.count(2 if error == "ENOSPC" else 1, every):
        path = tmp_path / f"{number}.db"
        told, injected = with_fault(call, error, number, path)
        if not injected:
            break
        points += 1
        with CloudSyncQueue(path) as queue:
            stored = [(item.payload["number"], item.id) for item in queue.dequeue(100)]
            assert stored == [(n, told[str(n)]) for n in range(1, 5)]
            assert (queue.ledger().delivered, queue.ledger().enqueued) == (1, 5)
            assert queue.ledger().closes
        assert not list(tmp_path.glob("*.corrupt-*"))
    assert points > 0, f"the work never called {call}"
