"""What alarms, deadbands and faults must know again after a restart, whatever comes first then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, slot

from edge_agent.daemon.schedule import Slot
from edge_agent.errors import SensorError, StoreError
from edge_agent.processing.alarms import Alarm
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.kinds import Margin
from edge_agent.processing.reporting import Report

LOST = SensorError("gone", reason="nack")
WARM = Alarm(above=8.0, hysteresis=2.0)


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


def fridge(*reads: Any, alarms: tuple[Alarm, ...] = (WARM,), interval_s: float = 10.0) -> Slot:
    """A sensor of one channel that is told of when it moves by more than 1."""
    report = Report(deadband=Margin(1.0)) if alarms else Report()
    plan = {"": ChannelPlan("fridge", report=report, alarms=alarms)}
    return slot("fridge", ScriptedSensor(*reads), interval_s, plan)


def told(bench: Bench) -> list[str]:
    """What was told of alarms."""
    marks = [data["metadata"].get("alarm") for data in bench.stored("fridge")]
    return [mark for mark in marks if mark]


def entered(bench: Bench) -> None:
    """An earlier run in which the alarm was entered, and that ended."""
    bench.poll(fridge(9.0))
    bench.run(0)
    bench.poller.finish()
    assert told(bench) == ["entered"]


# -- before the first reading ---------------------------------------------------------------------


def test_line_whose_sensor_fails_first_still_knows_its_alarm(bench: Bench) -> None:
    """A sensor that is not back yet after a power cut is no reason to forget what it said."""
    entered(bench)
    bench.poll(fridge(LOST, 9.0, 3.0))
    bench.run(60)
    assert told(bench) == ["entered", "cleared"]


def test_line_of_an_agent_that_stops_before_its_first_reading_still_knows_its_alarm(
    bench: Bench,
) -> None:
    """Two restarts within the hour of a sensor that is read every hour."""
    entered(bench)
    bench.poll(slot("other", interval_s=3600.0), fridge(9.0, interval_s=3600.0)).finish()
    bench.poll(fridge(3.0))
    bench.run(0)
    assert told(bench) == ["entered", "cleared"]


def test_line_still_knows_its_alarm_when_the_clock_is_set_before_its_first_reading(
    bench: Bench,
) -> None:
    """A Pi boots, the time comes from the net, and then the sensor has its turn."""
    entered(bench)
    bench.poll(slot("other"), fridge(3.0))
    bench.run(1)
    bench.clock.step(86_400)
    bench.run(10)
    assert told(bench) == ["entered", "cleared"]


def test_line_that_could_not_ask_at_first_knows_its_alarm_as_soon_as_it_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card answers late: what it kept is neither replaced nor forgotten."""

    def fail(*_: object) -> None:
        raise StoreError("q.db: disk I/O error (SQLITE_IOERR)")

    entered(bench)
    bench.poll(fridge(8.0, 8.0, 8.0, 3.0))
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue.memory, "load", fail)
        bench.run(15)
    bench.run(30)
    assert told(bench) == ["entered", "cleared"]
    assert [data["value"] for data in bench.stored("fridge")] == [9.0, 8.0, 3.0]


# -- what is no longer configured -----------------------------------------------------------------


def test_line_without_any_alarm_left_clears_the_one_it_had(bench: Bench) -> None:
    """The far end would wait for that for ever; and one that comes later begins anew."""
    entered(bench)
    bench.poll(fridge(9.0, alarms=()))
    bench.run(20)
    assert told(bench) == ["entered", "cleared"]
    bench.poll(fridge(9.0))
    bench.run(0)
    assert told(bench) == ["entered", "cleared", "entered"]


def test_alarms_of_the_same_limit_are_each_remembered_for_themselves(bench: Bench) -> None:
    """One that waits is not entered because the other was."""
    both = (WARM, Alarm(above=8.0, for_s=3600.0))
    bench.poll(fridge(9.0, alarms=both))
    bench.run(0)
    bench.poller.finish()
    bench.poll(fridge(3.0, alarms=both))
    bench.run(0)
    assert told(bench) == ["entered", "cleared"]
