"""SHT4x: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chips import ChipBench
from fakes.chips_humidity import FakeSht4x

from edge_agent.errors import ChecksumError, SensorError
from edge_agent.options import options_of
from edge_agent.sensors.chips.sht4x import Sht4x, Sht4xOptions, celsius, percent
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
    """4.6; -6 and 119 percent are cut. The SHT3x's formula would give 40 and 80 percent."""
    assert celsius(raw) == pytest.approx(temperature)
    assert percent(raw) == pytest.approx(humidity)


def test_conversion_agrees_with_integers_over_the_whole_scale() -> None:
    """The sheet's formulas in thousandths, in integers, on raw values drawn from one seed."""
    for raw in random.Random(40).choices(range(1 << 16), k=10_000):
        assert abs(celsius(raw) * 1000 - (175_000 * raw // 65535 - 45_000)) < 1.001
        cut = min(max(125_000 * raw // 65535 - 6_000, 0), 100_000)
        assert abs(percent(raw) * 1000 - cut) < 1.001


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 25.0, "celsius"),
        Measurement("humidity", 56.501, "percent"),
    ]


def test_measurement_is_rounded_to_the_converters_step(bench: ChipBench) -> None:
    """25.0027 degrees are 25.003; the same words are in Sensirion's sheet of the SCD4x."""
    bench.chip.measures = bytes.fromhex("6667a2 5eb93c")

    assert bench.values() == {"temperature": 25.003, "humidity": 40.252}


def test_first_measurement_resets_and_then_orders(bench: ChipBench) -> None:
    """Every command is a transfer of its own, and so is the read."""
    bench.adapter.sleep(0.001)

    bench.measure()

    assert bench.transfers() == ["write 94", "write fd", "read 6"]


def test_later_measurement_is_two_transfers(bench: ChipBench) -> None:
    """Nothing has to be set again."""
    bench.measure()
    bench.transfers()

    bench.measure()

    assert bench.transfers() == ["write fd", "read 6"]


@pytest.mark.parametrize(
    ("precision", "order", "wait_s"),
    [("low", "e0", 0.0016), ("medium", "f6", 0.0045), ("high", "fd", 0.0083)],
)
def test_precision_chooses_order_and_wait(precision: str, order: str, wait_s: float) -> None:
    """4.5 and 3.2."""
    bench = ChipBench(Sht4x, FakeSht4x(), precision=precision, address=0x46)

    assert bench.driver.trigger() == wait_s
    assert bench.transfers()[-1] == f"write {order}"
    bench.adapter.sleep(wait_s)
    assert len(bench.driver.read()) == 2


def test_measurement_that_never_ends_is_a_nack(bench: ChipBench) -> None:
    """No old value is passed off as a new one."""
    bench.measure()
    bench.driver.trigger()
    bench.chip.stuck = True

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason == "nack"


@pytest.mark.parametrize("frame", ["666692 8000a2", "666693 8000a3", "ffffff ffffff", "00" * 6])
def test_frame_whose_check_byte_does_not_fit_is_refused(bench: ChipBench, frame: str) -> None:
    """Either of them; so is what a stuck data line gives."""
    bench.chip.measures = bytes.fromhex(frame)

    with pytest.raises(ChecksumError) as caught:
        bench.measure()

    assert caught.value.reason == "crc"


@pytest.mark.parametrize(
    "frame", ["000081 8000a2", "ffffac 8000a2", "666693 000081", "666693 ffffac"]
)
def test_value_at_the_end_of_its_scale_is_saturated(bench: ChipBench, frame: str) -> None:
    """-45 and 130 degrees, -6 and 119 percent are no measurements."""
    bench.chip.measures = bytes.fromhex(frame)

    with pytest.raises(SensorError, match="saturated or broken") as caught:
        bench.measure()

    assert caught.value.reason == "saturated"


def test_power_lost_during_a_measurement_is_a_fault_and_the_next_is_right(
    bench: ChipBench,
) -> None:
    """The chip has nothing to say; the next order holds all settings."""
    before = bench.measure()
    wait_s = bench.driver.trigger()
    bench.chip.restart()
    bench.adapter.sleep(wait_s)

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason == "nack"
    assert bench.measure() == before


@pytest.mark.parametrize(
    ("name", "wrong"), [("address", 0x47), ("address", 0x43), ("precision", "highest")]
)
def test_option_out_of_range_is_refused(name: str, wrong: object) -> None:
    """Three addresses, three words."""
    (kind,) = (option.kind for option in options_of(Sht4xOptions) if option.name == name)

    with pytest.raises(ValueError, match=r"allowed|not one of"):
        kind.parse(wrong)
