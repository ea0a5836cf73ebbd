"""BME280 and BMP280: known answers, the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import random

import pytest
from fakes.i2c import (
    VECTOR_A,
    VECTOR_A_DATA,
    VECTOR_B,
    VECTOR_B_DATA,
    VECTOR_B_HUMIDITY,
    FakeAdapter,
    FakeBme280,
)

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips import bme280
from edge_agent.sensors.i2c import Buses
from edge_agent.types import Measurement

ADDRESS = 0x76


class Bench:
    """A driver wired to a chip, on time that passes when it is told to."""

    def __init__(self, chip: FakeBme280, oversampling: str = "x1") -> None:
        self.chip = chip
        self.adapter = FakeAdapter({ADDRESS: chip})
        buses = Buses(open_wire=self.adapter.open, sleep=self.adapter.sleep)
        self.driver = bme280.Bme280(
            bme280.Bme280Options(oversampling=oversampling),
            Surroundings(bus=buses, sleep=self.adapter.sleep),
        )

    def measure(self) -> list[Measurement]:
        self.adapter.sleep(self.driver.trigger())
        return list(self.driver.read())

    def values(self) -> dict[str, float]:
        return {measured.channel: float(measured.value) for measured in self.measure()}

    def written(self) -> list[tuple[int | None, bytes | int]]:
        return [
            (register, data)
            for kind, _, register, data in self.adapter.transactions
            if kind == "write"
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench(FakeBme280())


def bmp280() -> FakeBme280:
    return FakeBme280(chip_id=0x58, calibration=VECTOR_A, measures=VECTOR_A_DATA)


# ── the formulas ──


def test_calibration_of_the_worked_example_is_read_as_printed() -> None:
    """BST-BMP280-DS001, 3.12: the calibration of its worked example."""
    calibration = bme280.Calibration.parse(VECTOR_A, None)

    assert calibration.t == (27504, 26435, -1000)
    assert calibration.p == (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    assert calibration.h is None


def test_raw_values_of_the_worked_example_are_read_as_printed() -> None:
    """BST-BMP280-DS001, 3.12: 20 bits each, pressure first."""
    assert bme280.Raw.parse(VECTOR_A_DATA) == bme280.Raw(519888, 415148, None)


def test_compensation_of_the_worked_example_gives_its_results() -> None:
    """Vector A: 25.08 °C and 1006.53 hPa."""
    calibration = bme280.Calibration.parse(VECTOR_A, None)

    values = bme280.compensate(bme280.Raw.parse(VECTOR_A_DATA), calibration)

    assert bme280.fine_temperature(519888, calibration) == pytest.approx(128422.287, abs=1e-3)
    assert values["temperature"] == pytest.approx(25.0825, abs=1e-4)
    assert values["pressure"] == pytest.approx(1006.53267, abs=1e-5)
    assert list(values) == ["temperature", "pressure"]


def test_compensation_of_a_real_chip_gives_its_known_results() -> None:
    """Vector B: a BME280's registers, humidity included."""
    calibration = bme280.Calibration.parse(VECTOR_B, VECTOR_B_HUMIDITY)

    values = bme280.compensate(bme280.Raw.parse(VECTOR_B_DATA), calibration)

    assert values["temperature"] == pytest.approx(27.3785, abs=1e-4)
    assert values["pressure"] == pytest.approx(1012.2228, abs=1e-4)
    assert values["humidity"] == pytest.approx(32.904, abs=1e-3)


def integers(raw: bme280.Raw, calibration: bme280.Calibration) -> tuple[float, float, float]:
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


