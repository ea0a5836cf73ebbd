"""BH1750: lux from counts, one command a STOP, and light that is too bright."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from fakes.chip_bench import ChipBench
from fakes.commands import FakeBh1750

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.bh1750 import Bh1750, Bh1750Options, lux, measurement_s
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Bh1750, FakeBh1750())


def test_example_of_the_data_sheet_gives_its_result(bench: ChipBench) -> None:
    """p. 10: 83 90 is 28067 lux."""
    assert bench.measure() == [Measurement("", 28066.67, "lux")]


def test_lux_agrees_with_exact_arithmetic() -> None:
    """p. 11's formula as a fraction, on counts and measuring times drawn from one seed."""
    draw = random.Random(1750)
    for _ in range(10_000):
        raw, time = draw.randrange(65_535), draw.randrange(31, 255)
        assert abs(lux(raw, time) - Fraction(raw * 10 * 69, 12 * time)) < 1e-9


@pytest.mark.parametrize(
    ("time", "commands", "wait_s"),
    [
        (69, ["w 01", "w 42", "w 65", "w 20"], 0.180),
        (31, ["w 01", "w 40", "w 7f", "w 20"], 0.0809),
        (254, ["w 01", "w 47", "w 7e", "w 20"], 0.6626),
    ],
)
def test_measurement_is_four_commands_and_one_read(
    time: int, commands: list[str], wait_s: float
) -> None:
    """Awake, the measuring time in two parts, once; each a transfer of its own. The same light."""
    bench = ChipBench(Bh1750, FakeBh1750(1200), Bh1750Options(measuring_time=time))

    assert bench.measure()[0].value == pytest.approx(1000, abs=2)
    assert bench.transfers() == [*commands, "r 2"]
    assert measurement_s(time) == pytest.approx(wait_s, abs=1e-4)
    assert bench.clock.monotonic() == pytest.approx(1000 + wait_s, abs=1e-4)


def test_every_measurement_says_the_measuring_time_again() -> None:
    """It is lost with the power, and the light would be wrong by that factor."""
    bench = ChipBench(Bh1750, FakeBh1750(1200), Bh1750Options(measuring_time=138))
    before = bench.measure()
    bench.chip.restart()

    assert bench.measure() == before


def test_light_beyond_the_range_is_saturated(bench: ChipBench) -> None:
    """The last count stands for anything brighter."""
    bench.chip.raw = 0xFFFF

    with pytest.raises(SensorError, match="brighter than 54612 lux") as caught:
        bench.measure()

    assert caught.value.reason == "saturated"


def test_darkness_and_the_brightest_count_are_light(bench: ChipBench) -> None:
    """Neither end is a fault by its value."""
    for raw, value in ((0, 0.0), (0xFFFE, 54611.67)):
        bench.chip.raw = raw
        assert bench.measure() == [Measurement("", value, "lux")]


def test_read_without_a_trigger_is_not_ready(bench: ChipBench) -> None:
    """Before the first, after each read, and after close: the chip would give the old value."""
    for prepare in (bench.driver.close, bench.measure):
        prepare()
        with pytest.raises(SensorError, match="before a measurement") as caught:
            bench.driver.read()
        assert caught.value.reason == "not_ready"
