"""Rows carried away in a file: whole, for its owner alone, and out of the queue only then."""

from __future__ import annotations

import errno
import gzip
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, export
from edge_agent.errors import StoreError
from edge_agent.types import Submission


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    path = tmp_path / "q.db"
    with CloudSyncQueue(path, durability="normal", device_id="barn", clock=clock) as made:
        yield made


def fill(queue: CloudSyncQueue, number: int) -> None:
    queue.enqueue_many([Submission({"value": n}, Priority.TELEMETRY, 60) for n in range(number)])


def lines(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["out.ndjson", "out.ndjson.gz"])
def test_export_writes_each_row_under_its_own_name(
    queue: CloudSyncQueue, tmp_path: Path, clock: FakeClock, name: str
) -> None:
    """Device, queue and id are those the row was born with; nothing leaves the queue."""
    queue.enqueue({"text": "Kühl\n"}, Priority.CRITICAL, 60)
    queue.rename_device("stable")
    queue.enqueue({"value": 2}, Priority.LOGS, 70)

    done = queue.export(tmp_path / name)

    assert (done.path, done.count, done.moved, done.unfit) == (tmp_path / name, 2, 0, 0)
    assert done.size_bytes == (tmp_path / name).stat().st_size
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    first, second = queue.all_batches()
    assert lines(tmp_path / name) == [
        {
            "device_id": "barn",
            "queue_id": first.queue_id,
            "id": 1,
            "priority": 1,
            "created_at": clock.wall(),
            "ttl_seconds": 60,
            "payload": {"text": "Kühl\n"},
        },
        {
            "device_id": "stable",
            "queue_id": second.queue_id,
            "id": 2,
            "priority": 4,
            "created_at": clock.wall(),
            "ttl_seconds": 70,
            "payload": {"value": 2},
        },
    ]
    assert queue.pending_count() == 2


