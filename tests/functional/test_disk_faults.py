"""A disk that fails at one system call: no returned id is lost, and nothing is stored twice."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.cloud_sync import CloudSyncQueue

Note = Callable[[str, list[str]], None]
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


def with_fault(
    call: str, error: str, number: int, path: Path, *, times: int = 1
) -> tuple[dict[str, int], list[str]]:
    """Work while such calls fail, so many from the number-th on.

    Returns:
        the ids returned, and what the callers were told; nothing where it came to no failure.
    """
    trace = path.with_suffix(".trace")
    fault = f"inject={call}:error={error}:when={number}..{number + times - 1}"
    # Of the queue's files alone: the interpreter reads its own with the same call.
    files = [word for part in ("", "-wal", "-shm") for word in ("-P", f"{path}{part}")]
    inject = ["strace", "-o", str(trace), *files, "-e", f"trace={call}", "-e", fault]
    work = [*inject, sys.executable, "-c", WORK, str(path)]
    done = subprocess.run(work, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, refused = json.loads(done.stdout)
    return told, refused if refused or "(INJECTED)" not in trace.read_text() else ["nothing"]


def check(path: Path, told: dict[str, int]) -> None:
    """What was told is there once, what was acked is not, and the file is no other."""
    with CloudSyncQueue(path) as queue:
        stored = [(item.payload["number"], item.id) for item in queue.dequeue(100)]
        assert stored == [(n, told[str(n)]) for n in range(1, 5)]
        assert (queue.ledger().delivered, queue.ledger().enqueued) == (1, 5)
        assert queue.ledger().closes
        with queue._store.read() as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(path.parent.glob("*.corrupt-*"))


@pytest.fixture
def note(tell: Callable[[str], None]) -> Note:
    """Tells what the callers were told."""

    def write(fault: str, seen: list[str]) -> None:
        line = ", ".join(f"{times} x {name}" for name, times in Counter(seen).items())
        tell(f"{fault}: {line}")

    return write


@pytest.mark.fault(
    "disk errors",
    "EIO on read",
    "EIO on write",
    "EIO on fsync",
    how="strace fails one call at a time",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize(
    ("call", "error", "every"),
    # Each third write fails in one way, the one after it in the other: they are many.
    [
        ("pread64", "EIO", 3),
        ("pwrite64", "EIO", 3),
        ("pwrite64", "ENOSPC", 3),
        ("fdatasync", "EIO", 1),
    ],
)
def test_call_that_fails_once_loses_no_returned_id_and_doubles_none(
    call: str, error: str, every: int, tmp_path: Path, note: Note
) -> None:
    """Whatever failed, trying again is right: an error means that nothing was stored."""
    seen: list[str] = []
    for number in itertools.count(2 if error == "ENOSPC" else 1, every):
        path = tmp_path / f"{number}.db"
        told, refused = with_fault(call, error, number, path)
        if not refused:
            break
        seen += refused
        check(path, told)
    assert seen, f"the work never called {call}"
    note(f"{call} {error}, once", seen)


@pytest.mark.fault(
    "disk errors",
    "EIO on read",
    "EIO on write",
    "EIO on fsync",
    how="strace fails ten calls in a row",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize("call", ["pread64", "pwrite64", "fdatasync"])
def test_calls_that_fail_for_a_while_lose_no_returned_id(
    call: str, tmp_path: Path, note: Note
) -> None:
    """As above, while ten in a row fail: what the first new look meets fails as well."""
    seen: list[str] = []
    for number in (1, 8, 21):
        path = tmp_path / f"{number}.db"
        told, refused = with_fault(call, "EIO", number, path, times=10)
        seen += refused
        if refused:
            check(path, told)
    assert seen, f"the work never called {call}"
    note(f"{call} EIO, ten in a row", seen)


@pytest.mark.fault(
    "disk errors",
    "read-only",
    how="strace fails the first twelve opens by EROFS and by EACCES",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize("error", ["EROFS", "EACCES"])
def test_file_that_may_not_be_opened_at_the_start_is_written_when_it_may(
    error: str, tmp_path: Path
) -> None:
    """A card mounted read-only, a directory that is another's: the agent is up all the same."""
    path = tmp_path / "q.db"
    fault = ["-P", str(path), "-e", f"inject=openat:error={error}:when=1..12"]
    work = ["strace", "-o", "/dev/null", *fault, sys.executable, "-c", WORK, str(path)]
    done = subprocess.run(work, check=True, timeout=60, capture_output=True, text=True)
    told, refused = json.loads(done.stdout)
    assert set(refused) <= {"OS", "SQLITE_CANTOPEN", "SQLITE_READONLY"}
    assert len(refused) > 1
    assert list(told.values()) == [1, 2, 3, 4, 5]
