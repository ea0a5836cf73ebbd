"""The simulated sensor: its waveforms, and each fault when it is due."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.simulated import Simulated, SimulatedOptions
from edge_agent.types import Measurement


class Bench:
    """A simulated sensor on a clock that is moved by hand, and by what sleeps."""

    def __init__(self, **options: Any) -> None:
        self.clock = FakeClock()
        self.slept: list[float] = []
        self.driver = Simulated(
            SimulatedOptions(**options),
            Surroundings(bus=Buses(), sleep=self.slept.append, monotonic=self.clock.monotonic),
        )

    def value(self) -> float:
        self.driver.trigger()
        return float(self.driver.read()[0].value)

    def values(self, count: int, step_s: float = 1.0) -> list[float]:
        found = []
        for _ in range(count):
            found.append(self.value())
            self.clock.advance(step_s)
        return found


def test_constant_shows_the_base_in_its_unit() -> None:
    """Nothing added, nothing drawn."""
    bench = Bench(waveform="constant", base=4.5, unit="volt")

    assert bench.driver.read() == [Measurement("", 4.5, "volt")]
    assert bench.driver.channel_names(SimulatedOptions()) == ("",)


def test_sine_goes_through_its_quarters() -> None:
    """From the base up, down, and back, in one period."""
    bench = Bench(waveform="sine", base=10.0, amplitude=2.0, period_s=4.0)

    assert bench.values(5) == [10.0, 12.0, 10.0, 8.0, 10.0]


def test_square_is_high_for_half_a_period() -> None:
    """Then low for the other half."""
    bench = Bench(waveform="square", base=0.0, amplitude=1.0, period_s=4.0)

    assert bench.values(6) == [1.0, 1.0, -1.0, -1.0, 1.0, 1.0]


def test_random_walk_starts_at_the_base_and_goes_by_small_steps() -> None:
    """Over a period of 100 readings it typically gets as far as the amplitude."""
    walk = Bench(waveform="random_walk", base=5.0, amplitude=1.0, period_s=100.0).values(2000)
    steps = [after - before for before, after in itertools.pairwise(walk)]

    assert walk[0] == 5.0
    assert statistics.pstdev(steps) == pytest.approx(0.1, rel=0.1)


def test_noise_has_the_deviation_asked_for() -> None:
    """About the waveform, on both sides."""
    values = Bench(waveform="constant", base=20.0, noise=0.5).values(2000)

    assert statistics.mean(values) == pytest.approx(20.0, abs=0.05)
    assert statistics.pstdev(values) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("waveform", ["sine", "random_walk"])
def test_same_seed_gives_the_same_values_and_another_does_not(waveform: str) -> None:
    """A demonstration repeats; two probes differ."""
    first, again, other = (
        Bench(waveform=waveform, noise=0.1, seed=seed).values(50) for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_fail_every_third_reading_is_an_error_with_a_reason() -> None:
    """The readings between go on, and the count survives what the poller does after an error."""
    bench = Bench(waveform="constant", base=1.0, fail_every=3)
    outcome: list[float | str] = []
    for _ in range(6):
        try:
            outcome.append(bench.value())
        except SensorError as error:
            outcome.append(error.reason)
            bench.driver.close()

    assert outcome == [1.0, 1.0, "simulated", 1.0, 1.0, "simulated"]


def test_hang_every_second_reading_blocks_for_the_time_asked() -> None:
    """By the sleep it was given: the reader's thread stands still, nothing else."""
    bench = Bench(hang_every=2, hang_s=90.0)
    bench.values(4)

    assert bench.slept == [90.0, 90.0]


def test_nan_every_second_reading_is_no_number() -> None:
    """What a broken driver would give; who reads it must defend himself."""
    values = Bench(waveform="constant", nan_every=2).values(2)

    assert values[0] == 20.0
    assert math.isnan(values[1])


def test_spike_every_fourth_reading_stands_out() -> None:
    """By as much as was asked."""
    bench = Bench(waveform="constant", base=20.0, spike_every=4, spike=-50.0)

    assert bench.values(4) == [20.0, 20.0, 20.0, -30.0]


def test_simulated_sensors_share_a_reader_by_the_name_of_their_bus() -> None:
    """So that a test can let one stall another, or not."""
    assert Bench().driver.bus_name == "simulated"
    assert Bench(bus="far").driver.bus_name == "far"
