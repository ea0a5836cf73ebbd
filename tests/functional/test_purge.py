"""What a person wants gone: it goes wherever it stands, is booked, and leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fakes.clock import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cloud_sync import (
    CloudSyncQueue,
    Priority,
    erasure,
    export,
    gaps,
    pace,
    thinning,
    which,
)
from edge_agent.cloud_sync.gaps import Gap
from edge_agent.cloud_sync.which import Which
from edge_agent.errors import StoreError
from edge_agent.types import Submission


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    path = tmp_path / "q.db"
    with CloudSyncQueue(path, durability="normal", device_id="barn", clock=clock) as made:
        yield made


def reading(sensor: str, /, **metadata: Any) -> dict[str, Any]:
    return {
        "sensor_name": sensor,
        "timestamp": 1.0,
        "value": 2.0,
        "unit": "celsius",
        "metadata": metadata,
    }


def left(queue: CloudSyncQueue) -> list[int]:
    return [item.id for item in queue.dequeue(10_000)]


SENSORS = ("fridge", "door", "agent.gap")


class Put(NamedTuple):
    """A row of the model."""

    sensor: str
    about: str
    ttl_s: int
    fate: str
    born: float = 0.0


#: Each selection, and in plain words what it takes of what is queued or dead at ``now``.
Model = Callable[[Put, float], bool]
SELECTIONS: list[tuple[Which, Model]] = [
    (which.expired(), lambda put, now: put.fate != "dead" and put.born + put.ttl_s <= now),
    (which.before(1_750_000_050.0), lambda put, _: put.born < 1_750_000_050.0),
    (which.everything(), lambda *_: True),
    (
        which.of_sensor("fridge"),
        lambda put, _: "fridge" in (put.sensor, put.sensor[:6] == "agent." and put.about),
    ),
    (which.matching("metadata.sensor", "door"), lambda put, _: put.about == "door"),
]
PUTS = st.builds(
    Put,
    st.sampled_from(SENSORS),
    st.sampled_from(SENSORS),
    st.integers(1, 100),
    st.sampled_from(["queued", "dead", "acked", "nacked"]),
)


@given(
    puts=st.lists(PUTS, max_size=30),
    chosen=st.sampled_from(SELECTIONS),
    slice_rows=st.integers(1, 40),
)
def test_purge_takes_exactly_what_a_plain_model_says(
    puts: list[Put],
    chosen: tuple[Which, Model],
    slice_rows: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever is queued, dead or gone, in slices of any size; the ledger closes, counts agree."""
    selection, takes = chosen
    clock = FakeClock()
    path = tmp_path_factory.mktemp("purge") / "q.db"
    with (
        pytest.MonkeyPatch.context() as patch,
        CloudSyncQueue(path, durability="normal", clock=clock) as queue,
    ):
        patch.setattr(erasure, "SLICE_ROWS", slice_rows)
        here: dict[int, Put] = {}
        for put in puts:
            payload = reading(put.sensor, sensor=put.about)
            number = queue.enqueue(payload, Priority.TELEMETRY, put.ttl_s)
            settle(queue, number, put.fate)
            if put.fate != "acked":
                here[number] = put._replace(born=clock.wall())
            clock.advance(5.0)
        stay = {n: put for n, put in here.items() if not takes(put, clock.wall())}
        counted = queue.count(selection)

        gone = queue.purge(selection)

        assert table(queue, "sync_queue") == [n for n, put in stay.items() if put.fate != "dead"]
        assert table(queue, "dead_letters") == [n for n, put in stay.items() if put.fate == "dead"]
        assert (gone.rows, gone.dead_letters) == (counted.rows, counted.dead_letters)
        books = queue.ledger()
        assert books.closes
        assert getattr(books, selection.fate) == len(here) - len(stay)
        assert gone.remains == ""
        assert queue.verify().problems == ()


def settle(queue: CloudSyncQueue, number: int, fate: str) -> None:
    match fate:
        case "dead":
            queue.dead_letter([number], "HTTP 400")
        case "acked":
            queue.ack([number])
        case "nacked":
            queue.nack([number])


