"""The MCP3xxx family: codes on a mock wire become voltages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gpiozero
import pytest
from fakes.gpio import FakeMcp, MockPins

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.gpio import adc
from edge_agent.sensors.gpio.adc import Adc, AdcChannelOptions, AdcOptions
from edge_agent.types import Measurement

Converter = Callable[..., Adc]


@pytest.fixture
def converter(pins: MockPins) -> Iterator[Converter]:
    """Makes drivers, and closes them: gpiozero keeps a shared wire for those who come later."""
    made: list[Adc] = []

    def make(**options: Any) -> Adc:
        made.append(Adc(AdcOptions(**options), Surroundings(bus=lambda _: pytest.fail("no bus"))))
        return made[-1]

    yield make
    for sensor in made:
        sensor.close()


def measure(sensor: Adc) -> list[Measurement]:
    assert sensor.trigger() == 0.0
    return list(sensor.read())


@pytest.mark.parametrize(
    ("raw", "bits", "volt"),
    [(0, 10, 0.0), (1, 10, 0.00322), (512, 10, 1.65), (2048, 12, 1.65), (-4095, 12, -3.29919)],
)
def test_volts_are_the_code_over_its_range(raw: int, bits: int, volt: float) -> None:
    """DS21295, section 4.2; half of the range is half of VREF."""
    assert adc.volts(raw, bits, 3.3) == pytest.approx(volt, abs=5e-6)


@pytest.mark.parametrize(
    ("name", "number", "question", "answer", "code"),
    [
        ("mcp3008", 5, "01d000", "ffffff", 1023),
        ("mcp3004", 2, "01a000", "fffa55", 0x255),
        ("mcp3208", 7, "07c000", "fffabc", 0xABC),
        ("mcp3204", 0, "060000", "e0e123", 0x123),
        ("mcp3002", 1, "7800", "fe34", 0x234),
        ("mcp3202", 0, "01a000", "fff5a5", 0x5A5),
        ("mcp3001", 0, "0000", "df07", 992),
        ("mcp3201", 0, "0000", "c001", 0),
        ("mcp3301", 0, "0000", "dfff", -1),
        ("mcp3302", 1, "0c8000", "ffdfff", -1),
        ("mcp3304", 4, "0e0000", "e00fff", 4095),
    ],
)
def test_chip_speaks_as_its_data_sheet_draws_it(
    name: str, number: int, question: str, answer: str, code: int
) -> None:
    """Whole bytes, the value at the end of the last; whatever the undriven line shows before."""
    chip = adc.CHIPS[name]

    assert chip.question(number).hex() == question
    assert chip.code(bytes.fromhex(answer)) == code


@pytest.mark.parametrize("name", adc.CHIPS)
def test_adc_reads_every_input_of_every_chip(converter: Converter, name: str) -> None:
    """Each with its own code, single-ended where the chip can."""
    chip = adc.CHIPS[name]
    codes = [(1 << chip.bits) // 2 + 3 * number for number in range(chip.inputs)]
    fake = FakeMcp(name, *codes)
    sensor = converter(chip=name, vref=5.0)

    measured = measure(sensor)

    assert [m.channel for m in measured] == [f"ch{number}" for number in range(chip.inputs)]
    assert [m.channel for m in measured] == [c.name for c in sensor.channels]
    assert [m.value for m in measured] == [
        pytest.approx(code * 5.0 / (1 << chip.bits), abs=5e-6) for code in codes
    ]
    assert {m.unit for m in measured} == {"volt"}
    if chip.inputs > 1:
        assert fake.asked == [(number, True) for number in range(chip.inputs)]


@pytest.mark.parametrize(("code", "volt"), [(-1, -0.00081), (-2048, -1.65), (4094, 3.29839)])
def test_adc_mcp3301_measures_below_zero(converter: Converter, code: int, volt: float) -> None:
    """13 bits with a sign, IN+ against IN-."""
    FakeMcp("mcp3301", code)
    (measured,) = measure(converter(chip="mcp3301"))

    assert measured.value == pytest.approx(volt, abs=5e-6)
    assert measured.fault == ""


def test_adc_reads_the_written_inputs_only_in_their_units(converter: Converter) -> None:
    """On the other select line, on a thread of its own."""
    fake = FakeMcp("mcp3008", *range(100, 900, 100), select=7)
    channels = {"ch5": AdcChannelOptions("percent"), "ch1": AdcChannelOptions()}
    sensor = converter(device=1, channels=channels)

    measured = measure(sensor)

    assert sensor.bus_name == "spi0.1"
    assert [(m.channel, m.unit) for m in measured] == [("ch1", "volt"), ("ch5", "percent")]
    assert fake.asked == [(1, True), (5, True)]


def test_adc_input_at_the_end_of_its_scale_is_a_fault_of_its_own(converter: Converter) -> None:
    """It may be anywhere beyond; the others are well. Zero is a value."""
    FakeMcp("mcp3002", 1023, 0)

    beyond, zero = measure(converter(chip="mcp3002"))

    assert (beyond.fault, zero.fault) == ("saturated", "")
    assert "ch0 is at or beyond 3.3 V" in beyond.detail
    assert zero.value == 0.0


@pytest.mark.parametrize(
    ("name", "codes"), [("mcp3208", [4095] * 8), ("mcp3301", [4095]), ("mcp3301", [-4096])]
)
def test_adc_that_reads_ones_everywhere_is_not_there(
    converter: Converter, name: str, codes: list[int]
) -> None:
    """So does a line that nobody drives."""
    FakeMcp(name, *codes)
    with pytest.raises(SensorError, match="the chip is not there") as caught:
        measure(converter(chip=name))
    assert caught.value.reason == "saturated"


@pytest.mark.parametrize(
    ("trouble", "reason", "remedy"),
    [
        (FileNotFoundError(2, "No such file"), "spi", "raspi-config nonint do_spi 0"),
        (ImportError("failed to import spidev"), "library", "apt install python3-spidev"),
        (gpiozero.GPIOPinInUse("pin GPIO9 is already in use"), "in_use", "its own pin"),
    ],
)
def test_adc_without_hardware_spi_says_what_to_do(
    pins: MockPins, converter: Converter, trouble: Exception, reason: str, remedy: str
) -> None:
    """And does not bang bits in silence, as gpiozero would; once it is there, it works."""
    software = pins.factory._get_spi_class

    def only_software(shared: bool, hardware: bool) -> Any:
        if hardware:
            raise trouble
        return software(shared, hardware)

    sensor = converter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pins.factory, "_get_spi_class", only_software)
        with pytest.raises(SensorError, match=remedy) as caught:
            sensor.trigger()
    assert caught.value.reason == reason
    FakeMcp("mcp3008", *[512] * 8)
    assert {m.value for m in measure(sensor)} == {1.65}


def test_adc_when_closed_lets_go_of_the_wire(pins: MockPins, converter: Converter) -> None:
    """All of it; and takes it again."""
    FakeMcp("mcp3008", *[512] * 8)
    sensor = converter()
    measure(sensor)
    wire = sensor._wire
    measure(sensor)
    assert sensor._wire is wire
    assert pins.reserved(8)
    sensor.close()
    sensor.close()
    assert wire.closed
    assert not any(pins.reserved(number) for number in (8, 9, 10, 11))
    assert len(measure(sensor)) == 8


def test_adc_read_before_trigger_is_not_ready(converter: Converter) -> None:
    """The wire is not touched."""
    with pytest.raises(SensorError) as caught:
        converter().read()
    assert caught.value.reason == "not_ready"
