"""MCP9808 (temperature).

Source: Microchip, data sheet DS25095A. Section numbers below are its.

Wiring: 3.3 V, GND, SDA, SCL; address 0x18 with A0, A1 and A2 at GND (as on most boards), and up to
0x1F. The Alert pin is not used: it stays off.

The chip measures four times a second. Its upper alert limit (5.1.2), which does nothing while the
Alert pin is off, is the mark that tells a power failure.
"""

from __future__ import annotations

import dataclasses

from edge_agent.sensors.chips.thermometer import MarkedThermometer
from edge_agent.sensors.i2c import address_option, bus_option

# Registers, 5.1.
_CONFIGURATION, _UPPER, _AMBIENT, _MAKER, _DEVICE, _RESOLUTION = 0x01, 0x02, 0x05, 0x06, 0x07, 0x08

# 5.1.1: all bits clear is measuring all the time, Alert off. 5.2.4: the finest step, 0.0625 degree.
_MEASURE, _FINEST = 0x0000, 0x03

# 5.1.4 and 5.1.5; the low byte of the device register is the revision.
_MICROCHIP, _MCP9808 = 0x0054, 0x04

# 125 degrees Celsius, the end of the range; the format of 5.1.2 keeps these bits.
_LIMIT, _LIMIT_BITS = 0x07D0, 0x1FFC

# Sign and 12 bits of 1/16 degree; above them stand three alarms (5.1.3).
_VALUE, _SIGN, _STEPS_PER_DEGREE = 0x1FFF, 0x1000, 16


@dataclasses.dataclass(frozen=True)
class Mcp9808Options:
    """Where the chip is."""

    bus: int | str = bus_option()
    address: int = address_option(0x18, least=0x18, most=0x1F)


def celsius(word: int) -> float:
    """The temperature, from the word with its alarms.

    Source: 5.1.3: two's complement. The sample code beside it subtracts a negative value from 256,
    and so gives it without its sign.
    """
    value = word & _VALUE
    return (value - 2 * (value & _SIGN)) / _STEPS_PER_DEGREE


class Mcp9808(MarkedThermometer):
    """An MCP9808."""

    Options = Mcp9808Options
    _RESULT = _AMBIENT
    _MARK = (_UPPER, _LIMIT, _LIMIT_BITS)
    # 250 ms are typical at the finest step (5.2.4), and no maximum is given.
    _FIRST_S = 0.35

    def _set_up(self) -> None:
        maker, device = self._word(_MAKER), self._word(_DEVICE)
        if maker != _MICROCHIP or device >> 8 != _MCP9808:
            raise self._error(
                f"maker 0x{maker:04x} and device 0x{device:04x}, which is no MCP9808 (0x0054, "
                "0x04..); check `address` and `type`",
                "wrong_chip",
            )
        self._set_word(_CONFIGURATION, _MEASURE)
        self._bus.write_register(self._address, _RESOLUTION, bytes([_FINEST]))

    def _celsius(self, word: int) -> float:
        return celsius(word)
