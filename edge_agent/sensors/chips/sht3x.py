"""SHT30, SHT31, SHT35 (temperature, humidity).

Source: Sensirion, data sheet SHT3x-DIS, version 5. Section numbers below are its.

Wiring: 3.3 V, GND, SDA, SCL; address 0x44 with ADDR at GND, 0x45 with ADDR at 3.3 V.

Each measurement is ordered singly and without clock stretching (4.3), which a Pi's bus cannot be
trusted with; see `hygrometer`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.options import Choice, option
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips.hygrometer import FULL_SCALE, SingleShot, celsius
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# 4.8 (break) and 4.9 (soft reset). Break ends the periodic mode that somebody else may have left.
_BREAK, _RESET = (0x30, 0x93), (0x30, 0xA2)
# 4.1, the pause between commands; 2.2, the longest soft reset.
_BREAK_S, _RESET_S = 0.001, 0.0015

# Single shot without clock stretching, by repeatability (4.3, table 9), and the longest that it
# takes at the lowest supply voltage (2.2).
_ORDERS = {
    "low": (b"\x24\x16", 0.0045),
    "medium": (b"\x24\x0b", 0.0065),
    "high": (b"\x24\x00", 0.0155),
}


@dataclasses.dataclass(frozen=True)
class Sht3xOptions:
    """Where the chip is, and how calm its values are."""

    bus: int | str = bus_option()
    address: int = address_option(0x44, least=0x44, most=0x45)
    repeatability: str = option(
        Choice(tuple(_ORDERS)),
        "high",
        help="How calm the values are; high takes 15 ms of measuring, low 4 ms.",
    )


def percent(raw: int) -> float:
    """The relative humidity. Source: 4.13 (conversion of signal output)."""
    return 100 * raw / FULL_SCALE


class Sht3x(SingleShot):
    """An SHT30, SHT31 or SHT35; they differ in accuracy only."""

    Options = Sht3xOptions

    def __init__(self, options: Sht3xOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._order, self._longest_s = _ORDERS[options.repeatability]

    def _set_up(self) -> None:
        """Out of periodic mode, heater off: whoever used the chip before may have left both."""
        self._command(*_BREAK)
        self._sleep(_BREAK_S)
        self._command(*_RESET)
        self._sleep(_RESET_S)

    def _converted(self, temperature: int, humidity: int) -> Sequence[Measurement]:
        # Humidity may be at the ends of its scale: they are 0 and 100 percent.
        return self._both(celsius(temperature), percent(humidity))
