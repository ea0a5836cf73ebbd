"""BME280 and BMP280: the order of the transfers, and what a chip can do wrong."""

from __future__ import annotations

import pytest
from fakes.chip_bench import ChipBench
from fakes.i2c import VECTOR_A, VECTOR_A_DATA, FakeBme280

from edge_agent.errors import SensorError
from edge_agent.sensors.chips.bme280 import Bme280
from edge_agent.types import Measurement


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Bme280, FakeBme280())


def bmp280() -> FakeBme280:
    return FakeBme280(chip_id=0x58, calibration=VECTOR_A, measures=VECTOR_A_DATA)


def test_measurement_of_a_bme280_gives_three_channels_with_units(bench: ChipBench) -> None:
    """In the order declared, rounded to what the chip can tell apart."""
    assert bench.measure() == [
        Measurement("temperature", 27.379, "celsius"),
        Measurement("humidity", 32.904, "percent"),
        Measurement("pressure", 1012.223, "hectopascal"),
    ]


def test_measurement_of_a_bmp280_gives_no_humidity() -> None:
    """Told apart by the chip's id; nothing is made up, and no humidity register is touched."""
    bench = ChipBench(Bme280, bmp280())

    assert bench.values() == {"temperature": 25.082, "pressure": 1006.533}
    transfers = bench.transfers()
    assert "w f2 01" not in transfers
    assert transfers[-1] == "r f7 6"


def test_first_trigger_resets_waits_for_the_copy_and_then_reads_the_calibration(
    bench: ChipBench,
) -> None:
    """The transfers of the data sheet in their order; the status is asked until it is clear."""
    wait_s = bench.driver.trigger()

    assert wait_s == pytest.approx(0.0093)
    assert bench.transfers() == [
        "r d0 1",
        "w e0 b6",
        "r f3 1",
        "r f3 1",
        "r 88 26",
        "r e1 7",
        "w f2 01",
        "w f4 25",
    ]


def test_later_measurement_is_five_transfers(bench: ChipBench) -> None:
    """One look whether the chip is still set up, two writes, one status, one block."""
    bench.measure()
    bench.transfers()

    bench.measure()

    assert bench.transfers() == ["r f4 1", "w f2 01", "w f4 25", "r f3 1", "r f7 8"]


@pytest.mark.parametrize(
    ("oversampling", "humidity", "measure", "wait_s"),
    [
        ("x1", 0x01, 0x25, 0.0093),
        ("x2", 0x02, 0x49, 0.0162),
        ("x4", 0x03, 0x6D, 0.03),
        ("x8", 0x04, 0x91, 0.0576),
        ("x16", 0x05, 0xB5, 0.1128),
    ],
)
def test_oversampling_is_written_and_waited_for(
    oversampling: str, humidity: int, measure: int, wait_s: float
) -> None:
    """The code of 5.4.3 in all three fields, and the longer wait of 9.1."""
    bench = ChipBench(Bme280, FakeBme280(), oversampling=oversampling)

    assert bench.driver.trigger() == pytest.approx(wait_s)
    assert bench.transfers()[-2:] == [f"w f2 {humidity:02x}", f"w f4 {measure:02x}"]
    bench.sleep(wait_s)
    assert len(bench.driver.read()) == 3


def test_measurement_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """A chip may be slower than its neighbour; a few quick looks are all it gets."""
    bench.sleep(bench.driver.trigger() - 0.003)

    assert len(bench.driver.read()) == 3


def test_start_that_never_ends_is_not_ready(bench: ChipBench) -> None:
    """The calibration is not read before it is there."""
    bench.chip.stuck = True

    with pytest.raises(SensorError) as caught:
        bench.driver.trigger()

    assert caught.value.reason == "not_ready"
    assert "r 88 26" not in bench.transfers()


def test_power_lost_between_measurements_sets_up_anew(bench: ChipBench) -> None:
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
    bench = ChipBench(Bme280, FakeBme280(chip_id=chip_id))

    with pytest.raises(SensorError, match=hint) as caught:
        bench.driver.trigger()

    assert caught.value.reason == "wrong_chip"
    assert not [transfer for transfer in bench.transfers() if transfer[0] == "w"]


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_calibration_of_one_byte_throughout_is_refused(byte: int) -> None:
    """A stuck data line reads as a calibration that gives finite nonsense."""
    bench = ChipBench(Bme280, FakeBme280(calibration=bytes([byte]) * 26))

    with pytest.raises(SensorError, match="check SDA") as caught:
        bench.driver.trigger()

    assert caught.value.reason == "calibration"
