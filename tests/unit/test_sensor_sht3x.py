"""SHT3x: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_humidity import FakeSht3x

from edge_agent.sensors.chips.sht3x import Sht3x, celsius, percent
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Sht3x, FakeSht3x())


# ── the formulas ──


@pytest.mark.parametrize(
    ("raw", "temperature", "humidity"),
    [(0x0000, -45.0, 0.0), (0x6666, 25.0, 40.0), (0xFFFF, 130.0, 100.0)],
)
def test_conversion_at_its_known_points_is_exact(
    raw: int, temperature: float, humidity: float
) -> None:
    """4.13: both ends of the scale, and a raw number that is two fifths of it."""
    assert celsius(raw) == pytest.approx(temperature)
    assert percent(raw) == pytest.approx(humidity)


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 25.0, "celsius"),
        Measurement("humidity", 50.001, "percent"),
    ]


def test_first_measurement_breaks_resets_and_then_orders(bench: ChipBench) -> None:
    """Every command is a transfer of its own, and so is the read."""
    bench.measure()

    assert bench.transfers() == [
        "w 3093",
        "w 3093",  # the first found the chip still starting
        "w 30a2",
        "w 2400",
        "r 6",
    ]


def test_chip_left_in_periodic_mode_is_freed(bench: ChipBench) -> None:
    """By a program that ran before; single orders would go unheard."""
    bench.chip.periodic = True

    assert bench.values() == {"temperature": 25.0, "humidity": 50.001}


def test_measurement_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """The bus's own second try is enough."""
    bench.sleep(bench.driver.trigger() - 0.004)

    assert len(bench.driver.read()) == 2


@pytest.mark.parametrize(("humidity", "value"), [("000081", 0.0), ("ffffac", 100.0)])
def test_humidity_at_the_end_of_its_scale_is_a_value(
    bench: ChipBench, humidity: str, value: float
) -> None:
    """Bone-dry and dripping are both possible."""
    bench.chip.measures = bytes.fromhex(f"666693 {humidity}")

    assert bench.values()["humidity"] == value
