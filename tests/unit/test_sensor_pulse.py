"""Pulse counters: every pulse once, and a total that only goes up."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.gpio import MockPins
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.gpio.pulse import Count, Pulse, PulseOptions

PIN = 27
#: what a counter of 37 pulses keeps
KEPT = {"start": 0.0, "pulses": 37, "pulses_per_unit": 1.0, "unit": "pulse", "initial": None}


class Meter:
    """A counter on mock pins."""

    def __init__(self, pins: MockPins, clock: FakeClock, **options: Any) -> None:
        self.pins = pins
        self.clock = clock
        surroundings = Surroundings(
            bus=lambda _: pytest.fail("a counter has no bus"),
            sleep=clock.advance,
            monotonic=clock.monotonic,
        )
        self.sensor = Pulse(PulseOptions(**{"pin": PIN, **options}), surroundings)

    def start(self, state: Any = None) -> None:
        self.sensor.restore(state)
        self.read()

    def read(self) -> dict[str, Any]:
        """What one job measures, by channel."""
        self.sensor.trigger()
        return {m.channel: m.value for m in self.sensor.read()}

    def run(self, pulses: int, period_s: float = 0.002) -> None:
        """So many pulses, closed for half of each period."""
        for _ in range(pulses):
            self.pins.low(PIN)
            self.clock.advance(period_s / 2)
            self.pins.high(PIN)
            self.clock.advance(period_s / 2)

    def kept(self) -> Any:
        """The state after its way through the queue file."""
        return json.loads(json.dumps(self.sensor.state()))

    def successor(self, **options: Any) -> Meter:
        """The one after a restart."""
        kept = self.kept()
        self.sensor.close()
        meter = Meter(self.pins, self.clock, **options)
        meter.start(kept)
        return meter


@pytest.fixture
def meter(pins: MockPins, clock: FakeClock) -> Meter:
    return Meter(pins, clock)


@pytest.mark.parametrize("debounce_s", [0.0, 0.0005])
def test_pulse_counts_500_a_second_for_10_seconds_exactly(
    pins: MockPins, clock: FakeClock, debounce_s: float
) -> None:
    """One edge of each pulse; the rate is over the time between two reads."""
    meter = Meter(pins, clock, debounce_s=debounce_s)
    meter.start()
    meter.run(5_000)

    assert meter.read() == {"total": 5_000.0, "rate": pytest.approx(30_000.0)}


def test_pulse_counts_at_the_pull_down_too(pins: MockPins, clock: FakeClock) -> None:
    """Closed is high then."""
    meter = Meter(pins, clock, pull="down", unit="litre", pulses_per_unit=4.0, rate_per="hour")
    meter.start()
    for _ in range(10):
        pins.high(PIN)
        pins.low(PIN)
    clock.advance(36.0)

    assert meter.read() == {"total": 2.5, "rate": pytest.approx(250.0)}
    assert [c.unit for c in meter.sensor.channels] == ["litre", "litre_per_hour"]


def test_pulse_without_debounce_leaves_opening_edges_to_the_kernel(
    pins: MockPins, clock: FakeClock
) -> None:
    """Half the work at each pulse."""
    for debounce_s, edges in ((0.0, "falling"), (0.01, "both")):
        meter = Meter(pins, clock, debounce_s=debounce_s)
        meter.sensor.trigger()
        assert pins.factory.pin(PIN).edges == edges
        meter.sensor.close()


def test_pulse_of_a_reed_contact_that_bounces_at_both_ends_is_one(
    pins: MockPins, clock: FakeClock
) -> None:
    """Closed for seconds, as a slow water meter's; opening counts nothing."""
    meter = Meter(pins, clock, debounce_s=0.020)
    meter.start()
    for pulse in range(1, 11):
        clock.advance(7.0)
        pins.bounce(PIN, edges=5)
        clock.advance(4.0)
        pins.bounce(PIN, edges=5)
        assert meter.read()["total"] == pulse