def table(queue: CloudSyncQueue, name: str) -> list[int]:
    """The ids in a table."""
    with queue._store.read() as db:
        found = db.execute(
            "SELECT id, 'sync_queue' FROM sync_queue UNION ALL"
            " SELECT id, 'dead_letters' FROM dead_letters ORDER BY id"
        )
        return [number for number, where in found if where == name]


def test_purge_of_sensor_forgets_gaps_states_and_history_that_name_it(
    queue: CloudSyncQueue,
) -> None:
    """And nothing that others have to say."""
    with queue._store.write() as db:
        gaps.note(db, [Gap(name, "shed", 3, 1.0, 2.0) for name in ("fridge.t", "door")])
    queue.memory.save("counter:fridge", 17)
    queue.memory.save("counter:door", 18)
    queue.memory.save("alarms", {"fridge": "high"})
    queue.memory.note("sensor_fault sensor=fridge reason=nack")
    queue.memory.note("link_down")
    counted = queue.count(which.of_sensor("fridge"))

    gone = queue.purge(which.of_sensor("fridge"))

    assert (counted.gaps, counted.notes) == (gone.gaps, gone.notes) == (1, 3)
    assert queue.memory.load("counter:door") == 18
    assert queue.memory.load("counter:fridge") is queue.memory.load("alarms") is None
    assert [event for _, event in queue.memory.history()] == ["link_down"]
    with queue._store.read() as db:
        assert [gap.sensor for gap in gaps.take(db)] == ["door"]


@pytest.mark.parametrize(
    ("selection", "goes"),
    [(which.of_sensor("x"), True), (which.everything(), True), (which.before(9e9), False)],
)
def test_purge_by_what_rows_say_deletes_damaged_files_whole(
    queue: CloudSyncQueue, selection: Which, goes: bool
) -> None:
    """They cannot be searched; one by age leaves them, who keeps them anyway not for long."""
    aside = [queue.path.with_name(f"q.db.corrupt-20250101T000000Z{part}") for part in ("", "-wal")]
    for file in aside:
        file.write_text("x")

    assert queue.count(selection).files == (tuple(aside) if goes else ())
    assert queue.purge(selection).files == (tuple(aside) if goes else ())
    assert [file.exists() for file in aside] == [not goes] * 2


def test_purge_while_rows_are_salvaged_is_refused(queue: CloudSyncQueue) -> None:
    """They would come back out of the damaged file."""
    queue.enqueue(reading("fridge"))
    with queue._store.write() as db:
        db.execute("INSERT INTO settings VALUES ('salvage_from', 'q.db.corrupt-x')")

    with pytest.raises(StoreError, match=r"q\.db\.corrupt-x .*let the agent run"):
        queue.purge(which.everything())

    assert queue.pending_count() == 1
    assert queue.purge(which.before(9e9)).rows == 1


def test_purge_tells_every_id_ever_given_out_by_origin(tmp_path: Path, clock: FakeClock) -> None:
    """Delivered ones too: it is the server that has them."""
    with CloudSyncQueue(tmp_path / "q.db", device_id="barn", clock=clock) as queue:
        queue.ack(queue.enqueue_many([Submission({}, Priority.LOGS, 60)] * 3))
        queue.rename_device("stable")
        queue.enqueue({})
    with CloudSyncQueue(tmp_path / "q.db", device_id="stable", clock=clock) as queue:
        queue.rename_device("never used")
        (*_, last) = [queue.purge(which.everything()).ranges]
        assert [(r.device_id, r.first_id, r.last_id) for r in last] == [
            ("barn", 1, 3),
            ("stable", 4, 4),
        ]
        assert len({r.queue_id for r in last}) == 2
        assert queue.enqueue({}) == 5


class FakeTime:
    """Each look at it is a quarter of a second later."""

    def __init__(self) -> None:
        self.naps: list[float] = []
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 0.25
        return self._now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)


