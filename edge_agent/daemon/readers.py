"""Reader threads: one per bus, so that a stuck wire stalls its bus alone.

The poller hands a job over and goes on; the result comes back through a queue. A sensor has at
most one job under way, which bounds both queues.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One call of a driver."""

    #: the sensor's public name
    name: str
    sensor: Sensor
    #: False: start a measurement; True: fetch it
    fetch: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a job came to: exactly one of the three is there."""

    name: str
    #: seconds until the measurement can be fetched
    wait_s: float | None = None
    #: what was measured, each with its time
    measurements: Sequence[Measurement] | None = None
    #: why there is none
    error: SensorError | None = None


class Readers(Protocol):
    """Runs jobs; the daemon's in threads, a simulation's on the spot."""

    def submit(self, job: Job) -> None:
        """Run the job; its result comes out of `results`, sooner or later."""

    def results(self) -> list[Result]:
        """The results that have come in since the last call, oldest first."""

    def close(self) -> None:
        """Stop; what is stuck in a driver is left behind."""


def run(job: Job, clock: Clock) -> Result:
    """One job, start to end. A failed sensor is closed, so that its next job sets it up anew.

    A driver may raise anything, a third party's most of all: it becomes a `SensorError`.
    """
    try:
        if not job.fetch:
            wait_s = job.sensor.trigger()
            if wait_s > 0.0:
                return Result(job.name, wait_s=wait_s)
        stamped = [_stamped(m, clock.wall()) for m in job.sensor.read()]
        return Result(job.name, measurements=stamped)
    except SensorError as exc:
        error = exc
    except Exception as exc:  # noqa: BLE001  # a driver may raise anything, and the reader must live on
        _log.debug("driver_raised sensor=%s", job.name, exc_info=True)
        error = SensorError(f"{type(exc).__name__}: {exc}", reason="driver")
    job.sensor.close()
    return Result(job.name, error=error)


def _stamped(measurement: Measurement, wall: float) -> Measurement:
    """The measurement with its time: the driver's own, or now."""
    if measurement.timestamp is not None:
        return measurement
    return dataclasses.replace(measurement, timestamp=wall)


class InlineReaders:
    """Runs each job at once, in the caller's thread; for simulations and tests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._results: list[Result] = []

    def submit(self, job: Job) -> None:
        """Run the job now."""
        self._results.append(run(job, self._clock))

    def results(self) -> list[Result]:
        """All results since the last call."""
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        """Nothing to stop."""


class BusReaders:
    """One thread per bus, started when the bus is first used."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        """Begin without threads.

        Args:
            clock: stamps the measurements.
            wake: called when a result is there.
        """
        self._clock = clock
        self._wake = wake
        self._jobs: dict[str, queue.SimpleQueue[Job | None]] = {}
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def submit(self, job: Job) -> None:
        """Put the job in its bus's line."""
        bus = job.sensor.bus_name
        if bus not in self._jobs:
            self._jobs[bus] = queue.SimpleQueue()
            # A daemon thread: one that hangs in the kernel must not keep the process alive.
            threading.Thread(
                target=self._work, args=(self._jobs[bus],), name=f"reader-{bus}", daemon=True
            ).start()
        self._jobs[bus].put(job)

    def results(self) -> list[Result]:
        """All results since the last call."""
        return [self._results.get_nowait() for _ in range(self._results.qsize())]

    def close(self) -> None:
        """Let every thread end after the job it is at."""
        for jobs in self._jobs.values():
            jobs.put(None)

    def _work(self, jobs: queue.SimpleQueue[Job | None]) -> None:
        while (job := jobs.get()) is not None:
            self._results.put(run(job, self._clock))
            self._wake()
