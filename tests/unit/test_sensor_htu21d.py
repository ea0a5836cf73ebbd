"""HTU21D, SHT2x and Si7021: known answers, the order of the transfers, and what can go wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_humidity import FakeHtu21d

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.htu21d import Htu21d, celsius, percent
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Htu21d, FakeHtu21d())


# ── the formulas ──


@pytest.mark.parametrize(
    ("raw", "value"), [(0x6838, 44.888), (0x6350, 42.49), (0, 0), (0xFFFC, 100)]
)
def test_humidity_at_its_known_points_is_right(raw: int, value: float) -> None:
    """The examples of the HTU21D and the SHT21; -6 and 119 percent are cut."""
    assert percent(raw) == pytest.approx(value, abs=5e-3)


def test_temperature_at_its_known_points_is_right() -> None:
    """The ends of the scale, and the HTU21D's example of a checksum, whose number is 20,100."""
    assert celsius(0) == -46.85
    assert celsius(0x4E84) == pytest.approx(20_100 * 175.72 / 65_536 - 46.85)
    assert celsius(0xFFFC) == pytest.approx(128.859, abs=1e-3)


def test_conversion_agrees_with_integers_over_the_whole_scale() -> None:
    """The sheet's formulas in thousandths, in integers, on raw values drawn from one seed."""
    for raw in random.Random(21).choices(range(0, 1 << 16, 4), k=10_000):
        assert abs(celsius(raw) * 1000 - ((raw * 175_720 >> 16) - 46_850)) < 1.001
        cut = min(max((raw * 125_000 >> 16) - 6_000, 0), 100_000)
        assert abs(percent(raw) * 1000 - cut) < 1.001


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """The status bits of the raw values are no part of them."""
    assert bench.measure() == [
        Measurement("temperature", 7.04, "celsius"),
        Measurement("humidity", 44.89, "percent"),
    ]


def test_first_measurement_sets_the_resolution_and_keeps_the_reserved_bits() -> None:
    """13 and 10 bits, the heater off; every measurement is a write, a STOP and a read."""
    bench = ChipBench(Htu21d, FakeHtu21d("si7021"))
    bench.sleep(0.015)
    bench.chip.user |= 0x04

    assert bench.driver.trigger() == 0.043
    assert bench.transfers() == ["r e7 1", "w e6 ba", "r e7 1", "w f3"]
    bench.sleep(0.043)
    bench.driver.read()
    assert bench.transfers()[:2] == ["r 3", "w f5"]


@pytest.mark.parametrize("resolution", [0x00, 0x01, 0x81])
def test_any_other_resolution_is_set_to_ours(bench: ChipBench, resolution: int) -> None:
    """Its two bits stand at both ends of the register."""
    bench.chip.user |= resolution

    bench.measure()

    assert bench.chip.user == 0x82


def test_later_measurement_is_five_transfers(bench: ChipBench) -> None:
    """One look whether the chip is still set up, then twice an order and an answer."""
    bench.measure()
    bench.transfers()

    bench.measure()

    assert bench.transfers() == ["r e7 1", "w f3", "r 3", "w f5", "r 3"]


@pytest.mark.parametrize("model", ["htu21d", "sht2x", "si7021"])
def test_every_part_of_the_family_is_ready_in_time(model: str) -> None:
    """Each with its own longest times; the driver itself waits for 9 ms, the bus for a little."""
    bench = ChipBench(Htu21d, FakeHtu21d(model))
    bench.measure()
    bench.adapter.slept.clear()

    assert bench.values() == {"temperature": 7.04, "humidity": 44.89}
    assert sum(bench.adapter.slept) <= 0.043 + 0.009 + 0.005


def test_power_lost_between_measurements_sets_the_resolution_anew(bench: ChipBench) -> None:
    """It shows in the user register."""
    before = bench.measure()
    bench.chip.restart()

    assert bench.measure() == before
    assert bench.chip.user == 0x82


def test_chip_that_does_not_keep_the_resolution_is_the_wrong_one(bench: ChipBench) -> None:
    """The family has no common identity; an INA219 at the same address gives itself away so."""
    bench.chip.keeps = False

    with pytest.raises(SensorError, match="check `address` and `type`") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
