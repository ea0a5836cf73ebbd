"""SHT40, SHT41, SHT43, SHT45 (temperature, humidity).

Source: Sensirion, data sheet SHT4x; its section numbers differ from version to version, so
sections are named here.

Wiring: 3.3 V, GND, SDA, SCL. The address is fixed by the part's name: 0x44 for SHT4x-A, 0x45 for
-B, 0x46 for -C.

Each measurement is ordered singly, and the chip knows no clock stretching; see `hygrometer`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.options import Choice, option
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips.hygrometer import FULL_SCALE, SingleShot, celsius
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# "Command Overview": soft reset, which also ends the heater's turn; "Timings": its longest.
_RESET, _RESET_S = 0x94, 0.001

# The order by precision, and the longest that it takes; the same sections.
_ORDERS = {"low": (b"\xe0", 0.0016), "medium": (b"\xf6", 0.0045), "high": (b"\xfd", 0.0083)}


@dataclasses.dataclass(frozen=True)
class Sht4xOptions:
    """Where the chip is, and how calm its values are."""

    bus: int | str = bus_option()
    address: int = address_option(0x44, least=0x44, most=0x46)
    precision: str = option(
        Choice(tuple(_ORDERS)),
        "high",
        help="How calm the values are; high takes 8 ms of measuring, low 2 ms.",
    )


def percent(raw: int) -> float:
    """The relative humidity, cut to 0 … 100 as the data sheet does; not the SHT3x's formula.

    Source: "Conversion of Signal Output", equation 1.
    """
    return min(max(-6 + 125 * raw / FULL_SCALE, 0.0), 100.0)


class Sht4x(SingleShot):
    """An SHT40, SHT41, SHT43 or SHT45; they differ in accuracy only."""

    Options = Sht4xOptions

    def __init__(self, options: Sht4xOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._order, self._longest_s = _ORDERS[options.precision]

    def _set_up(self) -> None:
        self._command(_RESET)
        self._sleep(_RESET_S)

    def _converted(self, temperature: int, humidity: int) -> Sequence[Measurement]:
        # The ends are -6 and 119 percent, well beyond what wet or dry air shows.
        trouble = self._end_of_scale(humidity, FULL_SCALE, "the humidity")
        return self._both(celsius(temperature), percent(humidity), trouble)
