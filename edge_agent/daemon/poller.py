"""The poller: everything left of the queue file. Deadlines, readers, processing, commits.

Deadlines are on the monotonic clock: ``next += interval``; a tick that was missed is counted as an
overrun and skipped, never made up in a burst. Nothing here waits: what takes time is a job for a
reader thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.journal import Say
from edge_agent.daemon.pending import Pending
from edge_agent.daemon.readers import Job, Readers, Result
from edge_agent.errors import SensorError, StoreError
from edge_agent.events import NOTICE, event
from edge_agent.processing.faults import FaultBook
from edge_agent.processing.pipeline import SensorPlan, marked, shape
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement, Priority, SensorReading, Submission

#: A driver that has not answered for this long is stuck: a hung I2C line holds an ioctl for a
#: second, three tries of it and a 1-wire conversion are still well.
HANG_S = 10.0
#: The longest pause between tries of a faulty sensor.
LONGEST_PAUSE_S = 300.0
#: Submissions from other threads that wait at the most; the oldest give way.
MOST_OFFERED = 100


@dataclasses.dataclass(slots=True)
class Slot:
    """One sensor and where it stands."""

    plan: SensorPlan
    sensor: Sensor
    interval_s: float
    #: monotonic seconds since which a job has been with the reader; None: none is
    job_since: float | None = None
    #: whether a measurement is under way, its wait included
    measuring: bool = False
    #: failures in a row
    failures: int = 0
    #: monotonic seconds before which a faulty sensor is left alone
    pause_until: float = 0.0
    #: ticks that came while a measurement was still under way
    overruns: int = 0
    #: the last reading of each public name
    last: dict[str, SensorReading] = dataclasses.field(default_factory=dict)


class Poller:
    """Reads sensors and commits readings. One thread calls `step`; others may call `offer`."""

    def __init__(
        self,
        slots: Sequence[Slot],
        readers: Readers,
        pending: Pending,
        queue: CloudSyncQueue,
        clock: Clock,
        *,
        ttl_s: Mapping[Priority, int],
        labels: Mapping[str, Any],
        say: Say,
        let_go: Callable[[], None] = lambda: None,
    ) -> None:
        """Put the parts together; the first measurements are spread over each interval.

        Args:
            slots: the sensors.
            readers: who calls the drivers.
            pending: where readings gather for a commit.
            queue: asked for steps of the clock.
            clock: the machine's.
            ttl_s: how long a reading of each priority keeps, in seconds.
            labels: metadata of the agent's own readings.
            say: where changes of state are told.
            let_go: called when the readers have ended; closes the buses.
        """
        self.slots = {slot.plan.name: slot for slot in slots}
        self.faults = FaultBook()
        #: readings handed over for storing, the agent's own included
        self.read_total = 0
        self._readers = readers
        self._pending = pending
        self._queue = queue
        self._clock = clock
        self._ttl_s = ttl_s
        self._labels = labels
        self._say = say
        self._let_go = let_go
        self._offered: deque[tuple[SensorReading, Priority]] = deque(maxlen=MOST_OFFERED)
        self._count = itertools.count()
        start = clock.monotonic()
        self._due = [
            (start + slot.interval_s * index / len(slots), next(self._count), slot, False)
            for index, slot in enumerate(slots)
        ]
        heapq.heapify(self._due)

    @property
    def overruns_total(self) -> int:
        """Missed ticks of all sensors."""
        return sum(slot.overruns for slot in self.slots.values())

    def offer(self, reading: SensorReading, priority: Priority) -> None:
        """Hand a reading in from another thread; stored at the next step."""
        self._offered.append((reading, priority))

    def step(self, now: float) -> float:
        """Start what is due, take in what has come, commit.

        Args:
            now: monotonic seconds.

        Returns:
            when to be called next, monotonic seconds; earlier when a reader has a result.
        """
        self._tell_steps(now)
        while self._due and self._due[0][0] <= now:
            due, _, slot, fetch = heapq.heappop(self._due)
            self._begin(slot, due, now, fetch=fetch)
        for result in self._readers.results():
            self._take(self.slots[result.name], result, now)
        for slot in self.slots.values():
            if slot.job_since is not None and now >= slot.job_since + HANG_S:
                self._hung(slot, now)
        self._take_offered(now)
        return min(self._pending.step(now), self._next_due())

    def inherit(self, former: Poller) -> None:
        """Take over another poller's counts, faults and uncommitted readings.

        For a reload of the configuration; the other one has finished.
        """
        self.read_total = former.read_total
        names = {name for slot in self.slots.values() for name in slot.plan.names()}
        kept = {name: why for name, why in former.faults.faulty.items() if name in names}
        self.faults.faulty.update(kept)
        self._pending.inherit(former._pending, self._clock.monotonic())

    def finish(self) -> None:
        """Let the readers go, take in what has come, and commit what waits; for a stop."""
        self._readers.close()
        self._let_go()
        now = self._clock.monotonic()
        for result in self._readers.results():
            self._take(self.slots[result.name], result, now)
        self._take_offered(now)
        self._pending.commit(now)

    def _take_offered(self, now: float) -> None:
        """Submit what other threads handed in, with the labels of this agent."""
        while self._offered:
            reading, priority = self._offered.popleft()
            metadata = {**self._labels, **reading.metadata}
            self._submit(dataclasses.replace(reading, metadata=metadata), priority, now)

    def _next_due(self) -> float:
        hangs = (s.job_since + HANG_S for s in self.slots.values() if s.job_since is not None)
        return min(self._due[0][0] if self._due else float("inf"), min(hangs, default=float("inf")))

    def _begin(self, slot: Slot, due: float, now: float, *, fetch: bool) -> None:
        """Give a sensor's job to its reader, or count the tick as missed."""
        if not fetch:
            missed = int((now - due) // slot.interval_s)
            self._schedule(slot, due + (missed + 1) * slot.interval_s)
            slot.overruns += missed + int(slot.measuring)
            if slot.measuring or now < slot.pause_until:
                return
        slot.measuring, slot.job_since = True, now
        self._readers.submit(Job(slot.plan.name, slot.sensor, fetch))

    def _schedule(self, slot: Slot, due: float, *, fetch: bool = False) -> None:
        heapq.heappush(self._due, (due, next(self._count), slot, fetch))

    def _take(self, slot: Slot, result: Result, now: float) -> None:
        """Go on with what a reader's job came to."""
        slot.job_since = None
        if result.wait_s is not None:
            self._schedule(slot, now + result.wait_s, fetch=True)
            return
        slot.measuring = False
        if result.measurements is not None:
            self._measured(slot, result.measurements, now)
        elif result.error is not None:
            self._failed(slot, result.error, now)

    def _measured(self, slot: Slot, measurements: Iterable[Measurement], now: float) -> None:
        """Shape and submit what a sensor measured; it is well."""
        slot.failures = 0
        every = shape(slot.plan, measurements, synchronized=self._clock.synchronized())
        # A sensor of one channel has but one name: what that says is said below.
        if slot.plan.name not in {shaped.name for shaped in every}:
            self._quality(slot.plan.name, "", "", slot.plan.metadata, now)
        for shaped in every:
            detail = "the value is outside what was declared valid" if shaped.fault else ""
            self._quality(shaped.name, shaped.fault, detail, slot.plan.metadata, now)
            if shaped.reading is not None:
                slot.last[shaped.name] = shaped.reading
                self._submit(shaped.reading, Priority.TELEMETRY, now)

    def _failed(self, slot: Slot, error: SensorError, now: float) -> None:
        """The measurement is missed; leave the sensor alone for longer each time."""
        pause_s = slot.interval_s * 2.0 ** min(slot.failures, 32)
        slot.failures += 1
        # Half a tick less, so that the tick at the end of the pause is not missed for a moment.
        slot.pause_until = now + min(pause_s, LONGEST_PAUSE_S) - slot.interval_s / 2
        reason = error.reason or "failed"
        self._quality(slot.plan.name, reason, str(error), slot.plan.metadata, now)

    def _hung(self, slot: Slot, now: float) -> None:
        """The driver does not come back: everything else goes on, and it may yet."""
        text = f"no answer on {slot.sensor.bus_name} for {HANG_S:.0f} s"
        self._quality(slot.plan.name, "hang", text, slot.plan.metadata, now)
        slot.job_since = float("inf")

    def _quality(
        self, name: str, reason: str, detail: str, metadata: Mapping[str, Any], now: float
    ) -> None:
        """Tell the journal and the far end when a sensor becomes faulty or well."""
        synchronized = self._clock.synchronized()
        reading = self.faults.report(
            name,
            reason,
            timestamp=self._clock.wall(),
            metadata=marked(metadata, synchronized=synchronized),
        )
        if reading is None:
            return
        if reason:
            self._say(logging.WARNING, event("sensor_faulty", sensor=name, reason=detail or reason))
        else:
            self._say(NOTICE, event("sensor_recovered", sensor=name))
        self._submit(reading, Priority.ANOMALY, now)

    def _submit(self, reading: SensorReading, priority: Priority, now: float) -> None:
        self.read_total += 1
        self._pending.add(Submission(reading.to_dict(), priority, self._ttl_s[priority]), now)

    def _tell_steps(self, now: float) -> None:
        """Have the queue look at the clock, which writes; sensors are read whether it can or not.

        While the store is down it is not asked: it keeps the steps it sees until it is, and
        corrects what is handed to it before that.
        """
        # What other threads stamped before a step must be there to be corrected.
        self._take_offered(now)
        if self._pending.trouble:
            return
        with contextlib.suppress(StoreError):
            for step in self._queue.tick():
                if step.first:
                    self._pending.correct(step.wall_s)
                line = event("clock_step", wall_s=round(step.wall_s, 1), first=step.first)
                self._say(NOTICE, line)