def test_long_work_gives_way_after_each_slice(
    queue: CloudSyncQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as another writer may sleep between two tries, and no longer."""
    fake = FakeTime()
    monkeypatch.setattr(pace, "time", fake)
    monkeypatch.setattr(erasure, "SLICE_ROWS", 2)
    queue.enqueue_many([Submission({"text": "x" * 4000})] * (export.SLICE_ROWS + 7))
    queue.export(tmp_path / "out", move=True)
    assert fake.naps == [pace.LONGEST_NAP_S] * 2

    fake.naps.clear()
    queue.enqueue_many([Submission({})] * 3)
    queue.purge(which.before(9e9))
    # Two slices of rows, two of pages, and the log.
    assert len(fake.naps) == 5


def test_purge_counts_and_tells_after_each_slice(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices without anything to delete are read and not written."""
    monkeypatch.setattr(erasure, "SLICE_ROWS", 2)
    names = ["door", "door", "fridge", "door", "fridge", "fridge", "fridge"]
    queue.enqueue_many([Submission(reading(n), Priority.LOGS, 60) for n in names])
    told: list[int] = []

    gone = queue.purge(which.of_sensor("fridge"), progress=told.append)

    assert (gone.rows, told) == (4, [1, 3, 4])
    assert left(queue) == [1, 2, 4]


def traces(directory: Path, name: str) -> list[str]:
    """Files in which the name stands."""
    return [file.name for file in directory.iterdir() if name.encode() in file.read_bytes()]


@pytest.mark.parametrize("secure", ["OFF", "ON"])
def test_purge_of_sensor_leaves_its_name_in_no_file_of_the_queue(
    queue: CloudSyncQueue, tmp_path: Path, secure: str
) -> None:
    """Neither where SQLite overwrote nothing, nor in the copies that moving rows leaves behind."""
    queue._store._writer.execute(f"PRAGMA secure_delete = {secure}").fetchone()
    # A draw with which copies are left in both cases, as long as the file is not written anew.
    draw = random.Random(5)
    names = draw.choices(["strangebadge", "fridge", "door"], k=800)
    queue.enqueue_many([Submission(reading(name, pad="x" * draw.randrange(300))) for name in names])
    thinning.thin(queue._store, set())
    queue.ack(draw.sample(left(queue), 200))
    queue.dead_letter(left(queue)[:3], "HTTP 400")
    queue.memory.save("counter:strangebadge", 1)
    Path(f"{queue.path}.corrupt-20250101T000000Z").write_text("strangebadge")
    assert traces(tmp_path, "strangebadge")
    kept = [item.payload for item in queue.dequeue(10_000)]

    gone = queue.purge(which.of_sensor("strangebadge"))

    assert gone.remains == ""
    assert traces(tmp_path, "strangebadge") == []
    assert [item.payload for item in queue.dequeue(10_000)] == [
        payload for payload in kept if payload["sensor_name"] != "strangebadge"
    ]
    assert queue.verify().problems == ()


def test_purge_without_room_to_rewrite_says_what_remains(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are gone; whether copies are, a person must know."""
    queue.enqueue(reading("fridge"))
    monkeypatch.setattr(erasure, "free_bytes", lambda _: 4096)

    gone = queue.purge(which.of_sensor("fridge"))

    assert gone.rows == 1
    assert "and 4096 are free; make room and purge once more" in gone.remains


def test_purge_beside_a_reader_that_never_ends_says_that_the_log_remains(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that keeps its view of the file keeps the log alive."""
    monkeypatch.setattr(erasure, "_TRUNCATE_WAIT_MS", 1)
    queue.enqueue(reading("fridge"))
    with queue._store.beside() as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM sync_queue").fetchall()

        gone = queue.purge(which.of_sensor("fridge"))

        assert "-wal, which another program keeps reading" in gone.remains
        other.execute("ROLLBACK")


def test_vacuum_gives_back_what_is_unused_in_slices(queue: CloudSyncQueue) -> None:
    """The file is as small as its rows want, and the log is empty."""
    ids = queue.enqueue_many(
        [Submission({"text": "x" * 4000}, Priority.LOGS, 60) for _ in range(600)]
    )
    queue.ack(ids[1:])
    size, told = queue.size_bytes(), list[int]()

    given_back = queue.vacuum(progress=told.append)

    assert given_back == size - queue.size_bytes() > 600 * 4000
    assert queue._store.log_bytes() == 0
    assert told == sorted(told, reverse=True)
    assert len(told) > 2
    assert told[-1] == 0
    assert queue.verify().unused_bytes == 0
    assert queue.vacuum() == 0
