"""TMP117: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_temperature import FakeTmp117

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.tmp117 import Tmp117, celsius
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Tmp117, FakeTmp117())


# ── the formula ──


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0x8000, -256.0),
        (0xF380, -25.0),
        (0xFFF0, -0.125),
        (0xFFFF, -0.0078125),
        (0x0000, 0.0),
        (0x0001, 0.0078125),
        (0x0010, 0.125),
        (0x0080, 1.0),
        (0x0C80, 25.0),
        (0x3200, 100.0),
        (0x7FFF, 255.9921875),
    ],
)
def test_conversion_matches_the_table(word: int, value: float) -> None:
    """Table 7-1, whole."""
    assert celsius(word) == value


def test_conversion_agrees_with_integers_over_the_whole_scale() -> None:
    """7.8125 thousandths a step, the highest bit counting negative, on words of one seed."""
    for word in random.Random(117).choices(range(1 << 16), k=10_000):
        steps = (word & 0x7FFF) - (word >> 15 << 15)
        assert celsius(word) * 10_000_000 == steps * 78_125


# ── the chip ──


def test_measurement_gives_one_channel_with_its_unit(bench: ChipBench) -> None:
    """Without a name: the sensor's own is enough."""
    assert bench.measure() == [Measurement("", 25.0, "celsius")]


def test_value_is_rounded_to_less_than_a_step(bench: ChipBench) -> None:
    """0.0078125 degree."""
    bench.chip.measures = 0x0C81

    assert bench.values() == {"": 25.0078}


def test_first_measurement_identifies_and_later_ones_are_three_transfers(
    bench: ChipBench,
) -> None:
    """The order holds every setting."""
    bench.measure()
    assert bench.transfers() == ["r 0f 2", "w 01 0c20", "r 01 2", "r 00 2"]

    bench.measure()
    assert bench.transfers() == ["w 01 0c20", "r 01 2", "r 00 2"]


@pytest.mark.parametrize(
    ("averaging", "order", "wait_s"),
    [("x1", "0c00", 0.0175), ("x8", "0c20", 0.14), ("x32", "0c40", 0.56), ("x64", "0c60", 1.12)],
)
def test_averaging_is_ordered_and_waited_for(averaging: str, order: str, wait_s: float) -> None:
    """7.6, AVG, and the longest time of one measurement, 17.5 ms, so many times."""
    bench = ChipBench(Tmp117, FakeTmp117(), averaging=averaging, address=0x4B)

    assert bench.driver.trigger() == pytest.approx(wait_s)
    assert bench.transfers()[-1] == f"w 01 {order}"
    bench.sleep(wait_s)
    assert len(bench.driver.read()) == 1


def test_measurement_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """A few quick looks; the old value that stands there meanwhile is not taken."""
    bench.measure()
    bench.chip.measures = 0x3200
    bench.sleep(bench.driver.trigger() - 0.006)

    assert [measured.value for measured in bench.driver.read()] == [100.0]


def test_value_of_power_on_is_a_fault_by_its_reason(bench: ChipBench) -> None:
    """-256 degrees, even with every flag as it should be."""
    bench.chip.measures = 0x8000

    with pytest.raises(SensorError, match="lost its power") as caught:
        bench.measure()

    assert caught.value.reason == "power_on_value"


@pytest.mark.parametrize("word", [0x7FFF, 0x4B01, 0xE47F, 0x8001])
def test_value_beyond_what_silicon_measures_is_a_fault(bench: ChipBench, word: int) -> None:
    """The chip has no check byte, but it has limits: -55 and 150 degrees."""
    bench.chip.measures = word

    with pytest.raises(SensorError, match="cannot measure") as caught:
        bench.measure()

    assert caught.value.reason == "range"


@pytest.mark.parametrize(("word", "value"), [(0x4B00, 150.0), (0xE480, -55.0)])
def test_value_at_the_limit_is_a_value(bench: ChipBench, word: int, value: float) -> None:
    """6.3, the range it is made for."""
    bench.chip.measures = word

    assert bench.values() == {"": value}


@pytest.mark.parametrize("device", [0x0116, 0x0075, 0x0000, 0xFFFF])
def test_wrong_chip_is_refused_before_anything_is_written(bench: ChipBench, device: int) -> None:
    """Somebody else's chip keeps its settings."""
    bench.chip.chip_id = device

    with pytest.raises(SensorError, match=f"device id 0x{device:04x}") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
    assert bench.transfers() == ["r 0f 2"]


def test_later_revision_is_taken(bench: ChipBench) -> None:
    """The four highest bits of the device id."""
    bench.chip.chip_id = 0x1117

    assert bench.values() == {"": 25.0}
