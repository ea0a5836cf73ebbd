"""The queue between processes: killed writers, two flushers, a fresh file opened by many."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest
from fakes.processes import Script

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import QueueBusy

WRITER = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
queue = CloudSyncQueue(sys.argv[1])
while True:
    print(queue.enqueue({"text": "x" * 200}), flush=True)
    if queue.pending_count() > 20:
        queue.ack_sent([item.id for item in queue.dequeue(15)])
"""

FLUSHER = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
queue = CloudSyncQueue(sys.argv[1])
with queue.flushing():
    print("flushing", flush=True)
    sys.stdin.readline()
"""

FIRST = """
import sys
from edge_agent.cloud_sync import CloudSyncQueue
sys.stdin.readline()
with CloudSyncQueue(sys.argv[1], device_id=sys.argv[2]) as queue:
    for _ in range(10):
        queue.enqueue({"by": sys.argv[2]})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


@pytest.mark.parametrize("returned", [1, 7, 60])
def test_queue_of_a_killed_writer_holds_every_id_it_returned(path: Path, returned: int) -> None:
    """kill -9 right after the id was printed: the row, the books and the file are whole."""
    writer = Script(WRITER, str(path))
    for _ in range(returned):
        last = int(writer.line())
    writer.process.send_signal(signal.SIGKILL)
    writer.end()
    with CloudSyncQueue(path) as queue:
        books = queue.ledger()
        assert books.closes
        assert books.enqueued >= last == returned
        assert queue.messages_sent_today == books.delivered
        here = [item.id for item in queue.dequeue(1000)]
        assert here == list(range(books.delivered + 1, books.enqueued + 1))
        assert queue.enqueue({}) == books.enqueued + 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_queue_beside_another_process_s_flusher_is_busy_until_that_dies(path: Path) -> None:
    """The kernel lets go of a killed flusher's lock; everything else works meanwhile."""
    flusher = Script(FLUSHER, str(path))
    assert flusher.line() == "flushing"
    with CloudSyncQueue(path) as queue:
        queue.enqueue({})
        with pytest.raises(QueueBusy, match="running agent"):
            queue.maybe_flush()
        assert queue.pending_count() == 1
        flusher.process.kill()
        flusher.end()
        assert queue.maybe_flush() == 1


def test_queue_opened_for_the_first_time_by_many_processes_at_once_serves_all(path: Path) -> None:
    """One of them makes the tables; every row keeps its process's device."""
    names = ["a", "b", "c", "d", "e"]
    scripts = [Script(FIRST, str(path), name) for name in names]
    for script in scripts:
        script.go_on()
    assert [script.end() for script in scripts] == [0] * 5
    with CloudSyncQueue(path) as queue:
        assert queue.ledger().closes
        assert queue.pending_count() == 50
        for batch in queue.all_batches():
            for row in batch.rows:
                assert row.payload == f'{{"by":"{batch.device_id}"}}'
