"""Sensors and reader threads that do what a test tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_agent.daemon.readers import Job, Result
from edge_agent.daemon.schedule import Slot
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.pipeline import SensorPlan
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement


class ScriptedSensor(Sensor):
    """Reads, one after the other, what it was made with; the last one for ever.

    A value becomes a measurement, an exception is raised, a list is returned, a function is called.
    """

    bus_name = "scripted"

    def __init__(self, *reads: Any, wait_s: Any = 0.0, bus: str = "scripted") -> None:
        self.reads = list(reads) or [1.0]
        self.wait_s = wait_s
        self.bus_name = bus
        self.calls: list[str] = []

    def trigger(self) -> float:
        self.calls.append("trigger")
        return self.wait_s  # type: ignore[no-any-return]  # a test may return nonsense on purpose

    def read(self) -> Sequence[Measurement]:
        self.calls.append("read")
        said = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if isinstance(said, BaseException):
            raise said
        if callable(said):
            return said()  # type: ignore[no-any-return]  # a test may return nonsense on purpose
        if isinstance(said, list):
            return said
        return [Measurement("", said, "celsius")]

    def close(self) -> None:
        self.calls.append("close")


class StuckReaders:
    """Takes jobs and never answers, but for those a test answers itself."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.answers: list[Result] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def results(self) -> list[Result]:
        answers, self.answers = self.answers, []
        return answers

    def announced(self) -> list[Sensor]:
        return []

    def announce(self, sensor: Sensor) -> None: ...

    def close(self) -> None: ...


def slot(
    name: str,
    sensor: Sensor | None = None,
    interval_s: float = 10.0,
    channels: dict[str, ChannelPlan] | None = None,
    **metadata: Any,
) -> Slot:
    """One sensor for a poller; of one channel if nothing is said."""
    plans = channels if channels is not None else {"": ChannelPlan(name)}
    return Slot(SensorPlan(name, plans, metadata), sensor or ScriptedSensor(), interval_s)
