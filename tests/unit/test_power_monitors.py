"""What the INA219 and the INA226 do alike: their example, and what goes wrong with both."""

from __future__ import annotations

import pytest
from fakes.chip_bench import ChipBench
from fakes.words import FakeIna219, FakeIna226

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.ina219 import Ina219, Ina219Options
from edge_agent.sensors.chips.ina226 import Ina226, Ina226Options
from edge_agent.types import Measurement

MAKE = {
    "ina219": lambda: ChipBench(Ina219, FakeIna219(), Ina219Options(shunt_ohms=0.002)),
    "ina226": lambda: ChipBench(Ina226, FakeIna226(), Ina226Options(shunt_ohms=0.002)),
}


@pytest.fixture(params=MAKE)
def bench(request: pytest.FixtureRequest) -> ChipBench:
    return MAKE[request.param]()


def test_example_of_the_data_sheet_gives_its_results(bench: ChipBench) -> None:
    """The register results of the example circuit: 20 mV over 2 milliohm, 11.98 V.

    Source: SBOS448, 9.2.2.1; SBOS547, the example (table 1 in 2011).
    """
    assert bench.measure() == [
        Measurement("voltage", 11.98, "volt"),
        Measurement("current", 10.0, "ampere"),
        Measurement("power", 119.8, "watt"),
    ]


def test_measurement_that_has_not_ended_is_not_ready(bench: ChipBench) -> None:
    """The registers still hold the old values; they are not passed off as new."""
    bench.measure()
    bench.chip.stuck = True

    assert bench.reason() == "not_ready"


def test_power_lost_during_a_measurement_is_a_fault(bench: ChipBench) -> None:
    """It goes on by itself with other settings, and would not average."""
    wait_s = bench.driver.trigger()
    bench.chip.restart()
    bench.sleep(wait_s)

    with pytest.raises(SensorError, match="lost its power") as caught:
        bench.driver.read()

    assert caught.value.reason == "power_on_value"


def test_power_lost_between_measurements_sets_up_anew(bench: ChipBench) -> None:
    """Another chip may have been plugged in meanwhile."""
    before = bench.measure()
    bench.chip.restart()
    assert bench.measure() == before

    bench.chip.chip_id = 0x1234
    bench.chip.restart()
    assert bench.reason() == "wrong_chip"
    assert bench.reason() == "wrong_chip"
