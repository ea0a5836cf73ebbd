"""MCP9808: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_temperature import FakeMcp9808

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.mcp9808 import Mcp9808, celsius
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Mcp9808, FakeMcp9808())


# ── the formula ──


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0xC194, 25.25),
        (0x0194, 25.25),
        (0x1FF0, -1.0),
        (0xFE70, -25.0),
        (0x0000, 0.0),
        (0x1FFF, -0.0625),
        (0x07D0, 125.0),
        (0x1D80, -40.0),
    ],
)
def test_conversion_at_its_known_points_is_exact(word: int, value: float) -> None:
    """With and without alarm bits; both ends of the range."""
    assert celsius(word) == value


def test_conversion_agrees_with_the_sample_code_over_the_whole_scale() -> None:
    """5.1.3, byte by byte, on words drawn from one seed; below zero with the sign it forgot."""
    for word in random.Random(98).choices(range(1 << 16), k=10_000):
        upper, lower = word >> 8 & 0x1F, word & 0xFF
        if upper & 0x10:
            expected = -(256 - ((upper & 0x0F) * 16 + lower / 16))
        else:
            expected = upper * 16 + lower / 16
        assert celsius(word) == expected


# ── the chip ──


def test_measurement_gives_one_channel_with_its_unit(bench: ChipBench) -> None:
    """Without a name: the sensor's own is enough."""
    assert bench.measure() == [Measurement("", 25.25, "celsius")]


def test_first_measurement_identifies_sets_up_and_marks(bench: ChipBench) -> None:
    """Maker, device, configuration, resolution, mark and its proof; then the first value's wait."""
    assert bench.driver.trigger() == 0.35

    assert bench.transfers() == [
        "r 06 2",
        "r 07 2",
        "w 01 0000",
        "w 08 03",
        "w 02 07d0",
        "r 02 2",
    ]


def test_later_measurement_waits_for_nothing(bench: ChipBench) -> None:
    """The chip measures by itself; the mark is looked at before and after."""
    bench.measure()
    bench.transfers()

    assert bench.driver.trigger() == 0.0
    bench.driver.read()

    assert bench.transfers() == ["r 02 2", "r 05 2", "r 02 2"]


def test_chip_left_asleep_is_woken(bench: ChipBench) -> None:
    """By a program that ran before; it would show that program's last value for ever."""
    bench.chip.set(0x01, b"\x01\x00")
    bench.chip.result = 0x0050

    assert bench.values() == {"": 25.25}


def test_power_lost_between_measurements_sets_up_anew_and_waits(bench: ChipBench) -> None:
    """The first value after it is a measured one."""
    bench.measure()
    bench.chip.restart()

    assert bench.driver.trigger() == 0.35


def test_zero_degrees_that_were_measured_are_a_value(bench: ChipBench) -> None:
    """It freezes at times."""
    bench.chip.measures = 0x0000

    assert bench.values() == {"": 0.0}


@pytest.mark.parametrize(("word", "shown"), [(0x0FFF, "255.9375"), (0x1000, "-256.0")])
def test_value_beyond_what_silicon_measures_is_a_fault(
    bench: ChipBench, word: int, shown: str
) -> None:
    """The chip has no check byte, but it has limits."""
    bench.chip.measures = word

    with pytest.raises(SensorError, match=f"0x18: {shown} degrees") as caught:
        bench.measure()

    assert caught.value.reason == "range"


@pytest.mark.parametrize(
    ("maker", "device"), [(0x0054, 0x0500), (0x5449, 0x0400), (0xFFFF, 0xFFFF), (0, 0)]
)
def test_wrong_chip_is_refused_before_anything_is_written(
    bench: ChipBench, maker: int, device: int
) -> None:
    """Somebody else's chip keeps its settings."""
    bench.chip.maker, bench.chip.chip_id = maker, device

    with pytest.raises(SensorError, match=f"maker 0x{maker:04x}") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
    assert not [done for done in bench.transfers() if done.startswith("w")]


def test_later_revision_is_taken(bench: ChipBench) -> None:
    """The low byte of the device register."""
    bench.chip.chip_id = 0x0401

    assert bench.values() == {"": 25.25}


def test_chip_that_keeps_nothing_is_refused(bench: ChipBench) -> None:
    """A locked one, which only a power failure unlocks: nothing would tell one."""
    bench.chip.keeps = False

    with pytest.raises(SensorError, match="off and on") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
