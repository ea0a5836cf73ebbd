"""SHT4x: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_humidity import FakeSht4x

from edge_agent.sensors.chips.sht4x import Sht4x, celsius, percent
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Sht4x, FakeSht4x())


# ── the formulas ──


@pytest.mark.parametrize(
    ("raw", "temperature", "humidity"),
    [(0x0000, -45.0, 0.0), (0x6666, 25.0, 44.0), (0xCCCC, 95.0, 94.0), (0xFFFF, 130.0, 100.0)],
)
def test_conversion_at_its_known_points_is_exact(
    raw: int, temperature: float, humidity: float
) -> None:
    """-6 and 119 percent are cut. The SHT3x's formula would give 40 and 80 percent."""
    assert celsius(raw) == pytest.approx(temperature)
    assert percent(raw) == pytest.approx(humidity)


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 25.0, "celsius"),
        Measurement("humidity", 56.501, "percent"),
    ]


def test_first_measurement_resets_and_then_orders(bench: ChipBench) -> None:
    """Every command is a transfer of its own, and so is the read."""
    bench.sleep(0.001)

    bench.measure()

    assert bench.transfers() == ["w 94", "w fd", "r 6"]
