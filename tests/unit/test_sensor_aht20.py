"""AHT20 and AHT10: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.chip_bench import ChipBench
from fakes.chips_humidity import FakeAht20

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.aht20 import Aht20, Frame, celsius, percent
from edge_agent.sensors.i2c import crc8
from edge_agent.types import Measurement

#: Captured from a real AHT20: status, 20 bits of humidity, 20 of temperature, check byte.
CAPTURED = bytes.fromhex("1c269a7642e776")


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Aht20, FakeAht20())


# ── the formulas ──


def test_captured_frame_is_taken_apart_and_its_check_byte_fits() -> None:
    """The middle byte is shared: its high half ends the humidity."""
    assert Frame.parse(CAPTURED) == Frame(0x1C, 0x269A7, 0x642E7)
    assert crc8(CAPTURED[:-1]) == CAPTURED[-1]


def test_captured_frame_converts_to_its_known_values() -> None:
    """15.0794 %RH and 28.2667 °C."""
    frame = Frame.parse(CAPTURED)

    assert percent(frame.humidity) == pytest.approx(15.0794, abs=1e-4)
    assert celsius(frame.temperature) == pytest.approx(28.2667, abs=1e-4)


@pytest.mark.parametrize(
    ("raw", "temperature", "humidity"), [(0, -50.0, 0.0), (0x80000, 50.0, 50.0)]
)
def test_conversion_at_its_known_points_is_exact(
    raw: int, temperature: float, humidity: float
) -> None:
    """Nothing, and half of the scale."""
    assert celsius(raw) == temperature
    assert percent(raw) == humidity


def test_frame_and_conversion_agree_with_integers_over_the_whole_scale() -> None:
    """Taken apart byte by byte and converted in thousandths, on frames drawn from one seed."""
    draw = random.Random(20)
    for _ in range(10_000):
        data = draw.randbytes(7)
        frame = Frame.parse(data)
        humidity = data[1] << 12 | data[2] << 4 | data[3] >> 4
        temperature = (data[3] & 0x0F) << 16 | data[4] << 8 | data[5]
        assert abs(percent(frame.humidity) * 1000 - (humidity * 100_000 >> 20)) < 1.001
        assert abs(celsius(frame.temperature) * 1000 - ((temperature * 200_000 >> 20) - 50_000)) < (
            1.001
        )


# ── the chip ──


def test_measurement_gives_both_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 28.267, "celsius"),
        Measurement("humidity", 15.079, "percent"),
    ]


def test_first_measurement_loads_the_calibration(bench: ChipBench) -> None:
    """Only a chip whose status says it has none; the status is a plain read, without a command."""
    assert bench.driver.trigger() == 0.080
    bench.sleep(0.080)
    bench.driver.read()

    assert bench.transfers() == ["r 1", "w be0800", "r 1", "w ac3300", "r 7"]


def test_later_measurement_is_three_transfers(bench: ChipBench) -> None:
    """One look whether the chip is still calibrated, the order, the answer."""
    bench.measure()
    bench.transfers()

    bench.measure()

    assert bench.transfers() == ["r 1", "w ac3300", "r 7"]


def test_aht10_is_loaded_by_its_own_command_and_gives_no_check_byte() -> None:
    """Its sixth byte is the last."""
    bench = ChipBench(Aht20, FakeAht20(model="aht10"), model="aht10", address=0x39)

    assert bench.values() == {"temperature": 28.267, "humidity": 15.079}
    assert bench.transfers() == ["r 1", "w e10800", "r 1", "w ac3300", "r 6"]


def test_chip_that_does_not_take_the_calibration_says_what_to_check() -> None:
    """An AHT10 under the settings of an AHT20."""
    bench = ChipBench(Aht20, FakeAht20(model="aht10"))

    with pytest.raises(SensorError, match="check `model`") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "calibration"


def test_measurement_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """A few quick looks; the old values it shows meanwhile are not taken."""
    bench.sleep(bench.driver.trigger() - 0.012)

    assert len(bench.driver.read()) == 2
    assert bench.transfers()[-3:] == ["r 7"] * 3


def test_power_lost_by_an_aht10_is_a_fault_and_the_next_is_right() -> None:
    """The registers hold zeros then, which would be -50 degrees."""
    bench = ChipBench(Aht20, FakeAht20(model="aht10"), model="aht10")
    before = bench.measure()
    wait_s = bench.driver.trigger()
    bench.chip.restart()
    bench.sleep(wait_s)

    with pytest.raises(SensorError, match="lost its calibration") as caught:
        bench.driver.read()

    assert caught.value.reason == "power_on_value"
    assert bench.measure() == before


def test_power_lost_by_a_chip_that_calibrates_itself_is_a_fault(bench: ChipBench) -> None:
    """Zeros with a good status and check byte are still no temperature."""
    wait_s = bench.driver.trigger()
    bench.chip.restart()
    bench.chip.calibrated = True
    bench.sleep(wait_s)

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason == "saturated"


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_stuck_data_line_of_a_chip_without_check_byte_gives_no_value(byte: int) -> None:
    """All zeros are not calibrated, all ones are busy for ever."""
    bench = ChipBench(Aht20, FakeAht20(model="aht10"), model="aht10")
    bench.driver.trigger()
    bench.chip.answer = lambda length: bytes([byte]) * length

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason in {"power_on_value", "not_ready"}
