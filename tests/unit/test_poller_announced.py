"""The poller and sensors that speak up, or must know again after a restart what they knew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench, make_poller
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, StuckReaders, slot

from edge_agent.daemon.readers import InlineReaders, Result
from edge_agent.daemon.schedule import Slot
from edge_agent.errors import SensorError, StoreError
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.faults import REPLACED
from edge_agent.processing.kinds import Margin
from edge_agent.processing.privacy import Shield
from edge_agent.processing.reporting import Report
from edge_agent.types import Measurement


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


class Counter(ScriptedSensor):
    """Counts; its total outlives a restart."""

    keeps_state = True

    def __init__(self, *, absent: bool = False) -> None:
        super().__init__()
        self.count = 0
        self.absent = absent
        self._base: int | None = None

    def trigger(self) -> float:
        if self.absent:
            raise SensorError("the pin is not there", reason="absent")
        return super().trigger()

    def restore(self, state: Any) -> None:
        self.calls.append(f"restore {state}")
        self._base = state or 0

    def state(self) -> int:
        return (self._base or 0) + self.count

    def read(self) -> list[Measurement]:
        self.calls.append("read")
        return [] if self._base is None else [Measurement("", self.state(), "pulse")]


def _water(sensor: Counter) -> Slot:
    made = slot("water", sensor)
    made.owner = "counter:water"
    return made


# -- announcements --------------------------------------------------------------------------------


def test_poller_announced_sensor_is_read_at_once_and_keeps_its_rhythm(bench: Bench) -> None:
    """What a pin did is not held back until the next tick; nothing counts as an overrun."""
    door = ScriptedSensor(0, 1)
    start = bench.clock.wall()
    poller = bench.poll(slot("door", door))
    bench.run(3)
    for _ in range(5):
        bench.readers.announce(door)
    bench.run(20)
    times = [data["timestamp"] - start for data in bench.stored("door")]
    assert (times, poller.overruns_total) == ([0, 3, 10, 20], 0)


def test_poller_sensor_that_announces_while_it_is_read_is_read_once_more(bench: Bench) -> None:
    """The edge may have come after `read` had looked."""
    door = ScriptedSensor(0, wait_s=1.0)
    bench.poll(slot("door", door))
    bench.run(0.5)
    bench.readers.announce(door)
    bench.run(2)
    assert door.calls == ["trigger", "read"] * 2


def test_poller_tick_during_an_announced_measurement_is_made_up_and_no_overrun(
    bench: Bench,
) -> None:
    """The announcement was out of turn, so the tick still has its own."""
    door = ScriptedSensor(0, wait_s=1.0)
    poller = bench.poll(slot("door", door))
    bench.run(9.5)
    bench.readers.announce(door)
    bench.run(2.5)
    assert (door.calls, poller.overruns_total) == (["trigger", "read"] * 3, 0)


def test_poller_faulty_sensor_that_announces_is_left_alone(bench: Bench) -> None:
    """A wire that bounces for ever must not be tried for ever."""
    door = ScriptedSensor(SensorError("gone", reason="nack"))
    bench.poll(slot("door", door))
    bench.run(1)
    bench.readers.announce(door)
    bench.run(1)
    assert door.calls == ["trigger", "read", "close"]


def test_poller_sensor_that_never_stops_announcing_is_read_twenty_times_a_second(
    bench: Bench,
) -> None:
    """A contact without debounce on a bad wire must not take the processor from all others."""
    loud = ScriptedSensor([])
    poller = bench.poll(slot("loud", loud), slot("well", interval_s=1.0))
    for _ in range(2000):
        bench.readers.announce(loud)
        bench.run(0.001)
    assert loud.calls.count("read") == 40
    assert (len(bench.stored("well")), poller.overruns_total) == (2, 0)


def test_poller_tick_serves_an_announcement_that_waits_for_its_turn(bench: Bench) -> None:
    """What is begun for the tick is not begun twice."""
    door = ScriptedSensor(0)
    bench.poll(slot("door", door, interval_s=1.0))
    bench.run(0.97)
    bench.readers.announce(door)
    bench.run(0.01)
    bench.readers.announce(door)
    door.wait_s = 0.5
    bench.run(0.4)
    assert door.calls == ["trigger", "read"] * 2 + ["trigger"]
    bench.run(1)
    assert door.calls == ["trigger", "read"] * 3 + ["trigger"]


def test_poller_announcement_of_a_sensor_it_does_not_have_is_passed_over(bench: Bench) -> None:
    """A plugin may hand on anything."""
    bench.poll(slot("door"))
    bench.readers.announce(ScriptedSensor())
    bench.run(1)
    assert len(bench.stored("door")) == 1


def test_poller_measurement_has_the_time_at_which_it_happened(bench: Bench) -> None:
    """A driver says how long ago that was, and needs no clock for it."""
    edges = [Measurement("", 1, "", age_s=0.25), Measurement("", 0, "", age_s=0.125)]
    bench.poll(slot("door", ScriptedSensor(edges)))
    start = bench.clock.wall()
    bench.run(0)
    assert [data["timestamp"] - start for data in bench.stored("door")] == [-0.25, -0.125]


def test_poller_drivers_own_time_is_kept(bench: Bench) -> None:
    """A logger's memory knows when it measured."""
    bench.poll(slot("logger", ScriptedSensor([Measurement("", 1, "", timestamp=5.0)])))
    bench.run(0)
    assert bench.stored("logger")[0]["timestamp"] == 5.0


