"""Whose turn it is: the sensors' deadlines, and where each of them stands.

Deadlines are on the monotonic clock: ``next += interval``; a tick that was missed is counted as an
overrun and skipped, never made up in a burst. A sensor that fails is left alone for longer each
time; one that has something to tell has its turn at once.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Iterator, Sequence

from edge_agent.processing.pipeline import SensorLine, SensorPlan
from edge_agent.sensors.base import Sensor
from edge_agent.types import SensorReading

#: A driver that has not answered for this long is stuck: a hung I2C line holds an ioctl for a
#: second, three tries of it and a 1-wire conversion are still well.
HANG_S = 10.0
#: Over how much of a longer interval the first measurements are spread: who starts the agent wants
#: to see every sensor soon.
SPREAD_S = 10.0
#: From the beginning of a measurement to that of one out of turn, at the least: who announces for
#: ever must not take the processor from the others.
REST_S = 0.05
#: The longest pause between tries of a faulty sensor.
LONGEST_PAUSE_S = 300.0


@dataclasses.dataclass(slots=True)
class Slot:
    """One sensor and where it stands."""

    plan: SensorPlan
    sensor: Sensor
    interval_s: float
    #: whose state the driver's is, in the queue's file: ``pulse:water``
    owner: str = ""
    #: what its measurements go through
    line: SensorLine = dataclasses.field(init=False)
    #: whether the driver, and the line, know what they knew before the restart
    driver_restored: bool = False
    line_restored: bool = False
    #: monotonic seconds since which a job has been with the reader; None: none is
    job_since: float | None = None
    #: monotonic seconds at which the newest measurement began
    begun_at: float = -math.inf
    #: whether a measurement is under way, its wait included
    measuring: bool = False
    #: whether that one was not the schedule's but its own announcement
    hurried: bool = False
    #: whether it has announced something since the measurement that is under way began
    again: bool = False
    #: failures in a row
    failures: int = 0
    #: monotonic seconds before which a faulty sensor is left alone
    pause_until: float = 0.0
    #: ticks that came while a measurement was still under way
    overruns: int = 0
    #: the probe that was measured last, where there are several that could be
    probe_id: str = ""
    #: the last reading of each public name
    last: dict[str, SensorReading] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.line = SensorLine(self.plan)


class Schedule:
    """When each sensor is triggered and fetched. Used by the poller's thread alone."""

    def __init__(self, slots: Sequence[Slot], start: float) -> None:
        """Spread the first measurements over each sensor's interval, or `SPREAD_S` of it.

        What happens by itself is missed until the first one, so who watches comes at once.

        Args:
            slots: the sensors.
            start: monotonic seconds.
        """
        self._count = itertools.count()
        self._due = [
            (start + _first_s(slot) * index / len(slots), next(self._count), slot, False)
            for index, slot in enumerate(slots)
        ]
        heapq.heapify(self._due)
        #: those that are to have a turn out of turn, by name
        self._hurried: dict[str, Slot] = {}
        #: those with a job at a reader
        self._away: dict[str, Slot] = {}
        #: when a bus last gave an answer: the jobs that stand in line behind it are not stuck
        self._heard: dict[str, float] = {}

    def next_due(self) -> float:
        """Monotonic seconds at which there is something to begin, or somebody is stuck."""
        stuck = map(self._stuck_at, self._away.values())
        rested = (slot.begun_at + REST_S for slot in self._hurried.values())
        tick = self._due[0][0] if self._due else math.inf
        return min((tick, *stuck, *rested))

    def ready(self, now: float) -> Iterator[tuple[Slot, bool]]:
        """Those whose job begins now, and whether it is to fetch what was triggered before."""
        while self._due and self._due[0][0] <= now:
            due, _, slot, fetch = heapq.heappop(self._due)
            if fetch:
                yield self._sent(slot, now), True
            elif self._ticks(slot, due, now):
                yield self._begun(slot, now), False
        for slot in [s for s in self._hurried.values() if s.begun_at + REST_S <= now]:
            slot.hurried = True
            yield self._begun(slot, now), False

    def hurry(self, slot: Slot, now: float) -> None:
        """Let a sensor have its turn out of turn; its rhythm stays as it is."""
        if slot.measuring:
            slot.again = True
        elif now >= slot.pause_until:
            self._hurried[slot.plan.name] = slot

    def waits(self, slot: Slot, wait_s: float, now: float) -> None:
        """The reader is through with a trigger; the measurement can be fetched in ``wait_s``."""
        self._returned(slot, now)
        heapq.heappush(self._due, (now + wait_s, next(self._count), slot, True))

    def ended(self, slot: Slot, now: float) -> None:
        """The measurement is over, whatever came of it."""
        self._returned(slot, now)
        slot.measuring = slot.hurried = False
        if slot.again:
            slot.again = False
            self.hurry(slot, now)

    def failed(self, slot: Slot, now: float) -> None:
        """The measurement came to nothing: leave the sensor alone for longer each time."""
        pause_s = slot.interval_s * 2.0 ** min(slot.failures, 32)
        slot.failures += 1
        # Half a tick less, so that the tick at the end of the pause is not missed for a moment.
        slot.pause_until = now + min(pause_s, LONGEST_PAUSE_S) - slot.interval_s / 2
        slot.again = False

    def stuck(self, now: float) -> list[Slot]:
        """Those whose driver has not answered for too long, each told once."""
        found = [slot for slot in self._away.values() if now >= self._stuck_at(slot)]
        for slot in found:
            slot.job_since = math.inf
        return found

    def _begun(self, slot: Slot, now: float) -> Slot:
        """A measurement begins; one that waits for its turn is served by it."""
        self._hurried.pop(slot.plan.name, None)
        slot.begun_at = now
        return self._sent(slot, now)

    def _sent(self, slot: Slot, now: float) -> Slot:
        slot.measuring, slot.job_since = True, now
        self._away[slot.plan.name] = slot
        return slot

    def _stuck_at(self, slot: Slot) -> float:
        """When one with a job at its reader counts as stuck; never, if that was told."""
        since = math.inf if slot.job_since is None else slot.job_since
        return max(since, self._heard.get(slot.sensor.bus_name, -math.inf)) + HANG_S

    def _returned(self, slot: Slot, now: float) -> None:
        self._heard[slot.sensor.bus_name] = now
        slot.job_since = None
        self._away.pop(slot.plan.name, None)

    def _ticks(self, slot: Slot, due: float, now: float) -> bool:
        """Plan the next tick, count those that were missed; whether this one is to be used."""
        missed = int((now - due) // slot.interval_s)
        next_due = due + (missed + 1) * slot.interval_s
        heapq.heappush(self._due, (next_due, next(self._count), slot, False))
        slot.overruns += missed
        if slot.measuring and slot.hurried:
            # It is read just now, and once more for the tick.
            slot.again = True
        elif slot.measuring:
            slot.overruns += 1
        return not slot.measuring and now >= slot.pause_until


def _first_s(slot: Slot) -> float:
    """Over how many seconds its first measurement is spread."""
    return 0.0 if slot.sensor.watches else min(slot.interval_s, SPREAD_S)
