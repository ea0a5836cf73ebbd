"""What becomes of a measurement: its sensor's line, faults, privacy, and what waits for the queue.

Everything that is stored goes through `Intake`, the agent's own readings included, so that none of
it misses its labels, its mark of the clock and what privacy asks for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from edge_agent.clock import Clock
from edge_agent.daemon.journal import Say
from edge_agent.daemon.pending import Pending
from edge_agent.daemon.schedule import Slot
from edge_agent.errors import SensorError, StoreError
from edge_agent.events import NOTICE, event
from edge_agent.processing.channel import Quality, Shaped
from edge_agent.processing.fault_history import FaultHistory, Moment
from edge_agent.processing.faults import FAULT, REPLACED, FaultBook
from edge_agent.processing.pipeline import marked
from edge_agent.types import Measurement, Priority, SensorReading, Submission

# Whose state it is: the faults that the far end was told of, those that ever were, a line, the
# probe that measured last. A driver's is its type's, and a plugin may be called anything but this.
_FAULTS, _HISTORY = "agent.faults", "agent.fault_history"
_LINE, _PROBE = "agent.line", "agent.probe"
#: Submissions from other threads that wait at the most; the oldest give way.
MOST_OFFERED = 100


class Intake:
    """Takes measurements, failures and the agent's own readings. Thread-safe is `offer` alone."""

    def __init__(
        self,
        slots: Sequence[Slot],
        pending: Pending,
        clock: Clock,
        *,
        ttl_s: Mapping[Priority, int],
        labels: Mapping[str, Any],
        say: Say,
        shield: Callable[[SensorReading], SensorReading] = lambda reading: reading,
    ) -> None:
        """Begin with all sensors well.

        Args:
            slots: the sensors.
            pending: where readings gather for a commit.
            clock: the machine's.
            ttl_s: how long a reading of each priority keeps, in seconds.
            labels: metadata of the agent's own readings.
            say: where changes of state are told.
            shield: takes out of a reading what nobody is to know.
        """
        self.pending = pending
        self.faults = FaultBook()
        #: what the journal says of each fault, by the faulty one's name; not of those from before
        #: a restart, until they show again
        self.details: dict[str, str] = {}
        self.history = FaultHistory()
        #: sensors whose past faults are still to be known again
        self._unrecalled = [*slots]
        self._faults_restored = False
        #: faulty since before the restart, of which this run's journal says nothing yet
        self._unsaid: set[str] = set()
        #: readings handed over for storing, the agent's own included
        self.read_total = 0
        self._clock = clock
        self._ttl_s = ttl_s
        self._labels = labels
        self._say = say
        self._shield = shield
        self._offered: deque[tuple[SensorReading, Priority]] = deque(maxlen=MOST_OFFERED)
        self._slots = slots
        #: when the clock moves an alarm or a window of theirs, by name; with many sensors, asking
        #: each of them at each step would be most of the poller's work
        self._due: dict[str, tuple[float, Slot]] = {}

    # -- readings ------------------------------------------------------------------------------

    def offer(self, reading: SensorReading, priority: Priority) -> None:
        """Hand a reading in from another thread; stored at the next step."""
        self._offered.append((reading, priority))

    def take_offered(self, now: float) -> None:
        """Submit what other threads handed in, with the labels of this agent."""
        while self._offered:
            reading, priority = self._offered.popleft()
            metadata = {**self._labels, **reading.metadata}
            self._submit(dataclasses.replace(reading, metadata=metadata), priority, now)

    def measured(
        self, slot: Slot, measurements: Sequence[Measurement], returned_at: float, now: float
    ) -> None:
        """Shape and submit what a sensor measured; it is well.

        Args:
            slot: the sensor.
            measurements: what its driver returned.
            returned_at: when it did, monotonic seconds.
            now: monotonic seconds.
        """
        self._recall_line(slot, now)
        self._look_for_another_probe(slot, measurements, now)
        synchronized = self._clock.synchronized()
        # Reckoned back only here: the wall clock may have been set since the driver returned.
        wall = self._clock.wall() - (self._clock.monotonic() - returned_at)
        every = slot.line.take(measurements, returned_at, wall, synchronized=synchronized)
        # A sensor of one channel has but one name: what that says is said below.
        if slot.plan.name not in {shaped.name for shaped in every if isinstance(shaped, Quality)}:
            self._quality(slot, slot.plan.name, "", "", now)
        self._pass_on(slot, every, now)

    def failed(self, slot: Slot, error: SensorError, now: float) -> None:
        """The measurement is missed."""
        self._recall_line(slot, now)
        reason = error.reason or "failed"
        self._quality(slot, slot.plan.name, reason, str(error), now)
        self._pass_on(slot, slot.line.fail(now), now)

    def step(self, now: float) -> float:
        """Take what was offered, let alarms and windows run out, commit what is due.

        Returns:
            when to be called next, monotonic seconds.
        """
        self._recall_faults(now)
        self._recall_histories(now)
        self.take_offered(now)
        for slot in [slot for due, slot in self._due.values() if due <= now]:
            wall, synchronized = self._clock.wall(), self._clock.synchronized()
            self._pass_on(slot, slot.line.tick(now, wall, synchronized=synchronized), now)
        due = min((due for due, _ in self._due.values()), default=math.inf)
        return min(due, self.pending.step(now))

    def step_of_clock(self, wall_step_s: float, now: float, *, first: bool) -> None:
        """The wall clock was set: no window goes on over it, and what waits is corrected.

        Args:
            wall_step_s: by how much.
            now: monotonic seconds.
            first: whether the times before it were wrong.
        """
        self._close_windows(now)
        if first:
            self.pending.correct(wall_step_s)
            self.history.correct(wall_step_s)
            for slot in self._slots:
                self._keep_history(slot, now)

    def finish(self, now: float) -> None:
        """Close what is open, and commit everything."""
        self._close_windows(now)
        self.take_offered(now)
        self.pending.commit(now)

    def inherit(self, former: Intake, now: float) -> None:
        """Take over the counts, what waits, and the faults; those of sensors that went are over."""
        self.read_total = former.read_total
        self.pending.inherit(former.pending, now)
        self.faults, self._unsaid = former.faults, former._unsaid
        self.details = former.details
        self.history = former.history
        self._faults_restored = former._faults_restored
        self._end_faults_of_others(now)

    def _close_windows(self, now: float) -> None:
        for slot in self._slots:
            self._pass_on(slot, slot.line.close(now), now)

    def _pass_on(self, slot: Slot, every: Iterable[Shaped], now: float) -> None:
        """Submit readings, tell of faults, and keep what the line must know after a restart."""
        for shaped in every:
            if isinstance(shaped, Quality):
                self._quality(slot, shaped.name, shaped.fault, shaped.detail, now)
            else:
                shown = self._submit(shaped.reading, shaped.priority, now)
                slot.last[shown.sensor_name] = shown
        self._note_due(slot)
        # Until it knows what it knew before, its state is no state to be kept.
        if slot.line_restored and slot.line.keeps_state:
            self.remember(f"{_LINE}:{slot.plan.name}", slot.line.state(), now)

    def _note_due(self, slot: Slot) -> None:
        """Note when the clock is to move something of this one next."""
        due = slot.line.due()
        if due < math.inf:
            self._due[slot.plan.name] = due, slot
        else:
            self._due.pop(slot.plan.name, None)

    def _submit(self, reading: SensorReading, priority: Priority, now: float) -> SensorReading:
        """Hand a reading over for storing; returns it as anybody may see it."""
        self.read_total += 1
        shown = self._shield(reading)
        self.pending.add(Submission(shown.to_dict(), priority, self._ttl_s[priority]), now)
        return shown

    # -- what outlives a restart ---------------------------------------------------------------

    def remember(self, owner: str, state: Any, now: float) -> None:
        """Keep a state, in the commit of what was submitted last."""
        self.pending.remember(owner, state, now)

    def recalled(self, slot: Slot) -> tuple[Any] | None:
        """What its driver is to go on from; None where it keeps nothing, or nobody knows yet."""
        if not slot.sensor.keeps_state:
            return None
        with contextlib.suppress(StoreError):
            return (self.pending.recall(slot.owner),)
        return None

    def _recall_line(self, slot: Slot, now: float) -> None:
        """Let a line know its alarms and what was reported last; later, if they cannot be read yet.

        The worst of that is that an alarm is told twice.
        """
        if slot.line_restored or self.pending.trouble:
            return
        with contextlib.suppress(StoreError):
            state = self.pending.recall(f"{_LINE}:{slot.plan.name}")
            slot.line.restore(state, now, self._clock.wall())
            slot.line_restored = True

    def _recall_faults(self, now: float) -> None:
        """Know again which faults the far end was told of; twice, if they cannot be read yet."""
        if self._faults_restored or self.pending.trouble:
            return
        with contextlib.suppress(StoreError):
            state = self.pending.recall(_FAULTS)
            faulty = state if isinstance(state, dict) else {}
            self._unsaid = faulty.keys() - self.faults.faulty.keys()
            self.faults.restore(faulty)
            self._faults_restored = True
            self._end_faults_of_others(now)

    def _recall_histories(self, now: float) -> None:
        """Know again which faults the sensors had; later, if they cannot be read yet."""
        while self._unrecalled and not self.pending.trouble:
            slot = self._unrecalled[-1]
            name = slot.plan.name
            if name not in self.history.restored:
                try:
                    state = self.pending.recall(f"{_HISTORY}:{name}")
                except StoreError:
                    return
                self.history.restore(name, state, self._moment())
                # Its sensor was not configured for a while, and that ended it.
                self.history.end_others(name, self.faults.faulty, self._moment())
                self._keep_history(slot, now)
            self._unrecalled.pop()

    def _look_for_another_probe(
        self, slot: Slot, measurements: Iterable[Measurement], now: float
    ) -> None:
        """Tell when another probe measures than did before, also before the restart."""
        probes = (measured.metadata.get("probe_id", "") for measured in measurements)
        probe_id = self._shown_probe(next(filter(None, probes), ""))
        if not probe_id or probe_id == slot.probe_id:
            return
        owner = f"{_PROBE}:{slot.plan.name}"
        with contextlib.suppress(StoreError):
            former = slot.probe_id or self.pending.recall(owner)
            slot.probe_id = probe_id
            self.remember(owner, probe_id, now)
            if former and former != probe_id:
                self._tell_replaced(slot, former, probe_id, now)

    def _shown_probe(self, probe_id: str) -> str:
        """A probe's id as anybody may see it: it is told, and kept, outside of any reading too."""
        if not probe_id:
            return ""
        bearer = SensorReading(REPLACED, self._clock.wall(), 1, "", {"probe_id": probe_id})
        shown = self._shield(bearer).metadata.get("probe_id")
        return shown if isinstance(shown, str) else ""

    # -- telling -------------------------------------------------------------------------------

    def _tell_replaced(self, slot: Slot, old: str, new: str, now: float) -> None:
        self._say(NOTICE, event("sensor_replaced", sensor=slot.plan.name, old=old, new=new))
        probes = {"sensor": slot.plan.name, "old": old, "new": new}
        reading = SensorReading(REPLACED, self._clock.wall(), 1, "", self._own(slot) | probes)
        self._submit(reading, Priority.ANOMALY, now)

    def _quality(self, slot: Slot, name: str, reason: str, detail: str, now: float) -> None:
        """Tell the journal and the far end when a sensor, or a channel, becomes faulty or well."""
        self._recall_faults(now)
        reading = self.faults.report(
            name, reason, now, timestamp=self._clock.wall(), metadata=self._own(slot)
        )
        if reason and detail:
            self.details[name] = detail
        elif reason or name not in self.faults.faulty:
            self.details.pop(name, None)
        if reason and (reading or name in self._unsaid):
            self._say(logging.WARNING, event("sensor_faulty", sensor=name, reason=detail or reason))
        elif reading:
            self._say(NOTICE, event("sensor_recovered", sensor=name))
        self._unsaid.discard(name)
        if reading:
            self._note_fault(slot, name, reason, now)
            self._tell_fault(reading, now)

    def _end_faults_of_others(self, now: float) -> None:
        """Tell that a fault is over whose sensor is no longer configured: nobody else will."""
        for name in [*self.faults.faulty]:
            if not any(slot.plan.bears(name) for slot in self._slots):
                metadata = marked(self._labels, synchronized=self._clock.synchronized())
                ended = {"sensor": name, "reason": self.faults.forget(name)}
                self.details.pop(name, None)
                self._say(NOTICE, event("sensor_removed", sensor=name))
                reading = SensorReading(FAULT, self._clock.wall(), 0, "", metadata | ended)
                self._tell_fault(reading, now)

    def _tell_fault(self, reading: SensorReading, now: float) -> None:
        self._submit(reading, Priority.ANOMALY, now)
        if self._faults_restored:
            self.remember(_FAULTS, dict(self.faults.faulty), now)

    def _note_fault(self, slot: Slot, name: str, reason: str, now: float) -> None:
        """Write down that a fault began, or is over where there is no reason."""
        if reason:
            self.history.began(slot.plan.name, name, reason, self._moment())
        else:
            self.history.ended(slot.plan.name, name, self._moment())
        self._keep_history(slot, now)

    def _keep_history(self, slot: Slot, now: float) -> None:
        name = slot.plan.name
        if name in self.history.restored:
            self.remember(f"{_HISTORY}:{name}", self.history.told(name), now)

    def _moment(self) -> Moment:
        return Moment(self._clock.wall(), self._clock.synchronized())

    def _own(self, slot: Slot) -> dict[str, Any]:
        """The metadata of what the agent itself says of a sensor."""
        return marked(slot.plan.metadata, synchronized=self._clock.synchronized())
