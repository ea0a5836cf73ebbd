"""What a person does to the queue beside an agent that goes on storing and sending."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.processes import Script

from edge_agent.cloud_sync import CloudSyncQueue, which
from edge_agent.types import Submission

BUSY = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
queue = CloudSyncQueue(sys.argv[1], durability="normal")
while True:
    ids = [queue.enqueue({"sensor_name": "door", "text": "x" * 200}) for _ in range(5)]
    if ids[-1] % 4 == 0:
        queue.ack_sent([item.id for item in queue.dequeue(7)])
    elif ids[-1] % 4 == 1:
        queue.nack([item.id for item in queue.dequeue(7)], 0.0)
    elif ids[-1] % 4 == 2:
        queue.upkeep()
    print(ids[-1], flush=True)
"""

MOVER = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
def wait(rows):
    print(rows, flush=True)
    sys.stdin.readline()
with CloudSyncQueue(sys.argv[1]) as queue:
    queue.export(sys.argv[2], move=True, progress=wait)
    print("done", flush=True)
"""

#: No file may grow beyond half of what the export would have.
CRAMPED = """
import resource, sys
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import StoreError
with CloudSyncQueue(sys.argv[1]) as queue:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        queue.export(sys.argv[2], move=True)
    except StoreError as exc:
        print(exc, flush=True)
"""
ROWS = 1_200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


@pytest.fixture
def busy(path: Path) -> Iterator[Script]:
    """A process that stores, sends, nacks and keeps house all the time."""
    with CloudSyncQueue(path) as queue:
        rows = [Submission({"sensor_name": "strangebadge", "n": n}) for n in range(500)]
        queue.enqueue_many(rows)
    script = Script(BUSY, str(path))
    script.line()
    yield script
    script.process.kill()
    script.end()


def exported(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_care_beside_a_busy_process_loses_nothing_and_doubles_nothing(
    busy: Script, path: Path, tmp_path: Path
) -> None:
    """Every id is queued, delivered, in exactly one export, or purged; the file stays sound."""
    ids: list[int] = []
    with CloudSyncQueue(path) as queue:
        purged = queue.purge(which.of_sensor("strangebadge"))
        assert purged.remains == ""
        assert not any(b"strangebadge" in file.read_bytes() for file in copies(path, tmp_path))
        for number in range(5):
            busy.line()
            assert queue.verify().problems == ()
            done = queue.export(tmp_path / f"{number}.ndjson", move=True)
            assert 0 <= done.moved <= done.count
            ids += exported(done.path)
            queue.vacuum()
        purged = queue.purge(which.everything())
        assert purged.remains == ""
        last = int(busy.line())
        busy.process.send_signal(signal.SIGKILL)
        busy.end()
        books = queue.ledger()
        assert books.closes
        assert books.enqueued >= last
        assert 0 < books.exported <= len(ids) == len(set(ids))
        assert {item.id for item in queue.dequeue(10_000)}.isdisjoint(ids)
        assert queue.verify().problems == ()


def copies(path: Path, directory: Path) -> list[Path]:
    """The queue's files as another process sees them: to open them here would drop its locks."""
    (directory / "seen").mkdir()
    copy = "import shutil, sys; [shutil.copy(name, sys.argv[1]) for name in sys.argv[2:]]"
    files = [str(file) for file in path.parent.glob(f"{path.name}*")]
    Script(copy, str(directory / "seen"), *files).end()
    return list((directory / "seen").iterdir())


# It tells three slices written, then three slices moved.
@pytest.mark.parametrize("told", [1, 3, 4, 5, 6])
def test_export_move_that_is_killed_leaves_every_row_somewhere(
    path: Path, tmp_path: Path, told: int
) -> None:
    """kill -9 after so many slices: what is not in the queue stands in the finished file."""
    with CloudSyncQueue(path) as queue:
        queue.enqueue_many([Submission({"n": n}) for n in range(ROWS)])
    mover = Script(MOVER, str(path), str(tmp_path / "out"))
    for _ in range(told - 1):
        mover.line()
        mover.go_on()
    mover.line()
    mover.process.send_signal(signal.SIGKILL)
    mover.end()

    with CloudSyncQueue(path) as queue:
        queued = {item.id for item in queue.dequeue(2 * ROWS)}
        carried = set(exported(tmp_path / "out")) if told > 3 else set()
        assert queued | carried == set(range(1, ROWS + 1))
        assert (tmp_path / "out").exists() == (told > 3)
        assert len(queued) == ROWS - queue.ledger().exported
        assert (queue.ledger().exported > 0) == (told > 3)
        assert queue.ledger().closes
        again = queue.export(tmp_path / "again", move=True)
        assert (again.moved, queue.pending_count()) == (len(queued), 0)


def test_export_onto_a_full_disk_says_so_and_keeps_every_row(path: Path, tmp_path: Path) -> None:
    """Nothing of the file stays behind."""
    with CloudSyncQueue(path) as queue:
        queue.enqueue_many([Submission({"n": n}) for n in range(ROWS)])
    cramped = Script(CRAMPED, str(path), str(tmp_path / "out"))

    said = cramped.line()

    assert cramped.end() == 0
    assert said == f"{tmp_path / 'out'}: File too large; nothing was deleted from the queue"
    assert list(tmp_path.glob("out*")) == []
    with CloudSyncQueue(path) as queue:
        assert (queue.ledger().queued, queue.ledger().closes) == (ROWS, True)
