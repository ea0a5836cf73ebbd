"""LM75, LM75A, LM75B, PCT2075, TMP75, TMP102 and what speaks like them (temperature).

Sources: Texas Instruments SNIS153 (LM75), SBOS288 (TMP75), SBOS397 (TMP102); NXP LM75B and PCT2075.
Register numbers and formats are the same in all; sections below are those of SBOS397.

Wiring: 3.3 V, GND, SDA, SCL; address 0x48 with the address pins at GND, and up to 0x4F (TMP102 up
to 0x4B). The pin OS or ALERT is not used.

The family has no identity. The chip measures all the time; its lower limit is the mark that tells a
power failure, half a degree below what it is at power-on. Where OS drives something, it lets go at
74.5 degrees instead of 75.
"""

from __future__ import annotations

import dataclasses

from edge_agent.options import Choice, option
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips.thermometer import MarkedThermometer
from edge_agent.sensors.i2c import address_option, bus_option

# 7.5.1 (pointer register).
_TEMPERATURE, _CONFIGURATION, _LOWER = 0x00, 0x01, 0x02

# 74.5 degrees Celsius, and the nine bits that every part keeps; it is 75.0 (0x4b00) at power-on.
_LIMIT, _LIMIT_BITS = 0x4A80, 0xFF80

# 7.5.2 (temperature register): bit 0 is set where the word has 13 bits instead of 12 (extended
# mode), of twice the weight.
_EXTENDED = 0x0001


@dataclasses.dataclass(frozen=True, slots=True)
class _Model:
    """What sets a part apart."""

    #: of the result; what stands below is undefined
    bits: int
    #: measuring all the time at that resolution, everything else as at power-on
    configuration: bytes
    #: whether bit 0 of the result has a meaning
    may_extend: bool = False


_MODELS = {
    "lm75": _Model(9, b"\x00"),
    "lm75b": _Model(11, b"\x00"),
    "pct2075": _Model(11, b"\x00"),
    "tmp75": _Model(12, b"\x60"),
    "tmp102": _Model(12, b"\x60\xa0", may_extend=True),
}


@dataclasses.dataclass(frozen=True)
class Lm75Options:
    """Where the chip is, and which of the family."""

    bus: int | str = bus_option()
    address: int = address_option(0x48, least=0x48, most=0x4F)
    model: str = option(
        Choice(tuple(_MODELS)),
        "lm75",
        help="The part, for the fineness of its steps: 0.5 degrees with `lm75`, which every part "
        "of the family can do, 0.125 with `lm75b` (also NXP's LM75A) and `pct2075`, 0.0625 with "
        "`tmp75` (also TMP175, TMP275 and TMP1075) and `tmp102` (also TMP112).",
    )


def celsius(word: int, bits: int, *, may_extend: bool = False) -> float:
    """The temperature, from the result register's word.

    Args:
        word: 16 bits, two's complement, the first eight being whole degrees.
        bits: how many of them, from the left, have a meaning.
        may_extend: whether bit 0 says that the word is of extended mode.

    Source: 7.5.2, and its tables of the temperature's format.
    """
    extended = may_extend and bool(word & _EXTENDED)
    whole = 9 if extended else 8
    unused = 16 - (13 if extended else bits)
    signed = word - 2 * (word & 0x8000)
    return (signed >> unused << unused) / (1 << 16 - whole)


class Lm75(MarkedThermometer):
    """One of the family."""

    Options = Lm75Options
    _RESULT = _TEMPERATURE
    _MARK = (_LOWER, _LIMIT, _LIMIT_BITS)
    # The slowest of them: LM75, conversion time, and TMP75 at 12 bits.
    _FIRST_S = 0.3

    def __init__(self, options: Lm75Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._model = _MODELS[options.model]

    def _set_up(self) -> None:
        self._bus.write_register(self._address, _CONFIGURATION, self._model.configuration)

    def _celsius(self, word: int) -> float:
        return celsius(word, self._model.bits, may_extend=self._model.may_extend)
