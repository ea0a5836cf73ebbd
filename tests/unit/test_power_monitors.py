"""What the INA219 and the INA226 do alike: their example, and what goes wrong with both."""

from __future__ import annotations

import pytest
from fakes.chip_bench import ChipBench
from fakes.words import FakeIna219, FakeIna226, FakePower

from edge_agent.sensors.base import Sensor
from edge_agent.sensors.chips import ina219, ina226
from edge_agent.sensors.chips.ina219 import Ina219, Ina219Options
from edge_agent.sensors.chips.ina226 import Ina226, Ina226Options
from edge_agent.types import Measurement

MAKE = {
    "ina219": lambda: ChipBench(Ina219, FakeIna219(), Ina219Options(shunt_ohms=0.002)),
    "ina226": lambda: ChipBench(Ina226, FakeIna226(), Ina226Options(shunt_ohms=0.002)),
}


@pytest.fixture(params=MAKE)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bench(name: str) -> ChipBench:
    return MAKE[name]()


def test_example_of_the_data_sheet_gives_its_results(bench: ChipBench) -> None:
    """The register results of the example circuit: 20 mV over 2 milliohm, 11.98 V.

    Source: SBOS448, 9.2.2.1; SBOS547, the example (table 1 in 2011).
    """
    assert bench.measure() == [
        Measurement("voltage", 11.98, "volt"),
        Measurement("current", 10.0, "ampere"),
        Measurement("power", 119.8, "watt"),
    ]


def test_power_lost_between_measurements_sets_up_anew(bench: ChipBench) -> None:
    """Another chip may have been plugged in meanwhile."""
    before = bench.measure()
    bench.chip.restart()
    assert bench.measure() == before

    bench.chip.chip_id = 0x1234
    bench.chip.restart()
    assert bench.reason() == "wrong_chip"
    assert bench.reason() == "wrong_chip"


LATER = {
    "ina219": ["r 00 2", "r 03 2", "w 00 399b", "r 02 2", "r 01 2", "r 00 2"],
    "ina226": ["r 00 2", "w 00 4123", "r 06 2", "r 02 2", "r 01 2", "r 00 2"],
}


def test_later_measurement_is_six_transfers(name: str, bench: ChipBench) -> None:
    """Whether it kept its settings, the start, its end, the values, and the settings once more."""
    bench.measure()
    bench.transfers()
    bench.measure()

    assert bench.transfers() == LATER[name]


def test_current_that_flows_backwards_is_negative(bench: ChipBench) -> None:
    """A battery that is charged; the power goes with it."""
    bench.chip.shunt = -bench.chip.shunt

    assert bench.values() == {"voltage": 11.98, "current": -10.0, "power": -119.8}


#: Averaging, the word that says so in both fields, and the longest that it takes in seconds.
ORDERS = {
    "ina219": [(1, 0x399B, 0.001172), (8, 0x3DDB, 0.009376), (128, 0x3FFB, 0.150016)],
    "ina226": [(1, 0x4123, 0.00242), (64, 0x4723, 0.15488), (1024, 0x4F23, 2.47808)],
}


@pytest.mark.parametrize("number", range(3))
def test_average_is_written_and_waited_for(name: str, number: int) -> None:
    """Its code, and two conversions for each sample."""
    average, word, wait_s = ORDERS[name][number]
    driver, chip = {"ina219": (Ina219, FakeIna219()), "ina226": (Ina226, FakeIna226())}[name]
    bench = ChipBench(driver, chip, average=average)

    assert bench.driver.trigger() == pytest.approx(wait_s)
    assert bench.transfers()[-1] == f"w 00 {word:04x}"
    bench.sleep(wait_s)
    assert len(bench.driver.read()) == 3


AVERAGES = {
    # "ADC settings": 12 bits are one sample.
    "ina219": {1: 3, 2: 9, 4: 10, 8: 11, 16: 12, 32: 13, 64: 14, 128: 15},
    # "AVG bit settings".
    "ina226": {1: 0, 4: 1, 16: 2, 64: 3, 128: 4, 256: 5, 512: 6, 1024: 7},
}


def test_averages_are_those_of_the_data_sheet() -> None:
    """Each number of samples and its code."""
    assert AVERAGES["ina219"] == ina219.AVERAGES
    assert AVERAGES["ina226"] == ina226.AVERAGES


@pytest.mark.parametrize(
    ("driver", "chip", "current"),
    [(Ina219, FakeIna219(shunt=1), 3.3e-05), (Ina226, FakeIna226(shunt=1), 8.3e-06)],
)
def test_values_are_rounded_to_less_than_a_step(
    driver: type[Sensor], chip: FakePower, current: float
) -> None:
    """10 and 2.5 uV over 0.3 ohm, a third of which nobody measures."""
    assert ChipBench(driver, chip, shunt_ohms=0.3).values()["current"] == current


@pytest.mark.parametrize(
    ("driver", "chip"), [(Ina219, FakeIna219()), (Ina226, FakeIna226())], ids=["ina219", "ina226"]
)
def test_shunt_of_a_common_board_is_assumed(driver: type[Sensor], chip: FakePower) -> None:
    """R100: 20 mV are 0.2 A."""
    assert ChipBench(driver, chip).values()["current"] == 0.2


#: Registers at the end of their scale, and the last before it: shunt, shunt backwards, bus.
ENDS = {
    "ina219": ((32_000, -32_000, 8_000 << 3), (31_999, -31_999, 7_999 << 3), 31.996),
    "ina226": ((0x7FFF, -0x8000, 0x7FFF), (0x7FFE, -0x7FFF, 0x7FFE), 40.9575),
}


def test_value_at_the_end_of_the_range_is_saturated_and_one_before_it_is_not(
    name: str, bench: ChipBench
) -> None:
    """A short circuit is no current of 160 A; it is told by its channel's fault."""
    (most, least, full), (more, less, high), volts = ENDS[name]

    def faults(shunt: int, bus: int) -> dict[str, str]:
        bench.chip.shunt, bench.chip.bus = shunt, bus
        return {one.channel: one.detail for one in bench.measure() if one.fault}

    for shunt in (most, least):
        said = faults(shunt, high)
        assert list(said) == ["current", "power"]
        assert "check the load" in said["current"]
    said = faults(more, full)
    assert list(said) == ["voltage", "power"]
    assert "take it off at once" in said["voltage"]
    for shunt in (more, less):
        assert faults(shunt, high) == {}
        assert bench.values()["voltage"] == pytest.approx(volts)
