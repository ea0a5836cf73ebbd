"""Readings taken before the clock was right: their age stays, their times become true."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.told import Told
from fakes.unsynced import DAY_S, STEP_S, reading, seen, stored

from edge_agent.cloud_sync import correction, shedding, thinning
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.daemon.pending import Pending
from edge_agent.types import Priority, Submission


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(synchronized=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "q.db"


def test_moved_reading_has_its_times_moved_and_says_so() -> None:
    """``timestamp``, and a window's ``from`` and ``to``; what is no number stays."""
    old = {"timestamp": 10, "value": 3, "metadata": {"clock": "unsynced", "from": 1.5, "to": "x"}}
    assert correction.moved(old, 100.0) == {
        "timestamp": 110.0,
        "value": 3,
        "metadata": {"clock": "corrected", "from": 101.5, "to": "x"},
    }
    assert old["timestamp"] == 10


@pytest.mark.parametrize(
    "payload",
    [
        {"timestamp": 1.0},
        {"timestamp": 1.0, "metadata": {"clock": "corrected"}},
        {"timestamp": 1.0, "clock": "unsynced"},
        {"timestamp": 1.0, "metadata": "unsynced"},
    ],
)
def test_moved_leaves_what_has_no_mark(payload: dict[str, Any]) -> None:
    """A program's own payloads never change."""
    assert correction.moved(payload, 100.0) is None


@pytest.mark.parametrize("step_s", [STEP_S, -STEP_S])
def test_step_corrects_on_reading_and_the_same_after_rewriting(
    path: Path, clock: FakeClock, step_s: float
) -> None:
    """What is read does not change while it is rewritten; then the record goes."""
    with CloudSyncQueue(path, clock=clock) as queue:
        born = clock.wall()
        queue.enqueue(reading(born), ttl_seconds=100)
        clock.advance(50)
        queue.enqueue({"timestamp": born, "metadata": {"clock": "mine"}}, ttl_seconds=100)
        clock.step(step_s)
        expected = [(1, "corrected", born + step_s, 50.0), (2, "mine", born, 0.0)]
        assert seen(queue) == expected
        body = queue.next_batch(Wanted(9, 1 << 20)).body()  # type: ignore[union-attr]
        assert '"unsynced"' in stored(path, "SELECT payload FROM sync_queue")[0][0]
        assert queue.oldest_s() == 50.0
        assert queue.upkeep() == 0
        assert stored(path, "SELECT * FROM clock_steps") == []
        assert '"corrected"' in stored(path, "SELECT payload FROM sync_queue")[0][0]
        assert seen(queue) == expected
        assert queue.next_batch(Wanted(9, 1 << 20)).body() == body  # type: ignore[union-attr]
        clock.advance(50)
        assert queue.upkeep() == 1


def test_rewriting_goes_on_after_a_restart_newest_first(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of it everything is read corrected and in order."""
    monkeypatch.setattr(correction, "SLICE_ROWS", 2)
    monkeypatch.setattr(correction, "_SLICES", 1)
    queue = CloudSyncQueue(path, clock=clock)
    for _ in range(5):
        queue.enqueue(reading(clock.wall()), ttl_seconds=100)
        clock.advance(10)
    clock.step(STEP_S)
    expected = seen(queue)
    assert [number for number, *_ in expected] == [1, 2, 3, 4, 5]
    assert [age for *_, age in expected] == [50.0, 40.0, 30.0, 20.0, 10.0]
    for done_to in (4, 2, 1):
        queue.upkeep()
        assert stored(path, "SELECT done_to FROM clock_steps") == [(done_to,)]
        queue.close()
        queue = CloudSyncQueue(path, clock=clock)
        assert seen(queue) == expected
    queue.upkeep()
    assert stored(path, "SELECT * FROM clock_steps") == []
    assert seen(queue) == expected
    queue.close()


def test_step_moves_earlier_boots_ages_but_not_their_payloads(path: Path, clock: FakeClock) -> None:
    """How wrong an earlier boot's clock was, nobody knows; a later step is not theirs."""
    with CloudSyncQueue(path, clock=clock) as queue:
        first = clock.wall()
        queue.enqueue(reading(first), ttl_seconds=1000)
    clock.reboot(wall=first)
    with CloudSyncQueue(path, clock=clock) as queue:
        clock.advance(5)
        queue.enqueue(reading(clock.wall()), ttl_seconds=1000)
        clock.step(STEP_S)
        expected = [(1, "unsynced", first, 5.0), (2, "corrected", first + 5 + STEP_S, 0.0)]
        assert seen(queue) == expected
    clock.reboot(wall=clock.wall() - 7)
    with CloudSyncQueue(path, clock=clock) as queue:
        clock.step(DAY_S)
        assert queue.tick()[0].first
        assert len(stored(path, "SELECT * FROM clock_steps")) == 1


def test_step_while_the_agent_was_down_is_found_at_start(path: Path, clock: FakeClock) -> None:
    """Also where the time service's flag is up by then; a second opening finds nothing more."""
    born = clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(born), ttl_seconds=100)
    clock.advance(5)
    clock.step(STEP_S)
    clock.trust()
    for steps in (1, 0):
        with CloudSyncQueue(path, clock=clock) as queue:
            assert seen(queue) == [(1, "corrected", born + STEP_S, 5.0)]
            assert len(queue.tick()) == steps


