"""What waits in front of the queue: shared commits, a store that is down, bounds."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import damage
from fakes.clock import FakeClock
from fakes.told import Told

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.rows import stored_form
from edge_agent.daemon.pending import LONGEST_PAUSE_S, STATE_S, Pending
from edge_agent.errors import QueueFull, StoreError
from edge_agent.types import Priority, Submission


class Commits(CloudSyncQueue):
    """A queue that notes what came in one call, and can be told to refuse."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.commits: list[list[Any]] = []
        #: monotonic seconds of each refusal
        self.tries: list[float] = []
        self.down = False
        #: takes nothing but what is urgent
        self.full = False

    def enqueue_many(self, submissions: Any, states: Any = None) -> list[int]:
        if self.down:
            self.tries.append(self._clock.monotonic())
            raise StoreError("q.db: database or disk is full (SQLITE_FULL)", reason="SQLITE_FULL")
        new = [stored_form(submission) for submission in submissions]
        if self.full and any(row.priority > Priority.ANOMALY for row in new):
            raise QueueFull("q.db is full")
        ids = super().enqueue_many(submissions, states)
        self.commits.append([submission.payload["n"] for submission in submissions])
        return ids


class Bench:
    def __init__(self, path: Path, clock: FakeClock, capacity: int = 1000) -> None:
        self.clock = clock
        self.queue = Commits(path / "q.db", durability="normal", clock=clock)
        self.told = Told()
        self.woken = 0
        self.pending = self.new_pending(capacity)

    def new_pending(self, capacity: int = 1000) -> Pending:
        return Pending(
            self.queue,
            commit_interval_s=1.0,
            say=self.told,
            committed=self._wake,
            capacity=capacity,
        )

    def _wake(self) -> None:
        self.woken += 1

    @property
    def commits(self) -> list[list[Any]]:
        return self.queue.commits

    def add(self, *numbers: Any, priority: Priority = Priority.TELEMETRY) -> None:
        for number in numbers:
            self.pending.add(Submission({"n": number}, priority), self.clock.monotonic())

    def run(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while (due := self.pending.step(self.clock.monotonic())) <= end:
            self.clock.advance(max(due - self.clock.monotonic(), 0.0))
        self.clock.advance(end - self.clock.monotonic())

    def waiting(self) -> list[Any]:
        return [submission.payload["n"] for submission in self.pending._waiting]


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


def test_pending_readings_within_the_interval_share_a_commit(bench: Bench) -> None:
    """Counted from the first of them; the flusher is woken once."""
    bench.add(1)
    bench.run(0.6)
    bench.add(2)
    bench.run(0.3)
    assert bench.commits == []
    bench.run(0.2)
    assert (bench.commits, bench.woken) == ([[1, 2]], 1)
    bench.add(3)
    bench.run(1.1)
    assert (bench.commits, bench.pending.committed_total) == ([[1, 2], [3]], 3)


@pytest.mark.parametrize("priority", [Priority.CRITICAL, Priority.ANOMALY])
def test_pending_urgent_reading_commits_at_once_with_all_that_waits(
    bench: Bench, priority: Priority
) -> None:
    """One commit: an alarm is no reason to wear the card twice."""
    bench.add(1, 2)
    bench.add("fire", priority=priority)
    bench.run(0)
    assert bench.commits == [[1, 2, "fire"]]


def test_pending_with_nothing_in_it_is_never_due(bench: Bench) -> None:
    """No wake-up for nothing."""
    assert bench.pending.step(bench.clock.monotonic()) == float("inf")
    assert bench.pending.commit(bench.clock.monotonic())


def test_pending_store_down_is_told_once_retried_with_pauses_and_healed(bench: Bench) -> None:
    """Nothing is lost below the bound, and nothing is stored twice."""
    bench.queue.down = True
    for number in range(200):
        bench.add(number, priority=Priority.ANOMALY if number % 7 == 0 else Priority.TELEMETRY)
        bench.run(1)
    gaps = [round(b - a) for a, b in itertools.pairwise(bench.queue.tries)]
    assert gaps == [1, 2, 4, 8, 16] + [LONGEST_PAUSE_S] * 5
    assert bench.told.events == ["store_degraded"]
    assert "room=1000" in bench.told.lines[0][1]
    bench.queue.down = False
    bench.run(LONGEST_PAUSE_S)
    assert bench.commits == [list(range(200))]
    assert [level for level, _ in bench.told.lines] == [logging.ERROR, logging.INFO + 5]
    assert bench.told.events == ["store_degraded", "store_recovered"]
    bench.queue.down = True
    bench.add(201)
    bench.run(1)
    assert bench.told.events[2:] == ["store_degraded"]


def test_pending_full_drops_the_oldest_of_the_least_urgent_and_counts(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Logs first, then telemetry, then anomalies; a newcomer has no right over what is urgent."""
    bench = Bench(tmp_path, clock, capacity=6)
    bench.queue.down = True
    bench.add("c1", priority=Priority.CRITICAL)
    bench.add("t1", "t2")
    bench.add("l1", priority=Priority.LOGS)
    bench.add("a1", "a2", priority=Priority.ANOMALY)
    bench.add("t3")
    assert bench.waiting() == ["c1", "t1", "t2", "a1", "a2", "t3"]
    bench.add("a3", "a4", priority=Priority.ANOMALY)
    assert bench.waiting() == ["c1", "a1", "a2", "t3", "a3", "a4"]
    bench.add("l2", priority=Priority.LOGS)
    assert bench.waiting() == ["c1", "a1", "a2", "t3", "a3", "a4"]
    bench.add("a5", "c2", priority=Priority.ANOMALY)
    assert bench.waiting() == ["c1", "a2", "a3", "a4", "a5", "c2"]
    assert bench.pending.dropped_total == 6
    bench.queue.close()


def test_pending_payload_that_cannot_be_stored_does_not_hold_up_the_rest(bench: Bench) -> None:
    """It is dropped, counted and told: once, however often it comes; the rest is one commit."""
    for _ in range(3):
        bench.add(1, float("nan"), 2)
        bench.run(1.1)
    assert bench.commits == [[1, 2]] * 3
    assert (bench.pending.dropped_total, bench.pending.committed_total) == (3, 6)
    assert bench.told.events == ["payload_refused"]


def test_pending_payload_that_cannot_be_stored_is_no_reason_to_tear_a_state_from_its_reading(
    bench: Bench,
) -> None:
    """A kill between two commits would leave a total in the queue that the next run is below."""
    kept: list[Any] = []
    bench.pending.remember("pulse:water", 7, bench.clock.monotonic())
    bench.add(1, float("nan"), 2)
    enqueue_many = bench.queue.enqueue_many

    def look(submissions: Any, states: Any = None) -> list[int]:
        ids = enqueue_many(submissions, states)
        kept.append((len(ids), bench.queue.memory.load("pulse:water")))
        return ids

    bench.queue.enqueue_many = look  # type: ignore[method-assign]  # looks after each commit
    bench.run(1.1)
    assert kept == [(2, 7)]


def test_pending_bad_payload_in_front_of_a_full_queue_leaves_the_urgent_to_be_stored(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Both at once: neither may end the poller's step."""
    bench = Bench(tmp_path, clock)
    bench.queue.full = True
    bench.add(1, float("nan"))
    bench.add(2, priority=Priority.CRITICAL)
    bench.run(1.1)
    assert (bench.commits, bench.pending.dropped_total) == ([[2]], 2)
    assert bench.told.events == ["payload_refused", "queue_full"]
    bench.queue.close()


def test_pending_inherits_in_order_and_counts_on(bench: Bench) -> None:
    """A reload: what the former could not store is stored by the next one."""
    bench.queue.down = True
    bench.add(1, float("nan"), 2)
    bench.run(5)
    former, bench.pending = bench.pending, bench.new_pending()
    bench.pending.inherit(former, bench.clock.monotonic())
    bench.add(3)
    bench.queue.down = False
    bench.run(1.1)
    assert bench.commits == [[1, 2, 3]]
    assert len(former) == 0


# -- states ---------------------------------------------------------------------------------------


def test_pending_state_is_kept_in_the_commit_of_what_it_belongs_to(bench: Bench) -> None:
    """Neither is in the file without the other."""
    bench.pending.remember("pulse:water", {"count": 7}, bench.clock.monotonic())
    bench.add(1)
    bench.run(0.9)
    assert bench.queue.memory.load("pulse:water") is None
    bench.run(0.2)
    assert (bench.commits, bench.queue.memory.load("pulse:water")) == ([[1]], {"count": 7})


def test_pending_state_alone_waits_and_is_then_kept_by_itself(bench: Bench) -> None:
    """A counter whose readings are held back by a deadband is no reason for a commit a second."""
    for count in range(59):
        bench.pending.remember("pulse:water", count, bench.clock.monotonic())
        bench.run(STATE_S / 60)
    assert bench.commits == []
    bench.run(STATE_S / 60)
    assert (bench.commits, bench.queue.memory.load("pulse:water")) == ([[]], 58)


def test_pending_state_that_is_the_same_is_not_written_again(bench: Bench) -> None:
    """Nor is it after a restart, where it was asked for."""
    bench.queue.memory.save("line:door", [1])
    assert bench.pending.recall("line:door") == [1]
    bench.pending.remember("line:door", [1], bench.clock.monotonic())
    assert bench.pending.step(bench.clock.monotonic()) == float("inf")
    bench.pending.remember("line:door", [2], bench.clock.monotonic())
    bench.pending.remember("line:door", [1], bench.clock.monotonic())
    bench.run(STATE_S + 1)
    assert (bench.pending.recall("line:door"), bench.queue.memory.load("line:door")) == ([1], [1])


def test_pending_state_survives_a_store_that_is_down_and_a_reload(bench: Bench) -> None:
    """The next configuration's poller knows what the card does not yet."""
    bench.queue.down = True
    bench.pending.remember("pulse:water", 7, bench.clock.monotonic())
    bench.add(1)
    bench.run(5)
    former, bench.pending = bench.pending, bench.new_pending()
    bench.pending.inherit(former, bench.clock.monotonic())
    assert bench.pending.recall("pulse:water") == 7
    bench.queue.down = False
    bench.run(STATE_S)
    assert (bench.commits, bench.queue.memory.load("pulse:water")) == ([[1]], 7)


def test_pending_state_is_kept_beside_a_payload_that_cannot_be_stored(bench: Bench) -> None:
    """The one has nothing to do with the other."""
    bench.pending.remember("pulse:water", 7, bench.clock.monotonic())
    bench.add(float("nan"))
    bench.run(1.1)
    assert bench.queue.memory.load("pulse:water") == 7


def test_pending_state_is_kept_anew_in_the_file_that_takes_a_damaged_ones_place(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A meter that stands still says nothing new, and its total must not begin anew."""
    path = tmp_path / "q.db"
    queue = CloudSyncQueue(path, durability="normal", clock=clock, unattended=True)
    told = Told()
    pending = Pending(queue, commit_interval_s=1.0, say=told, committed=lambda: None)
    pending.remember("pulse:water", 7, clock.monotonic())
    pending.add(Submission({"n": 1}), clock.monotonic())
    assert pending.commit(clock.monotonic())
    damage.folded(path)
    damage.pages(path, 0, path.stat().st_size // damage.PAGE)
    pending.add(Submission({"n": 2}), clock.monotonic())
    for _ in range(100):
        clock.advance(max(0.0, pending.step(clock.monotonic()) - clock.monotonic()))
        if not len(pending):
            break
    pending.step(clock.monotonic())
    assert told.events == ["store_degraded", "store_recovered"]
    assert queue.memory.load("pulse:water") == 7
    assert pending.step(clock.monotonic()) == float("inf")
    queue.close()