def test_pulse_shorter_than_debounce_counts(pins: MockPins, clock: FakeClock) -> None:
    """What the libraries' own bounce time would lose or not, as it happens."""
    meter = Meter(pins, clock, debounce_s=0.050)
    meter.start()
    for _ in range(10):
        clock.advance(0.5)
        pins.low(PIN)
        clock.advance(0.020)
        pins.high(PIN)

    assert meter.read()["total"] == 10.0


def test_pulse_told_late_is_debounced_by_the_kernels_time(pins: MockPins, clock: FakeClock) -> None:
    """Three pulses 100 ms apart, handed over at once by a thread that got no turn."""
    meter = Meter(pins, clock, debounce_s=0.020)
    meter.start()
    handler = pins.watched(PIN)
    assert handler is not None
    clock.advance(1.0)
    for at in (0.1, 0.2, 0.3):
        handler(1_000.0 + at, 0)
        handler(1_000.0 + at + 0.03, 1)

    assert meter.read()["total"] == 3.0


def test_pulse_first_read_has_no_rate(meter: Meter) -> None:
    """Nor has one after a close, or one at the same moment."""
    meter.sensor.restore(None)
    assert meter.read() == {"total": 0.0}
    assert meter.read() == {"total": 0.0}
    meter.run(3)
    assert set(meter.read()) == {"total", "rate"}
    meter.sensor.close()
    meter.clock.advance(60.0)
    assert meter.read() == {"total": 3.0}


def test_pulse_before_restore_counts_and_says_nothing(meter: Meter) -> None:
    """And has no state, which would replace the one that is kept."""
    meter.read()
    meter.run(5)
    assert meter.read() == {}
    assert meter.sensor.state() is None
    meter.sensor.restore(KEPT)

    assert meter.read()["total"] == 42.0


def test_pulse_state_is_whole_pulses(pins: MockPins, clock: FakeClock) -> None:
    """A total in litres would lose a little at each restart."""
    meter = Meter(pins, clock, pulses_per_unit=450.0, unit="litre", initial=1280.5)
    meter.start()
    meter.run(7)

    assert meter.kept() == {
        "start": 1280.5,
        "pulses": 7,
        "pulses_per_unit": 450.0,
        "unit": "litre",
        "initial": 1280.5,
    }


def test_pulse_total_of_many_restarts_is_exact(pins: MockPins, clock: FakeClock) -> None:
    """A thousand restarts, three pulses each, of a third of a litre."""
    options = {"pulses_per_unit": 3.0, "unit": "litre", "initial": 0.1}
    meter = Meter(pins, clock, **options)
    meter.start()
    for _ in range(1_000):
        meter.run(1)
        meter = meter.successor(**options)

    assert meter.read()["total"] == pytest.approx(0.1 + 1_000 / 3, abs=1e-9)
    assert meter.kept()["pulses"] == 1_000


def test_pulse_keeps_its_total_when_a_pulse_is_worth_something_else(
    pins: MockPins, clock: FakeClock
) -> None:
    """A calibration that is corrected must not take back what was said."""
    meter = Meter(pins, clock, pulses_per_unit=10.0, unit="litre", initial=100.0)
    meter.start()
    meter.run(50)
    assert meter.read()["total"] == 105.0
    meter = meter.successor(pulses_per_unit=20.0, unit="litre", initial=100.0)
    assert meter.read()["total"] == 105.0
    meter.run(20)
    assert meter.read()["total"] == 106.0


def test_pulse_begins_anew_with_another_initial_only(pins: MockPins, clock: FakeClock) -> None:
    """The same again, or none: the total goes on. Another: a new meter."""
    meter = Meter(pins, clock, initial=100.0)
    meter.start()
    meter.run(5)
    for options, total in (
        ({"initial": 100.0}, 105.0),
        ({}, 105.0),
        ({"initial": 100.0}, 105.0),
        ({"initial": 7.0}, 7.0),
        ({"initial": 0.0}, 0.0),
    ):
        meter = meter.successor(**options)
        assert meter.read()["total"] == total


