"""INA226: the data sheet's example, the order of the transfers, and what goes wrong with it."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from fakes.chip_bench import ChipBench
from fakes.words import FakeIna219, FakeIna226

from edge_agent.sensors.chips import ina226
from edge_agent.sensors.chips.ina226 import Ina226, Ina226Options

#: The shunt of the data sheet's example.
OPTIONS = Ina226Options(shunt_ohms=0.002)
#: What the calibration register holds for it, with a current of 1 mA a step.
CALIBRATION = int(Fraction("0.00512") / (Fraction("0.001") * Fraction("0.002")))


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Ina226, FakeIna226(), OPTIONS)


# ── the formulas ──


def chips_own_arithmetic(shunt: int, bus: int) -> tuple[int, int]:
    """Current and power registers as the chip computes them, in steps of 1 mA.

    Source: SBOS547, 6.5, equations 1, 3 and 4; a step of power is 25 of current.
    """
    current = shunt * CALIBRATION // 2048
    return current, abs(current) * bus // 20000


def test_current_and_power_agree_with_the_chips_own_arithmetic() -> None:
    """On raw values drawn from one seed, to the steps it cuts off."""
    assert chips_own_arithmetic(0x1F40, 0x2570) == (0x2710, 0x12B8)
    draw = random.Random(226)
    for _ in range(10_000):
        shunt, bus = draw.randrange(-32_000, 32_000), draw.randrange(32767)
        current, power = chips_own_arithmetic(shunt, bus)
        ampere, volt = ina226.amperes(shunt, 0.002), ina226.bus_volts(bus)
        assert abs(ampere - current * 0.001) <= 0.001
        assert abs(abs(ampere) * volt - power * 0.025) <= 0.001 * volt + 0.025


# ── the chip ──


def test_first_measurement_looks_who_is_there(bench: ChipBench) -> None:
    """By the ids of maker and chip, before anything is written."""
    bench.measure()

    assert bench.transfers() == [
        "r fe 2",
        "r ff 2",
        "w 00 4123",
        "r 06 2",
        "r 02 2",
        "r 01 2",
        "r 00 2",
    ]


def test_another_chip_is_refused_before_anything_is_written(bench: ChipBench) -> None:
    """Somebody else's chip is left as it is; a later revision of the same one is taken."""
    bench.chip.chip_id = 0x2270

    assert bench.reason() == "wrong_chip"
    assert [transfer for transfer in bench.transfers() if transfer[0] == "w"] == []
    bench.chip.chip_id = 0x2261
    assert bench.values()["voltage"] == 11.98


def test_another_makers_chip_is_refused(bench: ChipBench) -> None:
    """Whatever its other id."""
    bench.chip.words[0xFE] = 0x4954

    assert bench.reason() == "wrong_chip"


def test_ina219_at_the_same_address_is_refused() -> None:
    """It has no such registers, and would be read wrong."""

    class Ina219(FakeIna219):
        def get(self, register: int, length: int) -> bytes:
            return super().get(register & 7 if register & 7 < 6 else 0, length)

    assert ChipBench(ina226.Ina226, Ina219(), OPTIONS).reason() == "wrong_chip"
