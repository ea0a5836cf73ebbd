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


# -- faults ---------------------------------------------------------------------------------------


def test_fault_that_ended_while_no_agent_ran_is_told_to_be_over(bench: Bench) -> None:
    """Switched off, mended, switched on: the way most faults end."""
    bench.poll(fridge(LOST))
    bench.run(0)
    bench.poller.finish()
    bench.poll(fridge(3.0))
    bench.run(0)
    assert bench.faults() == [("fridge", 1, "nack"), ("fridge", 0, "nack")]


def test_fault_that_goes_on_after_a_restart_is_told_once(bench: Bench) -> None:
    """The far end knows it already; the journal of the new run does not."""
    bench.poll(fridge(LOST))
    bench.run(0)
    bench.poller.finish()
    bench.poll(fridge(LOST))
    bench.run(100)
    assert bench.faults() == [("fridge", 1, "nack")]
    assert bench.poller.intake.faults.faulty == {"fridge": "nack"}


def test_fault_of_a_sensor_that_is_no_longer_configured_is_told_to_be_over(bench: Bench) -> None:
    """Nobody else would ever say so; the same after a restart and at a reload."""
    bench.poll(fridge(LOST))
    bench.run(0)
    bench.poller.finish()
    bench.poll(slot("other"))
    bench.run(0)
    assert bench.faults() == [("fridge", 1, "nack"), ("fridge", 0, "nack")]
    former = bench.poll(slot("other", ScriptedSensor(LOST)))
    bench.run(0)
    former.finish()
    bench.poll(slot("third")).inherit(former)
    bench.run(0)
    assert bench.faults()[2:] == [("other", 1, "nack"), ("other", 0, "nack")]


def test_fault_that_goes_on_is_a_line_in_the_journal_of_each_run(bench: Bench) -> None:
    """Who looks at 2 a.m. may have the last run's journal no more."""
    for _ in range(2):
        bench.poll(fridge(LOST))
        bench.run(100)
        bench.poller.finish()
    assert bench.told.about("sensor_faulty") == ["sensor_faulty sensor=fridge reason=gone"] * 2
    bench.poll(fridge(3.0))
    bench.run(0)
    assert bench.told.events[2:] == ["sensor_recovered"]


def test_fault_keeps_its_hold_over_a_reload(bench: Bench) -> None:
    """A loose contact is not well because somebody changed the configuration."""
    former = bench.poll(fridge(LOST, 3.0, LOST, 3.0))
    bench.run(41)
    assert [value for _, value, _ in bench.faults()] == [1, 0, 1]
    former.finish()
    bench.poll(fridge(3.0)).inherit(former)
    bench.run(5)
    assert [value for _, value, _ in bench.faults()] == [1, 0, 1]
    assert bench.poller.intake.details == {"fridge": "gone"}
    bench.run(10)
    assert [value for _, value, _ in bench.faults()] == [1, 0, 1, 0]
    assert bench.poller.intake.details == {}
