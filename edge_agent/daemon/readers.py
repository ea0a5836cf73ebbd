"""Reader threads: one per bus, so that a stuck wire stalls its bus alone.

The poller hands a job over and goes on; the result comes back through a queue. A sensor has at
most one job under way, which bounds both queues.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from edge_agent.clock import Clock
from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

#: The longest wait a driver may ask for between `trigger` and `read`; more is a mistake in it.
LONGEST_WAIT_S = 60.0
# What a date can say: 9999-12-31T23:59:59Z (RFC 3339, section 1); further off is no time.
_MOST_S = 253_402_300_799
#: How long threads are waited for that are to end: time to close their sensors.
ENDS_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One call of a driver."""

    #: the sensor's public name
    name: str
    sensor: Sensor
    #: False: start a measurement; True: fetch it
    fetch: bool
    #: what the sensor is to go on from, in a tuple of one; None: it knows already
    restored: tuple[Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a job came to: one of the first three, or for a sensor that was closed its state."""

    name: str
    #: seconds until the measurement can be fetched
    wait_s: float | None = None
    #: what was measured, just when the driver returned it
    measurements: Sequence[Measurement] | None = None
    #: when that was, monotonic seconds
    returned_at: float = 0.0
    #: why there is none
    error: SensorError | None = None
    #: what must outlive a restart; None where nothing must
    state: Any = None
    #: whether the sensor has taken what it was to go on from
    restored: bool = False


class Readers(Protocol):
    """Runs jobs; the daemon's in threads, a simulation's on the spot."""

    def submit(self, job: Job) -> None:
        """Run the job; its result comes out of `results`, sooner or later."""

    def results(self) -> list[Result]:
        """The results that have come in since the last call, oldest first."""

    def announce(self, sensor: Sensor) -> None:
        """A sensor has something to be read now; called from any thread, however often."""

    def announced(self) -> list[Sensor]:
        """Who announced something since the last call."""

    def close(self) -> None:
        """Stop, and close the sensors; what is stuck in a driver is left behind."""


def run(job: Job, clock: Clock) -> Result:
    """One job, start to end. A failed sensor is closed, so that its next job sets it up anew.

    A driver may raise and return anything, a third party's most of all: what breaks the contract of
    `edge_agent.sensors.base.Sensor` becomes a `SensorError`.
    """
    outcome = _guarded(functools.partial(_call, job, clock))
    if isinstance(outcome, Result):
        return outcome
    _guarded(job.sensor.close)
    return Result(job.name, error=outcome)


def _guarded(act: Callable[[], _T]) -> _T | SensorError:
    """What ``act``, a call of a driver, returns; the error where it raised."""
    try:
        return act()
    except SensorError as exc:
        reason = exc.reason if isinstance(exc.reason, str) else "driver"
        return SensorError(_words(exc), reason=reason)
    except Exception as exc:  # noqa: BLE001  # a driver may raise anything, and the reader must live on
        _log.debug("driver_raised", exc_info=True)
        return SensorError(f"{type(exc).__name__}: {_words(exc)}", reason="driver")


def _words(exc: Exception) -> str:
    """What it says; to ask a driver's is a call of the driver, and may raise."""
    return str(_guarded(functools.partial(str, exc)))


def _call(job: Job, clock: Clock) -> Result:
    """Trigger, and read if that need not wait."""
    sensor, restored = job.sensor, job.restored is not None
    if job.restored is not None:
        sensor.restore(*job.restored)
    if not job.fetch:
        wait_s = sensor.trigger()
        if wait_s > LONGEST_WAIT_S:
            raise ValueError(f"trigger() asks for {wait_s} s, more than {LONGEST_WAIT_S:.0f} s")
        if wait_s > 0.0:
            return Result(job.name, wait_s=wait_s, restored=restored)
    measurements = [_checked(measured) for measured in sensor.read()]
    return Result(
        job.name,
        measurements=measurements,
        returned_at=clock.monotonic(),
        state=_state(sensor),
        restored=restored,
    )


def _state(sensor: Sensor) -> Any:
    """What must outlive a restart, as it was just now: the driver may go on changing its own."""
    return json.loads(json.dumps(sensor.state())) if sensor.keeps_state else None


def _closed(sensors: Mapping[str, Sensor]) -> Iterator[Result]:
    """Close the sensors; yields their last states, where they keep one."""
    for name, sensor in sensors.items():
        _guarded(sensor.close)
        state = _guarded(functools.partial(_state, sensor))
        if state is not None and not isinstance(state, SensorError):
            yield Result(name, state=state)


class _Announced:
    """Who has something to be read; bounded by the number of sensors."""

    def __init__(self) -> None:
        # By identity: a third party's may count as equal, or be in no set.
        self._sensors: dict[int, Sensor] = {}

    def add(self, sensor: Sensor) -> bool:
        """Note it, from any thread; returns whether it is news."""
        news = id(sensor) not in self._sensors
        # One step of the interpreter, as `popitem` is: no lock that a callback could wait for.
        self._sensors[id(sensor)] = sensor
        return news

    def take(self) -> list[Sensor]:
        """Who was noted, and forget them."""
        return [self._sensors.popitem()[1] for _ in range(len(self._sensors))]


def _checked(measured: Measurement) -> Measurement:
    """The measurement, if it is what the contract says; the value is looked at later.

    Raises:
        TypeError, ValueError: it is not.
    """
    for name in ("channel", "unit", "fault", "detail"):
        if not isinstance(getattr(measured, name), str):
            raise TypeError(f"read() returns a {name} that is no text")
    if not isinstance(measured.metadata, Mapping):
        raise TypeError("read() returns metadata that are no mapping")
    timestamp = 0.0 if measured.timestamp is None else measured.timestamp
    for name, seconds in (("age", measured.age_s), ("timestamp", timestamp)):
        # Others count as finite too, and cannot be reckoned with: Decimal, Fraction.
        if not isinstance(seconds, int | float):
            raise TypeError(f"read() returns a {name} that is no number")
        # (False of what is no number, too.)
        if not abs(seconds) <= _MOST_S:
            raise ValueError(f"read() returns a {name} beyond the year 9999")
    return measured


class InlineReaders:
    """Runs each job at once, in the caller's thread; for simulations and tests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._results: list[Result] = []
        self._sensors: dict[str, Sensor] = {}
        self._announced = _Announced()

    def submit(self, job: Job) -> None:
        """Run the job now."""
        self._sensors[job.name] = job.sensor
        self._results.append(run(job, self._clock))

    def results(self) -> list[Result]:
        """All results since the last call."""
        results, self._results = self._results, []
        return results

    def announce(self, sensor: Sensor) -> None:
        """Note it for the next `announced`."""
        self._announced.add(sensor)

    def announced(self) -> list[Sensor]:
        """Who announced something since the last call."""
        return self._announced.take()

    def close(self) -> None:
        """Close the sensors."""
        self._results.extend(_closed(self._sensors))


class BusReaders:
    """One thread per bus, started when the bus is first used."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        """Begin without threads.

        Args:
            clock: stamps the measurements.
            wake: called when a result is there, or a sensor announces one.
        """
        self._clock = clock
        self._wake = wake
        self._jobs: dict[str, queue.SimpleQueue[Job | None]] = {}
        self._threads: list[threading.Thread] = []
        self._ending = False
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._announced = _Announced()

    def submit(self, job: Job) -> None:
        """Put the job in its bus's line."""
        bus = job.sensor.bus_name
        if bus not in self._jobs:
            self._jobs[bus] = queue.SimpleQueue()
            # A daemon thread: one that hangs in the kernel must not keep the process alive.
            thread = threading.Thread(
                target=self._work, args=(self._jobs[bus],), name=f"reader-{bus}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        self._jobs[bus].put(job)

    def results(self) -> list[Result]:
        """All results since the last call."""
        return [self._results.get_nowait() for _ in range(self._results.qsize())]

    def announce(self, sensor: Sensor) -> None:
        """Note it, and wake the poller if that is news."""
        if self._announced.add(sensor):
            self._wake()

    def announced(self) -> list[Sensor]:
        """Who announced something since the last call."""
        return self._announced.take()

    def close(self) -> None:
        """Let every thread end after the job it is at, and wait a moment for that.

        So whoever comes next finds pins and buses free.
        """
        self._ending = True
        for jobs in self._jobs.values():
            jobs.put(None)
        deadline = time.monotonic() + ENDS_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, jobs: queue.SimpleQueue[Job | None]) -> None:
        sensors: dict[str, Sensor] = {}
        while (job := jobs.get()) is not None and not self._ending:
            sensors[job.name] = job.sensor
            self._results.put(run(job, self._clock))
            self._wake()
        for result in _closed(sensors):
            self._results.put(result)
