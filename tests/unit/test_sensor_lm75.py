"""The LM75's family: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_temperature import FakeLm75

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.lm75 import Lm75, celsius
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Lm75, FakeLm75())


# ── the formula ──


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0x7FF0, 127.9375),
        (0x6400, 100.0),
        (0x1900, 25.0),
        (0x0040, 0.25),
        (0x0000, 0.0),
        (0xFFC0, -0.25),
        (0xE700, -25.0),
        (0xC900, -55.0),
    ],
)
@pytest.mark.parametrize("may_extend", [False, True])
def test_conversion_matches_the_table_of_twelve_bits(
    word: int, value: float, may_extend: bool
) -> None:
    """TMP102, table of the temperature data format."""
    assert celsius(word, 12, may_extend=may_extend) == value


@pytest.mark.parametrize(
    ("word", "value"),
    [(0x4B01, 150.0), (0x4001, 128.0), (0x0C87, 25.0), (0xF381, -25.0), (0x0C89, 25.0625)],
)
def test_conversion_matches_the_table_of_extended_mode(word: int, value: float) -> None:
    """Thirteen bits from the left, told by the lowest one, which only a TMP102 defines."""
    assert celsius(word, 12, may_extend=True) == value
    assert celsius(word, 12) != value


@pytest.mark.parametrize(
    ("bits", "word", "value"),
    [
        (9, 0x7D00, 125.0),
        (9, 0xFFFF, -0.5),
        (9, 0x19FF, 25.5),
        (9, 0xC97F, -55.0),
        (11, 0x7F1F, 127.0),
        (11, 0x0020, 0.125),
        (11, 0xFFFF, -0.125),
        (11, 0xC900, -55.0),
    ],
)
def test_undefined_bits_are_no_part_of_the_value(bits: int, word: int, value: float) -> None:
    """Nine bits of an LM75, eleven of an LM75B or PCT2075."""
    assert celsius(word, bits) == value


@pytest.mark.parametrize("bits", [9, 11, 12])
def test_conversion_agrees_with_the_sheets_recipe_over_the_whole_scale(bits: int) -> None:
    """LM75B, 7.4.3: by the sign, plus the number or minus its two's complement, times a step."""
    step = 2.0 ** (8 - bits)
    for word in random.Random(75).choices(range(1 << 16), k=10_000):
        number = word >> 16 - bits
        negative = bool(number >> bits - 1)
        magnitude = (1 << bits) - number if negative else number
        assert celsius(word, bits) == (-magnitude if negative else magnitude) * step


# ── the chip ──


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("lm75", 25.5),
        ("lm75b", 25.625),
        ("pct2075", 25.625),
        ("tmp75", 25.6875),
        ("tmp102", 25.6875),
    ],
)
def test_every_part_measures_as_finely_as_it_can(model: str, value: float) -> None:
    """25.6875 degrees, in steps of a half, an eighth, a sixteenth; without a channel's name."""
    bench = ChipBench(Lm75, FakeLm75(0x19B0, model), model=model)

    assert bench.measure() == [Measurement("", value, "celsius")]


def test_chip_that_somebody_set_to_extended_mode_is_read_right() -> None:
    """Its thirteen bits are told by the last one; only a TMP102 has such a mode."""
    bench = ChipBench(Lm75, FakeLm75(0x0C88, "tmp102"), model="tmp102")
    bench.measure()
    bench.chip.set(0x01, b"\x60\xb0")
    bench.sleep(1.0)

    assert bench.values() == {"": 25.0625}


@pytest.mark.parametrize(
    ("model", "configuration"),
    [("lm75", "00"), ("lm75b", "00"), ("pct2075", "00"), ("tmp75", "60"), ("tmp102", "60a0")],
)
def test_first_measurement_sets_up_and_marks(model: str, configuration: str) -> None:
    """Resolution, mark and its proof; then the first value's wait."""
    bench = ChipBench(Lm75, FakeLm75(model=model), model=model, address=0x4B)

    assert bench.driver.trigger() == 0.3
    assert bench.transfers() == [f"w 01 {configuration}", "w 02 4a80", "r 02 2"]


def test_later_measurement_waits_for_nothing(bench: ChipBench) -> None:
    """The chip measures by itself; the mark is looked at before and after."""
    bench.measure()
    bench.transfers()

    assert bench.driver.trigger() == 0.0
    bench.driver.read()

    assert bench.transfers() == ["r 02 2", "r 00 2", "r 02 2"]


def test_chip_left_asleep_is_woken(bench: ChipBench) -> None:
    """By a program that ran before; it would show that program's last value for ever."""
    bench.chip.set(0x01, b"\x01")
    bench.chip.result = 0x0500

    assert bench.values() == {"": 25.0}


def test_power_lost_between_measurements_sets_up_anew_and_waits() -> None:
    """The resolution is gone too."""
    bench = ChipBench(Lm75, FakeLm75(0x1930, "tmp75"), model="tmp75")
    before = bench.measure()
    bench.chip.restart()

    assert bench.measure() == before == [Measurement("", 25.1875, "celsius")]


def test_set_up_that_was_cut_short_is_done_again(bench: ChipBench) -> None:
    """The mark is there, but nobody has waited for the first measurement yet."""
    bench.measure()
    bench.chip.restart()
    bench.adapter.fail(5, after=3)
    with pytest.raises(SensorError):
        bench.driver.trigger()
    bench.adapter.heal()

    assert bench.driver.trigger() == 0.3


def test_zero_degrees_that_were_measured_are_a_value() -> None:
    """It freezes at times."""
    bench = ChipBench(Lm75, FakeLm75(0x0000, "tmp102"), model="tmp102")

    assert bench.values() == {"": 0.0}


@pytest.mark.parametrize("word", [0xC800, 0x8000])
def test_value_beyond_what_silicon_measures_is_a_fault(bench: ChipBench, word: int) -> None:
    """The chip has no check byte, but it has limits."""
    bench.chip.measures = word

    with pytest.raises(SensorError, match="cannot measure") as caught:
        bench.measure()

    assert caught.value.reason == "range"


def test_chip_that_keeps_nothing_is_the_wrong_one(bench: ChipBench) -> None:
    """The family has no identity; a stuck data line gives itself away so, too."""
    bench.chip.keeps = False

    with pytest.raises(SensorError, match="check `address`, `type` and SDA") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