def test_pulse_in_another_unit_is_another_total(pins: MockPins, clock: FakeClock) -> None:
    """1280 litre are not 1280 cubic metre."""
    meter = Meter(pins, clock, unit="litre", initial=1280.0)
    meter.start()
    meter = meter.successor(unit="cubic_metre", initial=1280.0)
    assert meter.read()["total"] == 1280.0
    assert meter.successor(unit="litre").read()["total"] == 0.0


@pytest.mark.parametrize(
    "state",
    [
        None,
        7,
        [],
        {},
        {**KEPT, "more": 1},
        {**KEPT, "pulses": 1.5},
        {**KEPT, "pulses": True},
        {**KEPT, "start": "x"},
        {**KEPT, "start": math.nan},
        {**KEPT, "pulses_per_unit": 0},
        {**KEPT, "initial": "x"},
    ],
)
def test_pulse_with_a_state_that_is_not_its_own_begins_anew(meter: Meter, state: Any) -> None:
    """Another type of sensor had this name before."""
    meter.start(state)

    assert meter.read()["total"] == 0.0


def test_pulse_when_closed_frees_the_pin_and_keeps_the_count(meter: Meter) -> None:
    """Edges after that are nobody's; the state is asked for once more."""
    meter.start()
    meter.run(5)
    late = meter.pins.watched(PIN)
    meter.sensor.close()
    meter.sensor.close()

    assert not meter.pins.reserved(PIN)
    assert late is not None
    late(meter.clock.monotonic(), 0)
    meter.run(3)
    assert meter.kept()["pulses"] == 5
    assert meter.read()["total"] == 5.0
    meter.run(2)
    assert meter.read()["total"] == 7.0


def test_pulse_read_before_trigger_is_not_ready(meter: Meter) -> None:
    """Nothing is watched then, and zero would be a lie."""
    meter.sensor.restore(None)
    with pytest.raises(SensorError) as caught:
        meter.sensor.read()
    assert caught.value.reason == "not_ready"


def test_pulse_comes_back_when_its_pin_is_free_again(meter: Meter) -> None:
    """A failed trigger holds nothing and has forgotten nothing."""
    other = Meter(meter.pins, meter.clock)
    other.start()
    meter.sensor.restore(KEPT)
    for _ in range(3):
        with pytest.raises(SensorError) as caught:
            meter.sensor.trigger()
        assert caught.value.reason == "in_use"
        meter.sensor.close()
    other.sensor.close()

    assert meter.read() == {"total": 37.0}


def test_pulse_read_while_another_thread_drives_it_loses_none(meter: Meter) -> None:
    """Totals only go up, rates are not below zero, and the end is exact."""
    meter.start()
    thread = threading.Thread(target=meter.run, args=(2_000,))
    thread.start()
    seen = []
    while thread.is_alive():
        seen.append(meter.read())
    thread.join()
    seen.append(meter.read())
    totals = [read["total"] for read in seen]

    assert totals == sorted(totals)
    assert totals[-1] == 2_000.0
    assert all(read.get("rate", 0.0) >= 0.0 for read in seen)


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=20),
    st.floats(1e-6, 1e9),
    st.floats(0, 1e6),
)
def test_count_never_goes_down(pulses: list[int], worth: float, initial: float) -> None:
    """Whatever a pulse is worth, and if it is worth something else each time."""
    count = Count.begin(PulseOptions(pin=PIN, pulses_per_unit=worth, initial=initial))
    for index, more in enumerate(pulses):
        before = count.total
        kept = Count.parse(json.loads(json.dumps(dataclasses.asdict(count))))
        assert kept == count
        options = PulseOptions(pin=PIN, pulses_per_unit=worth + index % 2, initial=initial)
        count = count.under(options)
        assert count.total == before
        count = dataclasses.replace(count, pulses=count.pulses + more)
        assert count.total >= before