def test_poller_measurement_taken_in_after_a_step_of_the_clock_has_the_right_time(
    tmp_path: Path,
) -> None:
    """The driver returned before the clock was set, and the poller came to it after that."""
    bench = Bench(tmp_path, FakeClock(100.0, synchronized=False))
    readers = StuckReaders()
    bench.poll(slot("s"), readers=readers)
    bench.run(1)
    measured = [Measurement("", 4.0, "celsius")]
    readers.answers.append(Result("s", measurements=measured, returned_at=bench.clock.monotonic()))
    bench.clock.advance(1)
    bench.clock.step(1_750_000_000)
    bench.clock.trust()
    bench.run(0)
    (stored,) = bench.stored("s")
    assert (stored["timestamp"], stored["metadata"]) == (1_750_000_101.0, {})
    bench.queue.close()


def test_poller_window_does_not_go_on_over_a_step_of_the_clock(tmp_path: Path) -> None:
    """What was measured before is told with the corrected times, and apart."""
    bench = Bench(tmp_path, FakeClock(100.0, synchronized=False))
    plan = {"": ChannelPlan("s", report=Report(every_s=3600, stats=("mean",)))}
    bench.poll(slot("s", ScriptedSensor(1.0, 3.0, 8.0), channels=plan))
    bench.run(15)
    bench.clock.step(1_750_000_000)
    bench.clock.trust()
    bench.run(3600)
    first, second = bench.stored("s.mean")
    assert (first["value"], first["metadata"]["clock"], first["metadata"]["count"]) == (
        2.0,
        "corrected",
        2,
    )
    assert first["metadata"]["from"] == 1_750_000_100.0
    assert (second["value"], "clock" in second["metadata"]) == (8.0, False)
    bench.queue.close()


# -- what outlives a restart ----------------------------------------------------------------------


def test_poller_total_goes_on_after_a_restart(bench: Bench) -> None:
    """It was kept in the commit of the reading that told it, and restored once."""
    first = Counter()
    bench.poll(_water(first))
    first.count = 7
    bench.run(0)
    assert bench.queue.memory.load("counter:water") == 7
    second = Counter()
    bench.poll(_water(second))
    second.count = 3
    bench.run(10)
    assert [data["value"] for data in bench.stored("water")] == [7, 10, 10]
    assert [call for call in second.calls if "restore" in call] == ["restore 7"]


def test_poller_stop_keeps_what_was_counted_since_the_last_reading(bench: Bench) -> None:
    """The counter is closed, and then asked once more."""
    counter = Counter()
    poller = bench.poll(_water(counter))
    bench.run(0)
    counter.count = 5
    poller.finish()
    assert bench.queue.memory.load("counter:water") == 5