def test_compensation_agrees_with_the_integer_formulas_over_the_whole_range() -> None:
    """Two formulas of one data sheet, written apart, on raw values drawn from one seed."""
    draw = random.Random(280)
    compared = 0
    while compared < 3000:
        # The chip of vector B has no third humidity word; others have.
        trimming = VECTOR_B_HUMIDITY[:2] + draw.randbytes(1) + VECTOR_B_HUMIDITY[3:]
        calibration = bme280.Calibration.parse(VECTOR_B, trimming)
        raw = bme280.Raw(draw.randrange(1 << 20), draw.randrange(1 << 20), draw.randrange(1 << 16))
        values = bme280.compensate(raw, calibration)
        # Outside what the chip measures (1.1) the integers overflow, and nothing is promised.
        if -40 <= values["temperature"] <= 85 and 300 <= values["pressure"] <= 1100:
            compared += 1
            celsius, hectopascal, percent = integers(raw, calibration)
            assert values["temperature"] == pytest.approx(celsius, abs=0.01)
            assert values["pressure"] == pytest.approx(hectopascal, abs=0.02)
            assert values["humidity"] == pytest.approx(percent, abs=0.05)


def test_humidity_words_of_twelve_bits_keep_their_sign() -> None:
    """H4 and H5 share a byte; each is negative when its own top bit is set."""
    block = bytes.fromhex("0000 00 ff 1f fe 00")

    assert bme280.Calibration.parse(VECTOR_B, block).h == (0x4B, 0, 0, -1, -31, 0)


@pytest.mark.parametrize(("raw", "percent"), [(0, 0.0), (65535, 100.0)])
def test_humidity_beyond_what_air_can_hold_is_cut(raw: int, percent: float) -> None:
    """As the data sheet cuts it: 0 to 100."""
    calibration = bme280.Calibration.parse(VECTOR_B, VECTOR_B_HUMIDITY)
    assert calibration.h is not None

    assert bme280.humidity_percent(raw, 140_000.0, calibration.h) == percent


def test_pressure_with_an_empty_calibration_is_an_error() -> None:
    """The data sheet avoids a division by zero by giving 0 hPa, which nobody asked for."""
    calibration = bme280.Calibration((27504, 26435, -1000), (0,) * 9, None)

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


# ── the chip ──


def test_measurement_of_a_bme280_gives_three_channels_with_units(bench: Bench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 27.379, "celsius"),
        Measurement("humidity", 32.904, "percent"),
        Measurement("pressure", 1012.223, "hectopascal"),
    ]


def test_measurement_of_a_bmp280_gives_no_humidity() -> None:
    """Told apart by the chip's id; nothing is made up, and no humidity register is touched."""
    bench = Bench(bmp280())

    assert bench.values() == {"temperature": 25.082, "pressure": 1006.533}
    assert (0xF2, b"\x01") not in bench.written()
    assert ("read", ADDRESS, 0xF7, 6) in bench.adapter.transactions


def test_first_trigger_resets_waits_for_the_copy_and_then_reads_the_calibration(
    bench: Bench,
) -> None:
    """The transfers of the data sheet in their order; the status is asked until it is clear."""
    wait_s = bench.driver.trigger()

    assert wait_s == pytest.approx(0.0093)
    assert bench.adapter.transactions == [
        ("read", ADDRESS, 0xD0, 1),
        ("write", ADDRESS, 0xE0, b"\xb6"),
        ("read", ADDRESS, 0xF3, 1),
        ("read", ADDRESS, 0xF3, 1),
        ("read", ADDRESS, 0x88, 26),
        ("read", ADDRESS, 0xE1, 7),
        ("write", ADDRESS, 0xF2, b"\x01"),
        ("write", ADDRESS, 0xF4, b"\x25"),
    ]


def test_later_measurement_is_five_transfers(bench: Bench) -> None:
    """One look whether the chip is still set up, two writes, one status, one block."""
    bench.measure()
    bench.adapter.transactions.clear()

    bench.measure()

    assert bench.adapter.transactions == [
        ("read", ADDRESS, 0xF4, 1),
        ("write", ADDRESS, 0xF2, b"\x01"),
        ("write", ADDRESS, 0xF4, b"\x25"),
        ("read", ADDRESS, 0xF3, 1),
        ("read", ADDRESS, 0xF7, 8),
    ]


