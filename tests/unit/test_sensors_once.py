"""Every sensor once: triggered, waited for, read; and who is given up when nothing comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, StuckReaders

from edge_agent.cli.sensors.once import Outcome, Round
from edge_agent.daemon.readers import InlineReaders, Job, Readers, Result, run
from edge_agent.daemon.schedule import HANG_S, Slot
from edge_agent.errors import SensorError
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.pipeline import SensorPlan
from edge_agent.processing.valid import Valid
from edge_agent.types import Measurement


def slot(name: str, sensor: ScriptedSensor, valid: Valid | None = None) -> Slot:
    plan = SensorPlan(name, {"": ChannelPlan(name, valid=valid or Valid())}, {"zone": "A"})
    return Slot(plan, sensor, 30.0)


def outcomes(
    slots: Sequence[Slot], clock: FakeClock, readers: Readers | None = None
) -> list[Outcome]:
    """Run it on time that passes as it asks."""
    return Round(slots, readers or InlineReaders(clock), clock).run(clock.advance)


def test_round_reads_each_sensor_once_in_order(clock: FakeClock) -> None:
    """With its metadata and the time of the reading."""
    sensors = ScriptedSensor(4.5), ScriptedSensor(7)
    first, second = outcomes([slot("b", sensors[0]), slot("a", sensors[1])], clock)
    assert (first.name, first.faults) == ("b", {})
    assert first.readings[0].to_dict() == {
        "sensor_name": "b",
        "timestamp": clock.wall(),
        "value": 4.5,
        "unit": "celsius",
        "metadata": {"zone": "A"},
    }
    assert second.readings[0].value == 7
    assert [sensor.calls for sensor in sensors] == [["trigger", "read"]] * 2


def test_round_waits_for_a_conversion(clock: FakeClock) -> None:
    """As long as the driver says, also longer than a driver may hang, and others meanwhile."""
    slow, fast = ScriptedSensor(1.0, wait_s=30.0), ScriptedSensor(2.0, wait_s=5.0)
    before = clock.monotonic()
    told = outcomes([slot("slow", slow), slot("fast", fast)], clock)
    assert [one.readings[0].value for one in told] == [1.0, 2.0]
    assert clock.monotonic() - before == pytest.approx(30.0)


class LateReaders(StuckReaders):
    """Each job takes so many seconds."""

    def __init__(self, clock: FakeClock, **seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds, self._done = clock, seconds, []

    def submit(self, job: Job) -> None:
        self._done.append((self._clock.monotonic() + self._seconds[job.name], job))

    def results(self) -> list[Result]:
        now = self._clock.monotonic()
        ready = [job for at, job in self._done if at <= now]
        self._done = [(at, job) for at, job in self._done if at > now]
        return [run(job, self._clock) for job in ready]


def step_by_step(round_: Round, clock: FakeClock) -> list[Outcome]:
    """Time that passes as it does where a reader may have a result at any moment."""
    return round_.run(lambda seconds: clock.advance(min(seconds, 0.5)))


def test_round_counts_no_conversion_as_silence(clock: FakeClock) -> None:
    """A bus on which nothing was asked for half a minute has its full time for the next job."""
    slow = slot("slow", ScriptedSensor(1.0, wait_s=30.0))
    (told,) = step_by_step(Round([slow], LateReaders(clock, slow=2.0), clock), clock)
    assert told.faults == {}


def test_round_passes_over_an_answer_that_comes_too_late(clock: FakeClock) -> None:
    """Who was given up stays so, while others are still waited for."""
    late = slot("late", ScriptedSensor(1.0, bus="a"))
    slow = slot("slow", ScriptedSensor(2.0, bus="b", wait_s=20.0))
    readers = LateReaders(clock, late=HANG_S + 2.0, slow=1.0)
    told = step_by_step(Round([late, slow], readers, clock), clock)
    assert [one.faults for one in told] == [{"late": "no answer on a for 10 s"}, {}]


def test_round_tells_what_failed_beside_what_did_not(clock: FakeClock) -> None:
    """In the driver's own sentence, or in one for a value that is outside."""
    failing = ScriptedSensor(SensorError("no answer; check the wiring", reason="nack"))
    broken = ScriptedSensor(ZeroDivisionError("oops"))
    outside = slot("outside", ScriptedSensor(90.0), Valid(max=85.0))
    told = outcomes(
        [slot("failing", failing), slot("broken", broken), outside, slot("well", ScriptedSensor())],
        clock,
    )
    assert told[0].faults == {"failing": "no answer; check the wiring"}
    assert told[1].faults == {"broken": "ZeroDivisionError: oops"}
    assert "90.0 celsius is outside" in told[2].faults["outside"]
    assert [len(one.readings) for one in told] == [0, 0, 0, 1]