def test_poller_total_is_not_told_before_it_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is down at the start: the counter counts, and neither tells nor keeps a total."""

    def fail(*_: object) -> None:
        raise StoreError("q.db: disk I/O error (SQLITE_IOERR)")

    bench.queue.memory.save("counter:water", 100)
    counter = Counter()
    poller = bench.poll(_water(counter))
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue.memory, "load", fail)
        counter.count = 1
        bench.run(25)
    assert bench.stored("water") == []
    counter.count = 4
    bench.run(10)
    assert [data["value"] for data in bench.stored("water")] == [104]
    poller.finish()
    assert bench.queue.memory.load("counter:water") == 104


@pytest.mark.parametrize("type_name", ["line", "probe"])
def test_poller_total_is_its_own_whatever_a_plugin_is_called(bench: Bench, type_name: str) -> None:
    """What the agent itself keeps of the sensor is not the driver's."""
    counter = Counter()
    plan = {"": ChannelPlan("water", report=Report(deadband=Margin(1.0)))}
    made = slot("water", counter, channels=plan)
    made.owner = f"{type_name}:water"
    poller = bench.poll(made)
    probe = Measurement("", 1.0, "", metadata={"probe_id": "28-a"})
    counter.read = lambda: [probe]  # type: ignore[method-assign]  # a thermometer that counts
    bench.run(0)
    counter.count = 5
    poller.finish()
    assert bench.queue.memory.load(f"{type_name}:water") == 5


def test_poller_counter_that_fails_after_it_was_restored_is_restored_again(bench: Bench) -> None:
    """With the same total: nothing is added twice."""
    bench.queue.memory.save("counter:water", 100)
    counter = Counter(absent=True)
    poller = bench.poll(_water(counter))
    bench.run(11)
    poller.finish()
    assert bench.queue.memory.load("counter:water") == 100
    counter.absent = False
    bench.poll(_water(counter))
    bench.run(0)
    assert [data["value"] for data in bench.stored("water")] == [100]


# -- another probe --------------------------------------------------------------------------------


@pytest.mark.fault(
    "sensor",
    "unplugged and another plugged in",
    how="a probe with another id answers, also after a restart",
    part="the poller on a clock that stands still",
)
def test_poller_other_probe_is_told_once_also_after_a_restart(bench: Bench) -> None:
    """The far end must know that the curve goes on with another thermometer."""

    def probe(probe_id: str) -> list[Measurement]:
        return [Measurement("", 4.0, "celsius", metadata={"probe_id": probe_id})]

    bench.poll(slot("fridge", ScriptedSensor(probe("28-a"), probe("28-b")), zone="A"))
    bench.run(20)
    bench.poll(slot("fridge", ScriptedSensor(probe("28-c"))))
    bench.run(10)
    told = [data["metadata"] for data in bench.stored("agent.sensor_replaced")]
    first = {"zone": "A", "sensor": "fridge", "old": "28-a", "new": "28-b"}
    assert told == [first, {"sensor": "fridge", "old": "28-b", "new": "28-c"}]
    assert bench.told.events == ["sensor_replaced"] * 2


@pytest.mark.parametrize(
    ("rule", "told"), [({"drop": ["metadata.probe_id"]}, 0), ({"hashed": ["metadata.probe_id"]}, 1)]
)
def test_poller_probe_that_privacy_hides_is_told_by_its_hash_or_not_at_all(
    bench: Bench, tmp_path: Path, rule: dict[str, Any], told: int
) -> None:
    """Neither the journal nor the file has its id, in no state and no reading."""
    probes = [[Measurement("", 4.0, "", metadata={"probe_id": f"28-{n}"})] for n in "ab"]
    readers = InlineReaders(bench.clock)
    shield = Shield(**rule, key=lambda: b"0123456789abcdef").apply
    bench.poller = make_poller(
        bench.queue,
        [slot("fridge", ScriptedSensor(*probes))],
        readers,
        bench.clock,
        bench.told,
        shield=shield,
    )
    bench.run(20)
    assert len(bench.told.about("sensor_replaced")) == len(bench.stored(REPLACED)) == told
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"28-a" not in files + repr(bench.told.lines).encode()


# -- channels -------------------------------------------------------------------------------------


def test_poller_channel_that_failed_alone_leaves_the_others_alone(bench: Bench) -> None:
    """One saturated input of four is no fault of the chip."""
    high = Measurement("a1", 0.0, "volt", fault="saturated", detail="a1 is beyond its gain")
    well = Measurement("a0", 1.5, "volt")
    bench.poll(slot("adc", ScriptedSensor([well, high]), channels={}))
    bench.run(0)
    assert bench.faults() == [("adc.a1", 1, "saturated")]
    assert bench.told.about("sensor_faulty") == [
        'sensor_faulty sensor=adc.a1 reason="a1 is beyond its gain"'
    ]
    assert [data["value"] for data in bench.stored("adc.a0")] == [1.5]
