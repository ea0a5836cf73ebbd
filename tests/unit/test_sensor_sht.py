"""What the SHT3x and the SHT4x do alike: one order, one answer of two words."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_humidity import FakeSht3x, FakeSht4x

from edge_agent.sensors.base import Sensor
from edge_agent.sensors.chips import sht3x, sht4x
from edge_agent.sensors.chips.hygrometer import celsius


@dataclasses.dataclass(frozen=True)
class Family:
    """One of the two."""

    driver: type[Sensor]
    chip: Callable[[], Any]
    percent: Callable[[int], float]
    #: the sheet's formula of the humidity in thousandths, in integers
    thousandths: Callable[[int], int]
    #: what the words 6667 and 5eb9 are
    humidity: float
    #: by the setting and its word: the order, and the longest that it takes in seconds
    setting: str
    orders: Mapping[str, tuple[str, float]]


FAMILIES = [
    Family(
        sht3x.Sht3x,
        FakeSht3x,
        sht3x.percent,
        lambda raw: 100_000 * raw // 65535,
        37.002,
        "repeatability",
        {"low": ("2416", 0.0045), "medium": ("240b", 0.0065), "high": ("2400", 0.0155)},
    ),
    Family(
        sht4x.Sht4x,
        FakeSht4x,
        sht4x.percent,
        lambda raw: min(max(125_000 * raw // 65535 - 6_000, 0), 100_000),
        40.252,
        "precision",
        {"low": ("e0", 0.0016), "medium": ("f6", 0.0045), "high": ("fd", 0.0083)},
    ),
]
both = pytest.mark.parametrize("family", FAMILIES, ids=["sht3x", "sht4x"])


@both
def test_conversion_agrees_with_integers_over_the_whole_scale(family: Family) -> None:
    """The sheet's formulas in thousandths, in integers, on raw values drawn from one seed."""
    for raw in random.Random(30).choices(range(1 << 16), k=10_000):
        assert abs(celsius(raw) * 1000 - (175_000 * raw // 65535 - 45_000)) < 1.001
        assert abs(family.percent(raw) * 1000 - family.thousandths(raw)) < 1.001


@both
def test_measurement_is_rounded_to_the_converters_step(family: Family) -> None:
    """25.0027 degrees are 25.003; the same words are in Sensirion's sheet of the SCD4x."""
    bench = ChipBench(family.driver, family.chip())
    bench.chip.measures = bytes.fromhex("6667a2 5eb93c")

    assert bench.values() == {"temperature": 25.003, "humidity": family.humidity}


@both
def test_later_measurement_is_two_transfers(family: Family) -> None:
    """Nothing has to be set again."""
    bench = ChipBench(family.driver, family.chip())
    bench.measure()
    bench.transfers()
    bench.measure()

    assert bench.transfers() == [f"w {family.orders['high'][0]}", "r 6"]


@both
@pytest.mark.parametrize("word", ["low", "medium", "high"])
def test_setting_chooses_order_and_wait(family: Family, word: str) -> None:
    """The table of the orders, and the longest that each takes."""
    order, wait_s = family.orders[word]
    bench = ChipBench(family.driver, family.chip(), **{family.setting: word})

    assert bench.driver.trigger() == wait_s
    assert bench.transfers()[-1] == f"w {order}"
    bench.sleep(wait_s)
    assert len(bench.driver.read()) == 2
