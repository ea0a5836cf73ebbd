"""Reader threads: real ones, and what they make of drivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor

from edge_agent.daemon import readers as readers_module
from edge_agent.daemon.readers import BusReaders, InlineReaders, Job, Readers, Result
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement

#: A real thread that does not do its part in this time never will.
FAR_S = 60.0


class Desk:
    """Bus readers, and a wait for what they bring."""

    def __init__(self, clock: FakeClock) -> None:
        self._come = threading.Semaphore(0)
        self.readers = BusReaders(clock, self._come.release)

    def do(self, sensor: Sensor, name: str = "s", *, fetch: bool = False) -> None:
        self.readers.submit(Job(name, sensor, fetch))

    def next(self) -> list[Result]:
        assert self._come.acquire(timeout=FAR_S)
        return self.readers.results()


@pytest.fixture
def desk(clock: FakeClock) -> Iterator[Desk]:
    made = Desk(clock)
    yield made
    made.readers.close()


class Gate(ScriptedSensor):
    """Hangs in `read` until it is opened, and notes which thread it was called by."""

    def __init__(self, bus: str) -> None:
        super().__init__(1.0, bus=bus)
        self.entered, self.opened = threading.Event(), threading.Event()
        self.threads: list[str] = []

    def read(self) -> list[Measurement]:
        self.threads.append(threading.current_thread().name)
        self.entered.set()
        assert self.opened.wait(FAR_S)
        return [Measurement("", 1.0, "")]

    def close(self) -> None:
        super().close()
        self.threads.append(threading.current_thread().name)


def test_readers_stuck_bus_stalls_that_bus_alone(desk: Desk) -> None:
    """A job on another wire comes back; those in line behind the stuck one come when it does."""
    stuck = Gate("i2c-1")
    desk.do(stuck, "stuck")
    desk.do(ScriptedSensor(2.0, bus="i2c-1"), "behind")
    assert stuck.entered.wait(FAR_S)
    desk.do(ScriptedSensor(3.0, bus="w1"), "other")
    assert [result.name for result in desk.next()] == ["other"]
    stuck.opened.set()
    come = [*desk.next(), *desk.next()]
    assert [result.name for result in come] == ["stuck", "behind"]


def test_readers_note_when_the_driver_returned(desk: Desk, clock: FakeClock) -> None:
    """On the clock that nobody sets; the poller makes a time of it."""
    desk.do(ScriptedSensor([Measurement("level", 2, "")]))
    (result,) = desk.next()
    assert (result.measurements, result.returned_at) == (
        [Measurement("level", 2, "")],
        clock.monotonic(),
    )


def test_readers_close_their_sensors_in_the_thread_that_used_them(desk: Desk) -> None:
    """The contract of a driver: one thread, also for `close`; after it the wire is free."""
    sensor = Gate("gpio")
    sensor.opened.set()
    desk.do(sensor)
    desk.next()
    desk.readers.close()
    assert sensor.calls == ["trigger", "close"]
    assert sensor.threads == ["reader-gpio", "reader-gpio"]


def test_readers_end_after_the_job_they_are_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in line is left: whoever comes next is not to share the wire for its length."""
    gate, next_one = Gate("w1"), ScriptedSensor(bus="w1")
    desk.do(gate, "gate")
    desk.do(next_one, "next")
    assert gate.entered.wait(FAR_S)
    monkeypatch.setattr(readers_module, "ENDS_S", 0.0)
    desk.readers.close()
    gate.opened.set()
    (thread,) = desk.readers._threads
    thread.join(FAR_S)
    assert not thread.is_alive()
    assert (gate.calls, next_one.calls) == (["trigger", "close"], [])


def test_readers_failed_sensor_is_closed_and_set_up_anew(desk: Desk) -> None:
    """A brown-out takes a chip's settings."""
    sensor = ScriptedSensor(OSError("bang"), 2.0)
    desk.do(sensor)
    assert desk.next()[0].error is not None
    desk.do(sensor)
    assert desk.next()[0].measurements is not None
    assert sensor.calls == ["trigger", "read", "close", "trigger", "read"]


@pytest.mark.parametrize("wait_s", [0.0, 0.5])
def test_readers_trigger_reads_at_once_where_nothing_is_to_wait_for(
    clock: FakeClock, wait_s: float
) -> None:
    """Otherwise it says how long, and a second job fetches."""
    readers: Readers = InlineReaders(clock)
    sensor = ScriptedSensor(1.0, wait_s=wait_s)
    readers.submit(Job("s", sensor, fetch=False))
    (result,) = readers.results()
    assert result.wait_s == (wait_s or None)
    assert (result.measurements is None) == bool(wait_s)
    readers.submit(Job("s", sensor, fetch=True))
    assert readers.results()[0].measurements is not None
    assert readers.results() == []
    readers.close()
    assert sensor.calls[-1] == "close"
