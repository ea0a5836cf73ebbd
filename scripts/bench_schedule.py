"""How well sensors keep their times, among others that hang, fail and flap.

Fifty good ones at ten a second on five buses, real reader threads, and a real queue file that
commits as the agent's does. The error of a tick is how much later its driver was called than the
schedule says.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_agent.clock import SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.intake import Intake
from edge_agent.daemon.pending import Pending
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.readers import BusReaders
from edge_agent.daemon.schedule import HANG_S, Slot
from edge_agent.daemon.worker import Worker
from edge_agent.errors import SensorError
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.pipeline import SensorPlan
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement, Priority

GOOD, BUSES, INTERVAL_S = 50, 5, 0.1
#: The wait between trigger and read, as a chip's conversion is.
CONVERSION_S = 0.004


class Good(Sensor):
    """Notes when it is triggered."""

    def __init__(self, bus: str) -> None:
        self.bus_name = bus
        self.triggered: list[float] = []

    def trigger(self) -> float:
        """Note when."""
        self.triggered.append(time.monotonic())
        return CONVERSION_S

    def read(self) -> Sequence[Measurement]:
        """Always the same."""
        return [Measurement("", 4.5, "celsius")]

    def close(self) -> None:
        """Nothing to let go of."""


class Bad(Good):
    """Fails, or hangs, as it is told."""

    def __init__(self, bus: str, act: Callable[[int], None]) -> None:
        super().__init__(bus)
        self._act = act
        self._count = itertools.count()

    def read(self) -> Sequence[Measurement]:
        """What is left of it."""
        self._act(next(self._count))
        return super().read()


def fail(_count: int) -> None:
    """No answer, ever."""
    raise SensorError("no answer", reason="nack")


def flap(count: int) -> None:
    """An answer every second time."""
    if count % 2:
        raise SensorError("no answer", reason="nack")


def say(_level: int, _line: str) -> None:
    """Changes of state are not what is measured."""


class Run:
    """All of them in one poller, for so many seconds."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._ends = threading.Event()
        self.good = {f"good{n}": Good(f"bus{n % BUSES}") for n in range(GOOD)}
        self._slots = [
            Slot(SensorPlan(name, {"": ChannelPlan(name)}), sensor, INTERVAL_S)
            for name, sensor in (self.good | self._bad()).items()
        ]
        clock = SystemClock()
        with CloudSyncQueue(path, durability="full", clock=clock) as queue:
            pending = Pending(queue, commit_interval_s=1.0, say=say, committed=lambda: None)
            ttl_s = dict.fromkeys(Priority, 86_400)
            intake = Intake(self._slots, pending, clock, ttl_s=ttl_s, labels={}, say=say)
            readers = BusReaders(clock, lambda: self._worker.wake())  # noqa: PLW0108  # made below
            self._start = clock.monotonic()
            self.poller = Poller(self._slots, readers, intake, queue, clock, say=say)
            self._worker = Worker("poller", self.poller.step, clock, patience_s=60.0)
            self._worker.start()
            time.sleep(seconds)
            self.faulty = sorted(intake.faults.faulty)
            self._ends.set()
            self._worker.stop(self.poller.finish)
            self._worker.join(60.0)
            self.stored = queue.pending_count()

    def errors_ms(self) -> list[float]:
        """How late each call of a good one was after the tick it belongs to, in order of size."""
        first_s = {
            slot.plan.name: INTERVAL_S * index / len(self._slots)
            for index, slot in enumerate(self._slots)
        }
        return sorted(
            (moment - self._start - first_s[name]) % INTERVAL_S * 1000
            for name, sensor in self.good.items()
            for moment in sensor.triggered
        )

    def _bad(self) -> dict[str, Good]:
        """Two share a wire with good ones; a hang takes its wire with it."""
        return {
            "hangs": Bad("stuck", lambda _: self._hang()),
            "fails": Bad("bus0", fail),
            "flaps": Bad("bus1", flap),
        }

    def _hang(self) -> None:
        self._ends.wait()


def print_errors(directory: Path, seconds: float) -> dict[str, Any]:
    """Run, print and return the figures; a tick that was missed is counted and has no error."""
    run = Run(directory / "schedule.db", seconds)
    errors = run.errors_ms()
    figures = {
        "ticks": len(errors),
        "missed": sum(run.poller.slots[name].overruns for name in run.good),
        "median_ms": statistics.median(errors),
        "p99_ms": errors[int(len(errors) * 0.99)],
        "most_ms": errors[-1],
        "stored": run.stored,
        "faulty": run.faulty,
    }
    print(f"\nSchedule: {GOOD} good sensors at 10 Hz for {seconds:.0f} s; one hangs, fails, flaps")
    print(f"{'ticks':>8}{'missed':>8}{'median ms':>11}{'p99 ms':>9}{'most ms':>9}{'stored':>9}")
    print(
        f"{figures['ticks']:>8}{figures['missed']:>8}{figures['median_ms']:>11.2f}"
        f"{figures['p99_ms']:>9.2f}{figures['most_ms']:>9.2f}{figures['stored']:>9}"
    )
    print(f"faulty: {', '.join(run.faulty)}")
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=".") as name:
        print_errors(Path(name), HANG_S * 2)
