"""INA219: the data sheet's example, the order of the transfers, and what goes wrong with it."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from fakes.chip_bench import ChipBench
from fakes.words import FakeIna219

from edge_agent.errors import SensorError
from edge_agent.sensors.chips import ina219
from edge_agent.sensors.chips.ina219 import Ina219, Ina219Options

#: The shunt of the data sheet's example.
OPTIONS = Ina219Options(shunt_ohms=0.002)
#: What the calibration register holds for it, with a current of 1 mA a step.
CALIBRATION = int(Fraction("0.04096") / (Fraction("0.001") * Fraction("0.002")))


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Ina219, FakeIna219(), OPTIONS)


# ── the formulas ──


def chips_own_arithmetic(shunt: int, bus: int) -> tuple[int, int]:
    """Current and power registers as the chip computes them, in steps of 1 mA.

    Source: SBOS448, 8.5.1, equations 1, 4 and 5; a step of power is 20 of current.
    """
    current = shunt * CALIBRATION // 4096
    return current, abs(current) * bus // 5000


def test_current_and_power_agree_with_the_chips_own_arithmetic() -> None:
    """On raw values drawn from one seed, to the steps it cuts off."""
    assert chips_own_arithmetic(0x07D0, 0x5D98 >> 3) == (0x2710, 0x1766)
    draw = random.Random(219)
    for _ in range(10_000):
        shunt, bus = draw.randrange(-32_000, 32_000), draw.randrange(8000)
        current, power = chips_own_arithmetic(shunt, bus)
        ampere, volt = ina219.amperes(shunt, 0.002), ina219.bus_volts(bus << 3)
        assert abs(ampere - current * 0.001) <= 0.001
        assert abs(abs(ampere) * volt - power * 0.02) <= 0.001 * volt + 0.02


# ── the chip ──


def test_first_measurement_looks_who_is_there(bench: ChipBench) -> None:
    """It has no id: after a reset its settings are an INA219's, which no other chip has."""
    bench.measure()

    assert bench.transfers() == [
        "w 00 8000",
        "r 00 2",
        "r 03 2",
        "w 00 399b",
        "r 02 2",
        "r 01 2",
        "r 00 2",
    ]


def test_another_chip_is_refused_with_a_hint() -> None:
    """An INA226 sits at the same addresses and would be read wrong; so do humidity sensors."""
    for chip_id, hint in {0x4127: "use `type: ina226`", 0xFFFF: "0xffff"}.items():
        with pytest.raises(SensorError, match=hint) as caught:
            ChipBench(Ina219, FakeIna219(chip_id=chip_id)).measure()
        assert caught.value.reason == "wrong_chip"


def test_flag_of_an_overflow_is_no_part_of_the_voltage(bench: ChipBench) -> None:
    """It speaks of the chip's own arithmetic, which is not used."""
    bench.chip.bus |= 1

    assert bench.values()["voltage"] == 11.98