def test_second_step_of_a_boot_moves_nothing_even_after_a_restart(
    path: Path, clock: FakeClock
) -> None:
    """Without a flag, the file remembers that this boot's clock was set."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()), ttl_seconds=100)
        clock.step(STEP_S)
        queue.enqueue(reading(clock.wall()), ttl_seconds=100)
    clock._synchronized = False
    clock.step(STEP_S)
    with CloudSyncQueue(path, clock=clock) as queue:
        assert [step.first for step in queue.tick()] == [False]
        assert [age for *_, age in seen(queue)] == [0.0, 0.0]


def test_nack_of_an_uncorrected_row_is_due_in_time(path: Path, clock: FakeClock) -> None:
    """Before and after it is rewritten."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()))
        clock.step(STEP_S)
        queue.nack([1], 60)
        assert seen(queue) == []
        clock.advance(60)
        assert len(seen(queue)) == 1
        queue.upkeep()
        assert len(seen(queue)) == 1


def test_statistics_and_dead_letters_count_in_corrected_times(path: Path, clock: FakeClock) -> None:
    """What a step has still to move is told, and set aside, as if it had moved."""
    with CloudSyncQueue(path, clock=clock) as queue:
        born = clock.wall()
        queue.enqueue_many([Submission(reading(born)), Submission(reading(born))])
        clock.step(STEP_S)
        queue.nack([1], 60)
        assert queue.backed_off() == 1
        assert queue.get_stats()["oldest_item_timestamp"] == born + STEP_S
        queue.dead_letter([2], "HTTP 400")
    (dead,) = stored(path, "SELECT created_at, payload FROM dead_letters")
    assert dead[0] == born + STEP_S
    assert json.loads(dead[1]) == reading(born + STEP_S, clock="corrected")


def test_gaps_are_told_in_corrected_times(path: Path, clock: FakeClock) -> None:
    """Of what was shed or thinned between a step and its rewriting."""
    sent = {"value": 1.5, "unit": "celsius"}
    with CloudSyncQueue(path, clock=clock) as queue:
        right = clock.wall() + STEP_S
        queue.enqueue_many([Submission(reading(clock.wall()) | sent)] * 3)
        queue.enqueue_many([Submission({"x": n}, Priority.LOGS) for n in range(2)])
        clock.step(STEP_S)
        queue.tick()
        with queue._store.write() as db:
            shedding.Shedder().logs(db, 2, frozenset())
        assert thinning.thin(queue._store, frozenset())[0] == 1
        with queue._store.write() as db:
            shedding.Shedder().any(db, 1, frozenset())
    assert stored(path, "SELECT * FROM gaps ORDER BY sensor, why") == [
        ("t", "shed", 1, right, right),
        ("t", "thinned", 1, right, right),
        ("unknown", "shed", 2, right, right),
    ]