def test_round_takes_a_channels_own_fault(clock: FakeClock) -> None:
    """One input saturated, the value is not looked at."""
    said = [Measurement("", 0.0, "volt", fault="saturated", detail="choose a larger gain")]
    (told,) = outcomes([slot("soil", ScriptedSensor(said))], clock)
    assert (told.readings, told.faults) == ([], {"soil": "choose a larger gain"})


def test_round_gives_up_who_does_not_answer(clock: FakeClock) -> None:
    """The rest of the bus with it, as it stands in line behind; other buses are read."""

    class HalfStuck(StuckReaders):
        """One bus of two works."""

        def __init__(self) -> None:
            super().__init__()
            self.inline = InlineReaders(clock)

        def submit(self, job: object) -> None:
            line = self.inline if job.sensor.bus_name == "good" else super()
            line.submit(job)

        def results(self) -> list[Result]:
            return self.inline.results()

    before = clock.monotonic()
    slots = [
        slot("stuck", ScriptedSensor(bus="bad")),
        slot("behind", ScriptedSensor(bus="bad")),
        slot("well", ScriptedSensor(bus="good", wait_s=1.0)),
    ]
    told = outcomes(slots, clock, HalfStuck())
    assert [one.faults for one in told] == [
        {"stuck": "no answer on bad for 10 s"},
        {"behind": "no answer on bad for 10 s"},
        {},
    ]
    assert clock.monotonic() - before == pytest.approx(HANG_S)


def test_round_is_patient_with_a_long_line(clock: FakeClock) -> None:
    """Thirty 1-wire probes take longer than a driver may hang, and none of them hangs."""

    class OneAtATime(StuckReaders):
        """Each read takes its time."""

        def results(self) -> list[Result]:
            if not self.jobs:
                return []
            clock.advance(0.75)
            return [Result(self.jobs.pop(0).name, measurements=[Measurement("", 1.0, "", 1.0)])]

    slots = [slot(f"probe{n}", ScriptedSensor()) for n in range(30)]
    told = outcomes(slots, clock, OneAtATime())
    assert [len(one.readings) for one in told] == [1] * 30


@pytest.mark.parametrize("total", [None, {"total": 5}])
def test_round_tells_a_driver_that_counts_what_it_knew(clock: FakeClock, total: Any) -> None:
    """Until it is told, it has nothing to tell; nothing, where it never counted."""

    class Counter(ScriptedSensor):
        keeps_state = True

        def restore(self, state: object) -> None:
            self.calls.append(f"restore {state}")

    counter = Counter(5, wait_s=0.1)
    states = {"pulse:water": total}
    water = slot("water", counter)
    water.owner = "pulse:water"
    Round([water], InlineReaders(clock), clock, states.get).run(clock.advance)
    assert counter.calls == [f"restore {total}", "trigger", "read"]


def test_round_of_no_sensors_is_over_at_once(clock: FakeClock) -> None:
    """A configuration may have none."""
    assert outcomes([], clock) == []
