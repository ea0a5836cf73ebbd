"""Every sensor once: triggered, waited for, read; each bus in a thread, as the agent does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from edge_agent.clock import Clock
from edge_agent.daemon.readers import Job, Readers, Result
from edge_agent.daemon.schedule import HANG_S, Slot
from edge_agent.processing.channel import Outgoing, Quality
from edge_agent.types import Measurement, SensorReading


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one sensor."""

    #: its configured name
    name: str
    readings: Sequence[SensorReading] = ()
    #: what is wrong, by the sensor's or a channel's name
    faults: dict[str, str] = dataclasses.field(default_factory=dict)


class Round:
    """Reads sensors once, without a schedule; what does not answer is given up."""

    def __init__(
        self,
        slots: Sequence[Slot],
        readers: Readers,
        clock: Clock,
        recall: Callable[[str], Any] = lambda _owner: None,
    ) -> None:
        """Begin with every trigger at its reader.

        Args:
            slots: the sensors, of different names.
            readers: who calls the drivers.
            clock: the machine's.
            recall: what the driver of this owner knew when the agent stopped; None: nothing.
        """
        self.outcomes: dict[str, Outcome] = {}
        self._slots = {slot.plan.name: slot for slot in slots}
        self._readers = readers
        self._clock = clock
        self._recall = recall
        #: monotonic seconds at which a conversion is over
        self._fetches: dict[str, float] = {}
        #: when a bus got its first job or last gave a sign of life: its sensors stand in line
        self._heard: dict[str, float] = {}
        #: those with a job at a reader
        self._away: set[str] = set()
        for name in self._slots:
            self._send(name, fetch=False)

    def run(self, wait: Callable[[float], None]) -> list[Outcome]:
        """Wait for all of them; what became of each, in their order.

        Args:
            wait: waits for so many seconds, or for a reader to have a result.
        """
        while len(self.outcomes) < len(self._slots):
            due = self.step(self._clock.monotonic())
            wait(max(due - self._clock.monotonic(), 0.0))
        return [self.outcomes[name] for name in self._slots]

    def step(self, now: float) -> float:
        """Go on with what has come in, what is due, and who is stuck.

        Args:
            now: monotonic seconds.

        Returns:
            when to be called next, monotonic seconds; earlier when a reader has a result.
        """
        for name in [name for name, due in self._fetches.items() if due <= now]:
            del self._fetches[name]
            self._send(name, fetch=True)
        for result in self._readers.results():
            if result.name in self._away:
                self._take(result, now)
        for name in [name for name in self._away if self._given_up_at(name) <= now]:
            bus = self._slots[name].sensor.bus_name
            self._end(Outcome(name, faults={name: f"no answer on {bus} for {HANG_S:.0f} s"}))
        if len(self.outcomes) == len(self._slots):
            return now
        return min([*self._fetches.values(), *map(self._given_up_at, self._away)])

    def _send(self, name: str, *, fetch: bool) -> None:
        slot = self._slots[name]
        known = (self._recall(slot.owner),) if slot.sensor.keeps_state and not fetch else None
        bus = slot.sensor.bus_name
        if not any(self._slots[other].sensor.bus_name == bus for other in self._away):
            self._heard[bus] = self._clock.monotonic()
        self._away.add(name)
        self._readers.submit(Job(name, slot.sensor, fetch, known))

    def _take(self, result: Result, now: float) -> None:
        slot = self._slots[result.name]
        self._heard[slot.sensor.bus_name] = now
        self._away.discard(result.name)
        if result.wait_s is not None:
            self._fetches[result.name] = now + result.wait_s
        elif result.error is not None:
            self._end(Outcome(result.name, faults={result.name: str(result.error)}))
        else:
            self._end(self._shaped(slot, result.measurements or (), now))

    def _shaped(self, slot: Slot, measurements: Sequence[Measurement], now: float) -> Outcome:
        wall, synchronized = self._clock.wall(), self._clock.synchronized()
        shaped = slot.line.take(measurements, now, wall, synchronized=synchronized)
        return Outcome(
            slot.plan.name,
            [one.reading for one in shaped if isinstance(one, Outgoing)],
            {
                one.name: one.detail or one.fault
                for one in shaped
                if isinstance(one, Quality) and one.fault
            },
        )

    def _given_up_at(self, name: str) -> float:
        return self._heard[self._slots[name].sensor.bus_name] + HANG_S

    def _end(self, outcome: Outcome) -> None:
        self._away.discard(outcome.name)
        self.outcomes[outcome.name] = outcome