def test_step_unbooked_at_a_kill_is_found_by_a_boot_that_stored_nothing(
    path: Path, clock: FakeClock
) -> None:
    """Rows of an earlier boot keep their age, whenever the step becomes known to the file."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()), ttl_seconds=100)
    clock.reboot()
    with CloudSyncQueue(path, clock=clock) as queue:
        clock.step(STEP_S)
        assert queue.now() == clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        assert [age for *_, age in seen(queue)] == [0.0]


def test_first_opening_of_a_boot_needs_no_room_to_write(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card filled by somebody else is still read from, and what stands there sent."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()))
    clock.reboot()
    monkeypatch.setattr("edge_agent.cloud_sync.timeline.keep", full)
    with CloudSyncQueue(path, clock=clock) as queue:
        assert len(seen(queue)) == 1


def test_pending_readings_are_corrected_by_whoever_learns_of_the_step_first(
    path: Path, clock: FakeClock
) -> None:
    """The poller, told by ``tick``; or the queue, at a commit that comes before it."""
    with CloudSyncQueue(path, clock=clock) as queue:
        pending = Pending(queue, commit_interval_s=1, say=Told(), committed=lambda: None)
        born = clock.wall()
        pending.add(Submission(reading(born)), 0.0)
        clock.step(STEP_S)
        pending.commit(0.0)
        (step,) = queue.tick()
        pending.add(Submission(reading(born)), 0.0)
        pending.correct(step.wall_s)
        pending.commit(0.0)
        assert [row[1:3] for row in seen(queue)] == [("corrected", born + STEP_S)] * 2


@pytest.mark.parametrize(
    "text",
    [
        '["unsynced"]',
        '"unsynced"',
        '{"metadata":["unsynced"]}',
        '{"metadata":{"clock":["unsynced"]}}',
        '{"metadata":{"clock":{"clock":"unsynced"}}}',
        '{"clock":"unsynced"',
        '{"metadata":{"clock":"unsynced"},"x":"\\ud800"}',
        '{"x":"unsynced","y":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_text_that_no_agent_stamped_is_rewritten_as_it_is(
    path: Path, clock: FakeClock, text: str
) -> None:
    """Raw SQL stores what it likes; one odd row must not hold up the others' correction."""
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue_many([Submission(reading(clock.wall()))] * 2)
        with queue._store.write() as db:
            db.execute("UPDATE sync_queue SET payload = ? WHERE id = 2", (text,))
        clock.step(STEP_S)
        queue.upkeep()
        (first,), (second,) = stored(path, "SELECT payload FROM sync_queue ORDER BY id")
        assert '"corrected"' in first
        assert second == text


def test_time_too_great_for_a_float_stays() -> None:
    """JSON has no limit, and floats have."""
    payload = {"timestamp": 10**400, "metadata": {"clock": "unsynced"}}
    assert correction.moved(payload, 0.5) == {**payload, "metadata": {"clock": "corrected"}}


def test_stored_blob_is_left_alone() -> None:
    """The column's affinity changes no BLOB."""
    assert correction.moved_text(b'"unsynced"', 1.0) == b'"unsynced"'  # type: ignore[arg-type]


@pytest.mark.parametrize("synchronized", [True, False])
def test_boot_that_comes_up_with_the_right_clock_moves_earlier_boots_ages(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, *, synchronized: bool
) -> None:
    """No step is seen, also where no flag tells that the clock is right; rows keep their age."""
    monkeypatch.setattr(correction, "SLICE_ROWS", 2)
    monkeypatch.setattr(correction, "_SLICES", 1)
    born = clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue_many([Submission(reading(born), ttl_s=1000)] * 3)
        clock.advance(50)
        queue.enqueue(reading(clock.wall()), ttl_seconds=1000)
    clock.reboot(wall=clock.wall() + STEP_S, synchronized=synchronized)
    expected = [(n, "unsynced", born, 50.0) for n in (1, 2, 3)] + [(4, "unsynced", born + 50, 0.0)]
    for _ in range(4):
        with CloudSyncQueue(path, clock=clock) as queue:
            assert seen(queue) == expected
            queue.upkeep()
            assert seen(queue) == expected
            assert queue.tick() == []
    assert stored(path, "SELECT * FROM clock_steps") == []


def test_step_after_such_a_boot_moves_what_is_moved_already_once_more(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two records stand for the same rows, each half done; ages hold, and each payload its own."""
    monkeypatch.setattr(correction, "SLICE_ROWS", 1)
    monkeypatch.setattr(correction, "_SLICES", 1)
    born = clock.wall()
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue_many([Submission(reading(born), ttl_s=1000)] * 2)
    clock.reboot(wall=born + STEP_S)
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue(reading(clock.wall()), ttl_seconds=1000)
        queue.upkeep()
        clock.step(DAY_S)
        expected = [
            (1, "unsynced", born, 0.0),
            (2, "unsynced", born, 0.0),
            (3, "corrected", born + STEP_S + DAY_S, 0.0),
        ]
        for _ in range(8):
            assert seen(queue) == expected
            queue.upkeep()
        assert stored(path, "SELECT * FROM clock_steps") == []
        assert seen(queue) == expected


def test_boot_whose_clock_is_right_leaves_rows_of_such_boots_their_times(path: Path) -> None:
    """They were timed: with the power off they have aged."""
    clock = FakeClock()
    with CloudSyncQueue(path, clock=clock) as queue:
        queue.enqueue({}, ttl_seconds=1000)
    clock.reboot(wall=clock.wall() + 999, synchronized=True)
    with CloudSyncQueue(path, clock=clock) as queue:
        assert queue.now() - queue.dequeue()[0].created_at == 999
        clock.advance(1)
        assert queue.upkeep() == 1
