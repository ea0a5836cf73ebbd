"""Analog-to-digital converters on SPI: the MCP3008 and its family, in voltages.

Sources: Microchip DS21295 (MCP3004, MCP3008), DS21298 (MCP3204, MCP3208), DS21294 (MCP3002),
DS21034 (MCP3202), DS21293 (MCP3001), DS21290 (MCP3201), DS21700 (MCP3301), DS21697 (MCP3302,
MCP3304).

Wiring: VDD and VREF to 3.3 V, AGND and DGND to GND, CLK to GPIO11, DOUT to GPIO9, DIN to GPIO10, CS
to GPIO8 (``device: 0``) or GPIO7 (``device: 1``). With VDD at 5 V, DOUT must not go to the Pi
directly. SPI is switched on by ``sudo raspi-config nonint do_spi 0``. gpiozero reaches SPI0 only.

Inputs are measured against GND; those chips that have but one input measure IN+ against IN-, and
the MCP3301 that way also below zero. The chips answer nothing: one that is not there reads as all
ones or all zeros. So an input at the end of its scale is a fault, and one at zero may be both.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.options import Choice, Number, Text, Whole, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.sensors.gpio.pins import in_words, opening
from edge_agent.types import Measurement


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """What differs in the family, and what is said on the wire."""

    inputs: int
    #: of a value that is not below zero
    bits: int
    #: whether one more bit before those is the sign
    signed: bool = False

    @property
    def width(self) -> int:
        """The bits of a value, with its sign."""
        return self.bits + self.signed

    def question(self, number: int) -> bytes:
        """What starts a conversion of input ``number`` against GND, with the clocks of its answer.

        A start bit, "single-ended", the input; then a clock to sample, a zero, and the value, which
        is to end with a byte. With two inputs there is a bit for "highest bit first" and no clock
        to sample, with one there is nothing to say.
        """
        match self.inputs:
            case 1:
                return bytes(2)
            case 2:
                word, clocks = 0b1101 | number << 1, 4 + 1 + self.width
                return (word << 1 + self.width).to_bytes(-(-clocks // 8), "big")
            case _:
                return ((0b11000 | number) << 2 + self.width).to_bytes(3, "big")

    def code(self, answer: Sequence[int]) -> int:
        """The value in the bytes that came meanwhile."""
        word = int.from_bytes(bytes(answer), "big")
        if self.inputs == 1:
            # Two clocks to sample, a zero, the value, and what 16 clocks leave over.
            word >>= 16 - 3 - self.width
        word &= (1 << self.width) - 1
        return word - (1 << self.width) if self.signed and word >> self.bits else word


#: By name: three for the series, the bits of a value, and the inputs.
CHIPS = {
    "mcp3001": Chip(1, 10),
    "mcp3002": Chip(2, 10),
    "mcp3004": Chip(4, 10),
    "mcp3008": Chip(8, 10),
    "mcp3201": Chip(1, 12),
    "mcp3202": Chip(2, 12),
    "mcp3204": Chip(4, 12),
    "mcp3208": Chip(8, 12),
    "mcp3301": Chip(1, 12, signed=True),
    "mcp3302": Chip(4, 12, signed=True),
    "mcp3304": Chip(8, 12, signed=True),
}

# SPI0 by BCM number, and its two select lines. gpiozero takes an SPI for hardware by its pins.
_SPI0 = {"clock_pin": 11, "mosi_pin": 10, "miso_pin": 9}
_SELECTS = (8, 7)

# The finest step is 0.8 mV at 3.3 V.
_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class AdcChannelOptions:
    """How one input is told."""

    unit: str = option(
        Text(".{1,40}", "a unit of 1 to 40 characters"),
        "volt",
        help="What its values are in after the filters; the chip itself gives volts.",
    )


@dataclasses.dataclass(frozen=True)
class AdcOptions:
    """Which chip, and where it is."""

    chip: str = option(Choice(tuple(CHIPS)), "mcp3008", help="The chip's name, as on its case.")
    device: int = option(
        Whole(least=0, most=1), 0, help="Its select line on SPI0: 0 is CE0 (GPIO8), 1 CE1 (GPIO7)."
    )
    vref: float = option(
        Number(least=0.1, most=5.5, unit="volt"),
        3.3,
        help="The voltage at the chip's VREF (where it has none, VDD): the end of its scale.",
    )
    #: by input; the inputs that are read, all where there is none
    channels: Mapping[str, AdcChannelOptions] = dataclasses.field(default_factory=dict)


def inputs_of(options: AdcOptions) -> Mapping[str, int]:
    """The inputs that are read, by name, in the order of their numbers: those written, or all."""
    every = {f"ch{number}": number for number in range(CHIPS[options.chip].inputs)}
    return {name: every[name] for name in every if name in options.channels} or every


def volts(code: int, bits: int, vref: float) -> float:
    """The voltage of a code; DS21295, section 4.2: code = 1024 V / VREF."""
    return code * vref / (1 << bits)


class Adc(Sensor):
    """One chip of the family; a channel for each input that is written, or for all."""

    Options = AdcOptions
    ChannelOptions = AdcChannelOptions

    def __init__(self, options: AdcOptions, surroundings: Surroundings) -> None:
        del surroundings
        self._options = options
        self._chip = CHIPS[options.chip]
        self._inputs = inputs_of(options)
        #: gpiozero's SPI. Not its classes of these chips, one object for each input: the wire that
        #: those share may be taken from under them when an earlier one is collected as garbage.
        self._wire: Any = None
        self.bus_name = f"spi0.{options.device}"
        self.channels = tuple(Channel(name, self._unit(name)) for name in self._inputs)

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        """The inputs that are read."""
        return tuple(inputs_of(options))

    def trigger(self) -> float:
        """Open the wire if that was not done yet; a conversion takes no wait.

        Raises:
            SensorError: ``library``, ``spi``, ``in_use``, ``permission``, ``board``, ``absent`` or
                ``failed``, as gpiozero says.
        """
        if self._wire is None:
            with opening(self.bus_name) as gpiozero:
                select = _SELECTS[self._options.device]
                self._wire = gpiozero.Device().pin_factory.spi(**_SPI0, select_pin=select)
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """The voltage of each input, in the order of `channels`.

        Raises:
            SensorError: ``not_ready``, ``saturated`` if all inputs are, or the wire's failure.
        """
        if self._wire is None:
            raise SensorError(
                f"{self.bus_name}: read before a measurement was started", reason="not_ready"
            )
        with in_words(self.bus_name):
            codes = {name: self._code(number) for name, number in self._inputs.items()}
        measured = [self._measurement(name, code) for name, code in codes.items()]
        if all(each.fault for each in measured):
            raise SensorError(
                f"{self.bus_name}: every input reads as the end of its scale; the chip is not "
                "there, or its wires are not: check VDD, DOUT and CS",
                reason="saturated",
            )
        return measured

    def close(self) -> None:
        """Let go of the wire."""
        wire, self._wire = self._wire, None
        if wire is not None:
            with contextlib.suppress(SensorError), in_words(self.bus_name):
                wire.close()

    def _code(self, number: int) -> int:
        """Have one input converted."""
        question = self._chip.question(number)
        return self._chip.code(self._wire.transfer(list(question)))

    def _unit(self, name: str) -> str:
        return self._options.channels.get(name, AdcChannelOptions()).unit

    def _measurement(self, name: str, code: int) -> Measurement:
        """A voltage; a fault at the end of the scale, where the input may be anywhere beyond."""
        bits, vref = self._chip.bits, self._options.vref
        value, unit = round(volts(code, bits, vref), _DIGITS), self._unit(name)
        if -(1 << bits) < code < (1 << bits) - 1:
            return Measurement(name, value, unit)
        detail = f"{self.bus_name}: {name} is at or beyond {vref:g} V, `vref`"
        return Measurement(name, value, unit, fault="saturated", detail=detail)
