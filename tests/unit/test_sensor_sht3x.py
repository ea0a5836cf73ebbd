"""SHT3x: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chips import ChipBench
from fakes.chips_humidity import FakeSht3x

from edge_agent.errors import ChecksumError, SensorError
from edge_agent.options import options_of
from edge_agent.sensors.chips.sht3x import Sht3x, Sht3xOptions, celsius, percent
from edge_agent.sensors.i2c import crc8
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Sht3x, FakeSht3x())


# ── the formulas ──


def test_check_byte_of_the_data_sheet_fits() -> None:
    """Table 20: 0xBEEF gives 0x92."""
    assert crc8(b"\xbe\xef") == 0x92


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


def test_conversion_agrees_with_integers_over_the_whole_scale() -> None:
    """The sheet's formulas in thousandths, in integers, on raw values drawn from one seed."""
    for raw in random.Random(30).choices(range(1 << 16), k=10_000):
        assert abs(celsius(raw) * 1000 - (175_000 * raw // 65535 - 45_000)) < 1.001
        assert abs(percent(raw) * 1000 - 100_000 * raw // 65535) < 1.001


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 25.0, "celsius"),
        Measurement("humidity", 50.001, "percent"),
    ]


def test_measurement_is_rounded_to_the_converters_step(bench: ChipBench) -> None:
    """25.0027 degrees are 25.003; the same words are in Sensirion's sheet of the SCD4x."""
    bench.chip.measures = bytes.fromhex("6667a2 5eb93c")

    assert bench.values() == {"temperature": 25.003, "humidity": 37.002}


def test_first_measurement_breaks_resets_and_then_orders(bench: ChipBench) -> None:
    """Every command is a transfer of its own, and so is the read."""
    bench.measure()

    assert bench.transfers() == [
        "write 3093",
        "write 3093",  # the first found the chip still starting
        "write 30a2",
        "write 2400",
        "read 6",
    ]


def test_later_measurement_is_two_transfers(bench: ChipBench) -> None:
    """Nothing has to be set again."""
    bench.measure()
    bench.transfers()

    bench.measure()

    assert bench.transfers() == ["write 2400", "read 6"]


@pytest.mark.parametrize(
    ("repeatability", "order", "wait_s"),
    [("low", "2416", 0.0045), ("medium", "240b", 0.0065), ("high", "2400", 0.0155)],
)
def test_repeatability_chooses_order_and_wait(
    repeatability: str, order: str, wait_s: float
) -> None:
    """4.3, table 9, and 2.2."""
    bench = ChipBench(Sht3x, FakeSht3x(), repeatability=repeatability)

    assert bench.driver.trigger() == wait_s
    assert bench.transfers()[-1] == f"write {order}"
    bench.adapter.sleep(wait_s)
    assert len(bench.driver.read()) == 2


def test_chip_left_in_periodic_mode_is_freed(bench: ChipBench) -> None:
    """By a program that ran before; single orders would go unheard."""
    bench.chip.periodic = True

    assert bench.values() == {"temperature": 25.0, "humidity": 50.001}


def test_measurement_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """The bus's own second try is enough."""
    bench.adapter.sleep(bench.driver.trigger() - 0.004)

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

    with pytest.raises(ChecksumError, match="i2c-1 address 0x44: the check byte") as caught:
        bench.measure()

    assert caught.value.reason == "crc"


@pytest.mark.parametrize("frame", ["000081 8000a2", "ffffac 8000a2"])
def test_temperature_at_the_end_of_its_scale_is_saturated(bench: ChipBench, frame: str) -> None:
    """-45 and 130 degrees, with check bytes that fit, are no measurements."""
    bench.chip.measures = bytes.fromhex(frame)

    with pytest.raises(SensorError, match="saturated or broken") as caught:
        bench.measure()

    assert caught.value.reason == "saturated"


@pytest.mark.parametrize(("humidity", "value"), [("000081", 0.0), ("ffffac", 100.0)])
def test_humidity_at_the_end_of_its_scale_is_a_value(
    bench: ChipBench, humidity: str, value: float
) -> None:
    """Bone-dry and dripping are both possible."""
    bench.chip.measures = bytes.fromhex(f"666693 {humidity}")

    assert bench.values()["humidity"] == value


def test_power_lost_during_a_measurement_is_a_fault_and_the_next_is_right(
    bench: ChipBench,
) -> None:
    """The chip has nothing to say; the next order holds all settings."""
    before = bench.measure()
    bench.adapter.sleep(bench.driver.trigger() / 2)
    bench.chip.restart()
    bench.adapter.sleep(0.015)

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason == "nack"
    assert bench.measure() == before


@pytest.mark.parametrize(
    ("name", "wrong"), [("address", 0x46), ("address", 0x43), ("repeatability", "highest")]
)
def test_option_out_of_range_is_refused(name: str, wrong: object) -> None:
    """Two addresses, three words."""
    (kind,) = (option.kind for option in options_of(Sht3xOptions) if option.name == name)

    with pytest.raises(ValueError, match=r"allowed|not one of"):
        kind.parse(wrong)