@pytest.mark.parametrize(
    ("oversampling", "humidity", "measure", "wait_s"),
    [("x2", 0x02, 0x49, 0.0162), ("x16", 0x05, 0xB5, 0.1128)],
)
def test_oversampling_is_written_and_waited_for(
    oversampling: str, humidity: int, measure: int, wait_s: float
) -> None:
    """The code of 5.4.3 in all three fields, and the longer wait of 9.1."""
    bench = Bench(FakeBme280(), oversampling)

    assert bench.driver.trigger() == pytest.approx(wait_s)
    assert bench.written()[-2:] == [(0xF2, bytes([humidity])), (0xF4, bytes([measure]))]
    bench.adapter.sleep(wait_s)
    assert len(bench.driver.read()) == 3


def test_measurement_a_little_late_is_waited_for(bench: Bench) -> None:
    """A chip may be slower than its neighbour; a few quick looks are all it gets."""
    bench.adapter.sleep(bench.driver.trigger() - 0.003)

    assert len(bench.driver.read()) == 3


def test_measurement_that_never_ends_is_not_ready(bench: Bench) -> None:
    """No old value is passed off as a new one."""
    bench.measure()
    bench.driver.trigger()
    bench.chip.stuck = True

    with pytest.raises(SensorError, match="did not end") as caught:
        bench.driver.read()

    assert caught.value.reason == "not_ready"


def test_start_that_never_ends_is_not_ready(bench: Bench) -> None:
    """The calibration is not read before it is there."""
    bench.chip.stuck = True

    with pytest.raises(SensorError) as caught:
        bench.driver.trigger()

    assert caught.value.reason == "not_ready"
    assert ("read", ADDRESS, 0x88, 26) not in bench.adapter.transactions


@pytest.mark.parametrize("data", ["800000 845100 5eb4", "4f5700 800000 5eb4", "4f5700 845100 8000"])
def test_value_that_was_not_measured_is_a_fault_by_its_reason(bench: Bench, data: str) -> None:
    """0x80000 would be a believable temperature; it is refused for what it is."""
    bench.chip.measures = bytes.fromhex(data)

    with pytest.raises(SensorError, match="lost its power") as caught:
        bench.measure()

    assert caught.value.reason == "power_on_value"


def test_power_lost_during_a_measurement_is_a_fault(bench: Bench) -> None:
    """The registers then hold their power-on values."""
    wait_s = bench.driver.trigger()
    bench.chip.restart()
    bench.adapter.sleep(wait_s)

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason == "power_on_value"


def test_power_lost_between_measurements_sets_up_anew(bench: Bench) -> None:
    """Another chip, with another calibration, may have been plugged in meanwhile."""
    bench.measure()
    bench.chip.chip_id, bench.chip.calibration = 0x58, VECTOR_A
    bench.chip.measures = VECTOR_A_DATA
    bench.chip.restart()

    assert bench.values() == {"temperature": 25.082, "pressure": 1006.533}


@pytest.mark.parametrize(
    ("chip_id", "hint"), [(0x61, "BME680; use `type: iio`"), (0xFF, "0xff"), (0x00, "0x00")]
)
def test_wrong_chip_is_refused_with_a_hint_before_anything_is_written(
    chip_id: int, hint: str
) -> None:
    """Somebody else's chip is not reset."""
    bench = Bench(FakeBme280(chip_id=chip_id))

    with pytest.raises(SensorError, match=hint) as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
    assert bench.written() == []


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_calibration_of_one_byte_throughout_is_refused(byte: int) -> None:
    """A stuck data line reads as a calibration that gives finite nonsense."""
    bench = Bench(FakeBme280(calibration=bytes([byte]) * 26))

    with pytest.raises(SensorError, match="check SDA") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "calibration"


def test_error_message_names_bus_and_address(bench: Bench) -> None:
    """Two of them may be on one bus."""
    bench.chip.chip_id = 0x61

    with pytest.raises(SensorError, match="i2c-1 address 0x76"):
        bench.driver.trigger()
