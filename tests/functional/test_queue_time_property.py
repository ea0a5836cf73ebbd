"""Any sequence of enqueue, step, wait, nack, restart and reboot: a row lives its TTL, no more.

A row's age is the time that `FakeClock.advance` adds up since it was queued, and the time without
power where the clock was right at both ends of it.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge_agent.cloud_sync import correction
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.types import Priority

DAY_S = 86_400.0
TTL_S = (300, 3600)


@dataclasses.dataclass
class Known:
    """What the model knows of a row."""

    priority: Priority
    ttl_s: int
    born: float
    due: float
    #: whether the clock was right when it was queued, or has been set since
    timed: bool


class QueueTimeModel(RuleBasedStateMachine):
    """The queue against real time; slices of two rows, so that most steps find one half done."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(correction, "SLICE_ROWS", 2)
        self.patch.setattr(correction, "_SLICES", 1)
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "q.db"
        self.behind_s = 3 * DAY_S
        self.clock = FakeClock(synchronized=False)
        self.queue = CloudSyncQueue(self.path, clock=self.clock, durability="normal")
        self.real = 0.0
        self.rows: dict[int, Known] = {}

    def teardown(self) -> None:
        self.queue.close()
        self.directory.cleanup()
        self.patch.undo()

    @rule(
        priority=st.sampled_from([Priority.ANOMALY, Priority.TELEMETRY]),
        ttl_s=st.sampled_from(TTL_S),
        items=st.integers(1, 4),
    )
    def enqueue(self, priority: Priority, ttl_s: int, items: int) -> None:
        for _ in range(items):
            number = self.queue.enqueue({}, priority, ttl_s)
            self.rows[number] = Known(priority, ttl_s, self.real, self.real, not self.behind_s)

    @rule(seconds=st.sampled_from([1.0, 50.0, 200.0, 2000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.real += seconds

    @precondition(lambda self: self.behind_s)
    @rule()
    def set_right(self) -> None:
        """A row that was timed has aged while the power was off; the others keep their age."""
        self.clock.step(self.behind_s)
        for row in self.rows.values():
            if row.timed:
                row.born -= self.behind_s
                row.due -= self.behind_s
            row.timed = True
        self.behind_s = 0.0

    @rule(data=st.data(), delay_s=st.sampled_from([0.0, 60.0]))
    def nack(self, data: st.DataObject, delay_s: float) -> None:
        alive = sorted(n for n, row in self.rows.items() if self.age_s(row) < row.ttl_s)
        ids = data.draw(st.lists(st.sampled_from(alive), max_size=3)) if alive else []
        self.queue.note_request(ids)
        self.queue.nack(ids, delay_s)
        for number in ids:
            self.rows[number].due = self.real + delay_s

    @rule()
    def upkeep(self) -> None:
        """A round or two of it, and what has outlived its TTL is gone."""
        self.queue.upkeep()
        self.queue.upkeep()
        with self.queue._store.read() as db:
            kept = {number for (number,) in db.execute("SELECT id FROM sync_queue")}
        assert not kept & {n for n, row in self.rows.items() if self.age_s(row) >= row.ttl_s}

    @rule()
    def restart(self) -> None:
        self.queue.close()
        self.queue = CloudSyncQueue(self.path, clock=self.clock, durability="normal")

    @rule(off_s=st.sampled_from([10.0, 10 * DAY_S]))
    def reboot(self, off_s: float) -> None:
        """With the clock where it stopped: the time without power is nobody's."""
        self.queue.enqueue({}, Priority.LOGS, 10)
        self.queue.close()
        self.behind_s += off_s
        self.clock.reboot()
        self.queue = CloudSyncQueue(self.path, clock=self.clock, durability="normal")
        self.queue.enqueue({}, Priority.LOGS, 10)

    @rule(off_s=st.sampled_from([10.0, 10 * DAY_S]))
    def reboot_with_the_right_clock(self, off_s: float) -> None:
        """Nobody sees a step; a row whose clock was right has aged, the others keep their age."""
        self.queue.enqueue({}, Priority.LOGS, 10)
        self.queue.close()
        self.clock.reboot(wall=self.clock.wall() + self.behind_s + off_s, synchronized=True)
        for row in self.rows.values():
            if row.timed:
                row.born -= self.behind_s + off_s
                row.due -= self.behind_s + off_s
            row.timed = True
        self.behind_s = 0.0
        self.queue = CloudSyncQueue(self.path, clock=self.clock, durability="normal")

    def age_s(self, row: Known) -> float:
        return self.real - row.born

    @invariant()
    def rows_live_their_ttl_and_go_in_order(self) -> None:
        found = {p: [] for p in Priority}
        for item in self.queue.dequeue(1000):
            found[item.priority].append(item.id)
        sent = set(found[Priority.ANOMALY] + found[Priority.TELEMETRY])
        fresh = {n for n, r in self.rows.items() if r.due <= self.real}
        assert sent == {n for n in fresh if self.age_s(self.rows[n]) < self.rows[n].ttl_s}
        for numbers in found.values():
            tidy = [n for n in numbers if n in self.rows and self.rows[n].due == self.rows[n].born]
            assert tidy == sorted(tidy)


TestQueueTime = pytest.mark.fault(
    "clock",
    "by minutes",
    "by days",
    "while running",
    "while stopped",
    "before and after a reboot",
    how="any sequence of steps, waits, restarts and reboots, drawn by hypothesis",
    part="the queue, on a simulated clock",
)(QueueTimeModel.TestCase)
