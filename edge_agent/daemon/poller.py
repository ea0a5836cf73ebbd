"""The poller: gives sensors their turn, and hands on what they say. Nothing here waits.

What takes time is a job for a reader thread (`readers`), whose turn it is says `schedule`, and what
becomes of a measurement `intake`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.intake import Intake
from edge_agent.daemon.journal import Say
from edge_agent.daemon.readers import Job, Readers, Result
from edge_agent.daemon.schedule import HANG_S, Schedule, Slot
from edge_agent.errors import SensorError, StoreError
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority, SensorReading


class Poller:
    """Reads sensors and commits readings. One thread calls `step`; others may call `offer`."""

    def __init__(
        self,
        slots: Sequence[Slot],
        readers: Readers,
        intake: Intake,
        queue: CloudSyncQueue,
        clock: Clock,
        *,
        say: Say,
        let_go: Callable[[], None] = lambda: None,
    ) -> None:
        """Put the parts together; the first measurements are spread over each interval.

        Args:
            slots: the sensors.
            readers: who calls the drivers.
            intake: who takes what they measured.
            queue: asked for steps of the clock.
            clock: the machine's.
            say: where changes of state are told.
            let_go: called when the readers have ended; closes the buses.
        """
        self.slots = {slot.plan.name: slot for slot in slots}
        self.intake = intake
        # By identity: a third party's may count as equal, or be in no dictionary.
        self._by_sensor = {id(slot.sensor): slot for slot in slots}
        self._schedule = Schedule(slots, clock.monotonic())
        self._readers = readers
        self._queue = queue
        self._clock = clock
        self._say = say
        self._let_go = let_go

    @property
    def overruns_total(self) -> int:
        """Missed ticks of all sensors."""
        return sum(slot.overruns for slot in self.slots.values())

    def offer(self, reading: SensorReading, priority: Priority) -> None:
        """Hand a reading in from another thread; stored at the next step."""
        self.intake.offer(reading, priority)

    def step(self, now: float) -> float:
        """Start what is due, take in what has come, commit.

        Args:
            now: monotonic seconds.

        Returns:
            when to be called next, monotonic seconds; earlier when a reader has a result.
        """
        self._tell_steps(now)
        for sensor in self._readers.announced():
            if slot := self._by_sensor.get(id(sensor)):
                self._schedule.hurry(slot, now)
        for slot, fetch in self._schedule.ready(now):
            restored = None if slot.driver_restored else self.intake.recalled(slot)
            self._readers.submit(Job(slot.plan.name, slot.sensor, fetch, restored))
        self._take_results(now)
        for slot in self._schedule.stuck(now):
            text = f"no answer on {slot.sensor.bus_name} for {HANG_S:.0f} s"
            self.intake.failed(slot, SensorError(text, reason="hang"), now)
        return min(self.intake.step(now), self._schedule.next_due())

    def inherit(self, former: Poller) -> None:
        """Take over another poller's counts, faults and uncommitted readings.

        For a reload of the configuration; the other one has finished.
        """
        self.intake.inherit(former.intake, self._clock.monotonic())

    def finish(self) -> None:
        """Let the readers go, take in what has come, and commit what waits; for a stop."""
        self._readers.close()
        self._let_go()
        now = self._clock.monotonic()
        self._take_results(now)
        self.intake.finish(now)

    def _take_results(self, now: float) -> None:
        for result in self._readers.results():
            self._take(self.slots[result.name], result, now)

    def _take(self, slot: Slot, result: Result, now: float) -> None:
        """Go on with what a reader's job came to."""
        slot.driver_restored = slot.driver_restored or result.restored
        if result.wait_s is not None:
            self._schedule.waits(slot, result.wait_s, now)
            return
        self._schedule.ended(slot, now)
        # Until it knows what it knew before, its state is no state to be kept.
        if result.state is not None and slot.driver_restored:
            self.intake.remember(slot.owner, result.state, now)
        if result.measurements is not None:
            slot.failures = 0
            self.intake.measured(slot, result.measurements, result.returned_at, now)
        elif result.error is not None:
            self._schedule.failed(slot, now)
            self.intake.failed(slot, result.error, now)

    def _tell_steps(self, now: float) -> None:
        """Have the queue look at the clock, which writes; sensors are read whether it can or not.

        While the store is down it is not asked: it keeps the steps it sees until it is, and
        corrects what is handed to it before that.
        """
        # What other threads stamped before a step must be there to be corrected.
        self.intake.take_offered(now)
        if self.intake.pending.trouble:
            return
        with contextlib.suppress(StoreError):
            for step in self._queue.tick():
                self.intake.step_of_clock(step.wall_s, now, first=step.first)
                line = event("clock_step", wall_s=round(step.wall_s, 1), first=step.first)
                self._say(NOTICE, line)
