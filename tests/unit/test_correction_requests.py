"""What a request carried before the clock was right: the server sees one form of a reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.unsynced import STEP_S, reading, seen, stored

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.types import Submission


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(synchronized=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


def test_payload_that_the_server_may_have_stays(path: Path, clock: FakeClock) -> None:
    """A nacked row's, and one whose request was about to go; their age moves."""
    born = clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        for _ in range(3):
            queue.enqueue(reading(born), ttl_seconds=1000)
        queue.nack([1], 0)
        queue.note_request([2])
    with CloudSyncQueue(path, clock=clock) as queue:
        clock.step(STEP_S)
        expected = [
            (1, "unsynced", born, 0.0),
            (2, "unsynced", born, 0.0),
            (3, "corrected", born + STEP_S, 0.0),
        ]
        assert seen(queue) == expected
        queue.nack([3], 30)
        queue.upkeep()
        clock.advance(30)
        assert [(number, mark) for number, mark, *_ in seen(queue)] == [
            (1, "unsynced"),
            (2, "unsynced"),
            (3, "corrected"),
        ]


def test_note_request_writes_nothing_once_the_clock_is_right(path: Path) -> None:
    """No cost for the rest of the boot."""
    with CloudSyncQueue(path, clock=FakeClock()) as queue:
        queue.enqueue({})
        queue.note_request([1])
        assert stored(path, "SELECT * FROM requested") == []


def test_rows_chosen_before_a_step_are_chosen_anew(path: Path, clock: FakeClock) -> None:
    """Else the server would see one form and, after a restart, another."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()))
        batch = queue.next_batch(Wanted(9))
        assert batch is not None
        clock.step(STEP_S)
        queue.tick()
        assert not queue.note_request(batch.ids)
        assert [mark for _, mark, *_ in seen(queue)] == ["corrected"]
        again = queue.next_batch(Wanted(9))
        assert again is not None
        assert "corrected" in again.rows[0].payload
        assert queue.note_request(again.ids)


class SetsTheClock:
    """A program's uploader during whose first request the clock is set; nothing arrives."""

    def __init__(self, clock: FakeClock, queue: CloudSyncQueue) -> None:
        self.clock, self.queue = clock, queue
        self.marks: list[list[str]] = []

    def post_batch(self, payloads: list[dict[str, Any]]) -> bool:
        self.marks.append([payload["metadata"]["clock"] for payload in payloads])
        self.clock.step(STEP_S)
        self.queue.tick()
        return False


def test_maybe_flush_s_requests_are_noted_too(path: Path, clock: FakeClock) -> None:
    """The clock is set while the request is out: what it carries stays."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()))
        uploader = SetsTheClock(clock, queue)
        assert queue.maybe_flush(uploader) == 0
        clock.advance(60)
        assert queue.maybe_flush(uploader) == 0
        assert uploader.marks == [["unsynced"]] * 2


def test_maybe_flush_sends_what_is_right_after_a_step_found_while_choosing(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread's look finds it between the choice and the note."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()))
        uploader, choose = SetsTheClock(clock, queue), queue.all_batches
        steps = iter([STEP_S])

        def choose_and_step() -> Any:
            batches = choose()
            for step_s in steps:
                clock.step(step_s)
                queue.tick()
            return batches

        monkeypatch.setattr(queue, "all_batches", choose_and_step)
        assert queue.maybe_flush(uploader) == 0
        assert uploader.marks == [["corrected"]]


def test_request_that_the_file_takes_no_note_of_is_excepted_all_the_same(
    path: Path, clock: FakeClock
) -> None:
    """An alarm goes out from a read-only card; what went is remembered until the file takes it."""
    born = clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue_many([Submission(reading(born))] * 2)
        queue._store._writer.execute("PRAGMA query_only = ON")
        assert queue.note_request([1])
        queue._store._writer.execute("PRAGMA query_only = OFF")
        clock.step(STEP_S)
        assert [row[1] for row in seen(queue)] == ["unsynced", "corrected"]
        queue.upkeep()
        assert [row[1] for row in seen(queue)] == ["unsynced", "corrected"]


def test_note_that_finds_no_room_takes_the_reserve(path: Path, clock: FakeClock) -> None:
    """A full disk is no reason to keep it in memory alone."""
    with CloudSyncQueue(path, clock=clock) as queue:
        ids = queue.enqueue_many([Submission({})] * 2000)
        queue.upkeep()
        assert path.with_name("q.db.reserve").exists()
        db = queue._store._writer
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        assert queue.note_request(ids)
        assert not path.with_name("q.db.reserve").exists()