def test_export_move_takes_every_slice_and_books_it(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """More than two slices; the progress tells first what was written, then what was moved."""
    fill(queue, 2 * export.SLICE_ROWS + 1)
    told: list[int] = []

    done = queue.export(tmp_path / "out", move=True, progress=told.append)

    most = 2 * export.SLICE_ROWS + 1
    assert (done.count, done.moved) == (most, most)
    assert [line["id"] for line in lines(tmp_path / "out")] == list(range(1, most + 1))
    assert told == [export.SLICE_ROWS, most - 1, most] * 2
    books = queue.ledger()
    assert (books.queued, books.exported, books.closes) == (0, most, True)


def test_export_leaves_out_what_has_expired_what_is_dead_and_what_is_no_json(
    queue: CloudSyncQueue, tmp_path: Path, clock: FakeClock
) -> None:
    """They are not to be delivered, or no line could hold them; with `move` they stay, too."""
    fill(queue, 3)
    clock.advance(61)
    ids = queue.enqueue_many([Submission({"n": n}, Priority.LOGS, 60) for n in range(4)])
    queue.dead_letter(ids[:1], "HTTP 400")
    for number, text in ((ids[1], "{"), (ids[2], '{"a":NaN}'), (ids[3], '{\n"n":\r\n3}')):
        with queue._store.write() as db:
            db.execute("UPDATE sync_queue SET payload = ? WHERE id = ?", (text, number))

    done = queue.export(tmp_path / "out", move=True)

    assert (done.count, done.moved, done.unfit) == (1, 1, 2)
    assert [(line["id"], line["payload"]) for line in lines(tmp_path / "out")] == [(7, {"n": 3})]
    assert queue.ledger().queued == 5
    assert queue.ledger().closes


def test_export_of_readings_taken_before_the_clock_was_right_has_the_right_times(
    tmp_path: Path,
) -> None:
    """A step that is booked and not yet rewritten is applied on the way out, also for `move`."""
    clock = FakeClock(wall=1_000.0, synchronized=False)
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        queue.enqueue({"timestamp": 1_000.0, "metadata": {"clock": "unsynced"}})
        clock.step(5_000.0)
        queue.tick()

        done = queue.export(tmp_path / "out", move=True)

        (line,) = lines(tmp_path / "out")
        assert line["created_at"] == line["payload"]["timestamp"] == 6_000.0
        assert line["payload"]["metadata"]["clock"] == "corrected"
        assert done.moved == 1


def test_export_move_leaves_what_was_queued_delivered_or_changed_meanwhile(
    queue: CloudSyncQueue, tmp_path: Path
) -> None:
    """Only what stands in the file as it stands in the queue is deleted, and counted."""
    fill(queue, 4)

    def meanwhile(_: int) -> None:
        if queue.ledger().delivered:
            return
        queue.enqueue({"late": True})
        queue.ack([1])
        with queue._store.write() as db:
            db.execute("UPDATE sync_queue SET payload = '{\"value\":9}' WHERE id = 2")

    done = queue.export(tmp_path / "out", move=True, progress=meanwhile)

    assert (done.count, done.moved) == (4, 2)
    assert [item.id for item in queue.dequeue()] == [2, 5]
    assert (queue.ledger().exported, queue.ledger().closes) == (2, True)


def test_export_to_a_file_that_is_there_is_refused(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """Before anything is read: another export's rows may be nowhere else. So is a dangling link."""
    fill(queue, 1)
    (tmp_path / "out").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    told: list[int] = []
    for name in ("out", "link"):
        with pytest.raises(StoreError, match="such a file already; name another"):
            queue.export(tmp_path / name, move=True, progress=told.append)

    assert told == []
    assert (tmp_path / "out").read_text() == "precious"
    assert queue.pending_count() == 1


def test_export_into_no_directory_says_which_file(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """The system's sentence, the name, and that nothing was deleted."""
    fill(queue, 1)
    with pytest.raises(StoreError, match="nowhere/out: No such file or directory; nothing was del"):
        queue.export(tmp_path / "nowhere" / "out", move=True)
    assert queue.pending_count() == 1


def test_export_sweeps_up_after_one_that_was_cut_off(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """What a killed export left is overwritten, and gets the mode it should have had."""
    fill(queue, 1)
    (tmp_path / "out.part").write_text("x" * 10_000)

    queue.export(tmp_path / "out")

    assert [line["id"] for line in lines(tmp_path / "out")] == [1]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "out.part").exists()


def test_export_beside_another_to_the_same_file_is_refused(
    queue: CloudSyncQueue, tmp_path: Path
) -> None:
    """The second would write into the first's file."""
    fill(queue, 1)

    def second(_: int) -> None:
        with pytest.raises(StoreError, match="another export writes it"):
            queue.export(tmp_path / "out")

    assert queue.export(tmp_path / "out", progress=second).count == 1


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_export_given_up_halfway_leaves_no_file_and_every_row(
    queue: CloudSyncQueue, tmp_path: Path, name: str
) -> None:
    """Also where the given-up one is a person's ^C."""
    fill(queue, 1)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue.export(tmp_path / name, move=True, progress=interrupt)

    assert [file.name for file in tmp_path.glob("out*")] == []
    assert queue.ledger().queued == 1


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_export_whose_flush_fails_leaves_no_file_and_every_row(
    queue: CloudSyncQueue, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is on the disk before fsync says so."""
    fill(queue, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        queue.export(tmp_path / name, move=True)

    assert [file.name for file in tmp_path.glob("out*")] == []
    assert queue.ledger().queued == 1


def cut_short(data: bytes) -> bytes:
    return data[:-5]


def bit_flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_short, bit_flipped])
@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_export_move_deletes_nothing_that_cannot_be_read_back(
    queue: CloudSyncQueue,
    tmp_path: Path,
    name: str,
    damage: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stick that takes everything and keeps something else."""
    fill(queue, 50)
    sync = export.sync_directory

    def forgetful(directory: Path) -> None:
        sync(directory)
        file = tmp_path / name
        file.write_bytes(damage(file.read_bytes()))

    monkeypatch.setattr(export, "sync_directory", forgetful)
    with pytest.raises(StoreError, match="nothing was deleted from the queue"):
        queue.export(tmp_path / name, move=True)

    assert queue.ledger().queued == 50


def test_export_of_an_empty_queue_is_an_empty_file(queue: CloudSyncQueue, tmp_path: Path) -> None:
    """Nothing to carry is no error."""
    assert queue.export(tmp_path / "out.gz", move=True).count == 0
    assert lines(tmp_path / "out.gz") == []


def test_export_reads_slices_by_the_primary_key(queue: CloudSyncQueue) -> None:
    """A million rows cost a million steps, not a million for each slice."""
    query = export._ROWS.format(shift="0.0", where=export._SLICE)
    with sqlite3.connect(queue.path) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", (0, 10))]
    db.close()
    searches = [step for step in plan if "sync_queue" in step]
    assert searches
    assert all("USING INTEGER PRIMARY KEY" in step for step in searches)
