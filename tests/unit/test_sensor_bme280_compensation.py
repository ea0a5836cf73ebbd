"""BME280 and BMP280: their compensation, by the worked example and the maker's own arithmetic."""

from __future__ import annotations

import random

import pytest
from fakes.i2c import VECTOR_A, VECTOR_A_DATA, VECTOR_B, VECTOR_B_DATA, VECTOR_B_HUMIDITY

from edge_agent.errors import SensorError
from edge_agent.sensors.chips import bme280
from edge_agent.sensors.chips.bme280 import Calibration, Raw

#: Celsius, hectopascal and percent.
Quantities = tuple[float, float, float]


def test_calibration_of_the_worked_example_is_read_as_printed() -> None:
    """BST-BMP280-DS001, 3.12: the calibration of its worked example."""
    calibration = Calibration.parse(VECTOR_A, None)

    assert calibration.t == (27504, 26435, -1000)
    assert calibration.p == (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    assert calibration.h is None


def test_raw_values_of_the_worked_example_are_read_as_printed() -> None:
    """BST-BMP280-DS001, 3.12: 20 bits each, pressure first."""
    assert Raw.parse(VECTOR_A_DATA) == Raw(519888, 415148, None)


def test_raw_values_of_a_finer_measurement_keep_their_last_bits() -> None:
    """Four of the third byte, with oversampling; the humidity begins after them."""
    data = bytes.fromhex("4f5730 8451f0 5eb4")

    assert Raw.parse(data) == Raw(0x8451F, 0x4F573, 0x5EB4)


def test_compensation_of_the_worked_example_gives_its_results() -> None:
    """Vector A: 25.08 °C and 1006.53 hPa."""
    calibration = Calibration.parse(VECTOR_A, None)

    values = bme280.compensate(Raw.parse(VECTOR_A_DATA), calibration)

    assert bme280.fine_temperature(519888, calibration) == pytest.approx(128422.287, abs=1e-3)
    assert values["temperature"] == pytest.approx(25.0825, abs=1e-4)
    assert values["pressure"] == pytest.approx(1006.53267, abs=1e-5)
    assert list(values) == ["temperature", "pressure"]


def test_compensation_of_a_real_chip_gives_its_known_results() -> None:
    """Vector B: a BME280's registers, humidity included."""
    calibration = Calibration.parse(VECTOR_B, VECTOR_B_HUMIDITY)

    values = bme280.compensate(Raw.parse(VECTOR_B_DATA), calibration)

    assert values["temperature"] == pytest.approx(27.3785, abs=1e-4)
    assert values["pressure"] == pytest.approx(1012.2228, abs=1e-4)
    assert values["humidity"] == pytest.approx(32.904, abs=1e-3)


def fixed_point(raw: Raw, calibration: Calibration) -> Quantities:
    """The data sheet's other formulas (4.2.3), in integers: celsius, hectopascal, percent.

    Python's ``>>`` rounds down as C's does for the signed numbers here; its division of negative
    numbers differs, so the one division is cut towards zero.
    """
    t1, t2, t3 = calibration.t
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration.p
    assert calibration.h is not None
    assert raw.humidity is not None
    h1, h2, h3, h4, h5, h6 = calibration.h
    linear = (((raw.temperature >> 3) - (t1 << 1)) * t2) >> 11
    square = (((((raw.temperature >> 4) - t1) ** 2) >> 12) * t3) >> 14
    t_fine = linear + square
    celsius = ((t_fine * 5 + 128) >> 8) / 100

    a = t_fine - 128000
    b = a * a * p6 + ((a * p5) << 17) + (p4 << 35)
    a = ((a * a * p3) >> 8) + ((a * p2) << 12)
    a = (((1 << 47) + a) * p1) >> 33
    p = int((((1048576 - raw.pressure) << 31) - b) * 3125 / a)
    p = ((p + ((p9 * (p >> 13) * (p >> 13)) >> 25) + ((p8 * p) >> 19)) >> 8) + (p7 << 4)

    h = t_fine - 76800
    left = ((raw.humidity << 14) - (h4 << 20) - h5 * h + 16384) >> 15
    right = (((h * h6) >> 10) * (((h * h3) >> 11) + 32768)) >> 10
    h = left * (((right + 2097152) * h2 + 8192) >> 14)
    h -= (((h >> 15) ** 2 >> 7) * h1) >> 4
    return celsius, p / 25600, (min(max(h, 0), 419430400) >> 12) / 1024


def floating_point(raw: Raw, calibration: Calibration) -> Quantities:
    """The data sheet's formulas in double precision (8.1), step by step as they are printed."""
    t1, t2, t3 = calibration.t
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration.p
    assert calibration.h is not None
    assert raw.humidity is not None
    h1, h2, h3, h4, h5, h6 = calibration.h
    var1 = (raw.temperature / 16384.0 - t1 / 1024.0) * t2
    var2 = (raw.temperature / 131072.0 - t1 / 8192.0) ** 2 * t3
    t_fine = int(var1 + var2)
    celsius = (var1 + var2) / 5120.0

    var1 = t_fine / 2.0 - 64000.0
    var2 = var1 * var1 * p6 / 32768.0
    var2 = var2 + var1 * p5 * 2.0
    var2 = var2 / 4.0 + p4 * 65536.0
    var1 = (p3 * var1 * var1 / 524288.0 + p2 * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p1
    p = 1048576.0 - raw.pressure
    p = (p - var2 / 4096.0) * 6250.0 / var1
    var1 = p9 * p * p / 2147483648.0
    var2 = p * p8 / 32768.0
    p = p + (var1 + var2 + p7) / 16.0

    h = t_fine - 76800.0
    h = (raw.humidity - (h4 * 64.0 + h5 / 16384.0 * h)) * (
        h2 / 65536.0 * (1.0 + h6 / 67108864.0 * h * (1.0 + h3 / 67108864.0 * h))
    )
    h = h * (1.0 - h1 * h / 524288.0)
    return celsius, p / 100, min(max(h, 0.0), 100.0)


def test_compensation_agrees_with_both_formulas_over_the_whole_range() -> None:
    """The maker's integers and doubles, written apart, on raw values drawn from one seed."""
    draw = random.Random(280)
    compared = 0
    while compared < 10_000:
        # The chips of both vectors have no third humidity word; others have.
        trimming = VECTOR_B_HUMIDITY[:2] + draw.randbytes(1) + VECTOR_B_HUMIDITY[3:]
        calibration = Calibration.parse(draw.choice((VECTOR_A, VECTOR_B)), trimming)
        raw = Raw(
            draw.randrange(300_000, 750_000),
            draw.randrange(200_000, 900_000),
            draw.randrange(1 << 16),
        )
        values = bme280.compensate(raw, calibration)
        temperature, humidity, pressure = values.values()
        # Outside what the chip measures (1.1) the integers overflow, and nothing is promised.
        if -40 <= temperature <= 85 and 300 <= pressure <= 1100:
            compared += 1
            celsius, hectopascal, percent = fixed_point(raw, calibration)
            assert abs(temperature - celsius) < 0.01
            assert abs(pressure - hectopascal) < 0.02
            assert abs(humidity - percent) < 0.05
            pairs = zip(
                on_whole_steps(raw, calibration), floating_point(raw, calibration), strict=True
            )
            assert all(abs(ours - makers) < 1e-9 for ours, makers in pairs)


def on_whole_steps(raw: Raw, calibration: Calibration) -> Quantities:
    """The product's, on a fine temperature without its fraction, which the sheet cuts off."""
    assert calibration.h is not None
    assert raw.humidity is not None
    fine = bme280.fine_temperature(raw.temperature, calibration)
    return (
        fine / 5120,
        bme280.pressure_hectopascal(raw.pressure, int(fine), calibration),
        bme280.humidity_percent(raw.humidity, int(fine), calibration.h),
    )


def test_humidity_words_of_twelve_bits_keep_their_sign() -> None:
    """H4 and H5 share a byte; each is negative when its own top bit is set."""
    block = bytes.fromhex("0000 00 ff 1f fe 00")

    assert Calibration.parse(VECTOR_B, block).h == (0x4B, 0, 0, -1, -31, 0)


@pytest.mark.parametrize(("raw", "percent"), [(0, 0.0), (65535, 100.0)])
def test_humidity_beyond_what_air_can_hold_is_cut(raw: int, percent: float) -> None:
    """As the data sheet cuts it: 0 to 100."""
    calibration = Calibration.parse(VECTOR_B, VECTOR_B_HUMIDITY)
    assert calibration.h is not None

    assert bme280.humidity_percent(raw, 140_000.0, calibration.h) == percent


def test_pressure_with_an_empty_calibration_is_an_error() -> None:
    """The data sheet avoids a division by zero by giving 0 hPa, which nobody asked for."""
    calibration = Calibration((27504, 26435, -1000), (0,) * 9, None)

    with pytest.raises(SensorError) as caught:
        bme280.pressure_hectopascal(415148, 128422.0, calibration)

    assert caught.value.reason == "calibration"


@pytest.mark.parametrize(
    ("oversampling", "humidity", "longest_s"),
    [(1, True, 0.0093), (16, True, 0.1128), (1, False, 0.006425)],
)
def test_longest_measurement_matches_the_data_sheet(
    oversampling: int, humidity: bool, longest_s: float
) -> None:
    """Appendix 9.1 of the BME280's data sheet; 6.4 ms in the BMP280's 3.8.1."""
    assert bme280.longest_measurement_s(oversampling, humidity=humidity) == pytest.approx(longest_s)
