"""SHT40, SHT41, SHT43, SHT45 (temperature, humidity).

Source: Sensirion, data sheet SHT4x, version 6. Section numbers below are its.

Wiring: 3.3 V, GND, SDA, SCL. The address is fixed by the part's name: 0x44 for SHT4x-A, 0x45 for
-B, 0x46 for -C.

Each measurement is ordered singly, and the order holds every setting (4.5): a chip that lost its
power measures rightly again with the next one. A chip that is measuring does not answer, and it
knows no clock stretching: writing and reading are two transfers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.options import Choice, option
from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# 4.5 (soft reset), and the longest it takes, 3.2. It also ends the heater's turn.
_RESET, _RESET_S = 0x94, 0.001

# The order by precision (4.5), and the longest that it takes (3.2).
_ORDERS = {"low": (0xE0, 0.0016), "medium": (0xF6, 0.0045), "high": (0xFD, 0.0083)}

_FULL_SCALE = 0xFFFF

# One step of the converter is 0.0027 degree Celsius or 0.0019 percent.
_DIGITS = 3


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


def celsius(raw: int) -> float:
    """The temperature. Source: 4.6 (conversion of signal output), equation 2."""
    return -45 + 175 * raw / _FULL_SCALE


def percent(raw: int) -> float:
    """The relative humidity, cut to 0 … 100 as the data sheet does; not the SHT3x's formula.

    Source: 4.6 (conversion of signal output), equation 1.
    """
    return min(max(-6 + 125 * raw / _FULL_SCALE, 0.0), 100.0)


class Sht4x(ChipSensor):
    """An SHT40, SHT41, SHT43 or SHT45; they differ in accuracy only."""

    Options = Sht4xOptions
    channels = (Channel("temperature", "celsius"), Channel("humidity", "percent"))

    def __init__(self, options: Sht4xOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._order, self._longest_s = _ORDERS[options.precision]

    def trigger(self) -> float:
        """Order one measurement.

        Returns:
            the longest time it takes, in seconds (3.2).

        Raises:
            BusError: the chip does not answer.
        """
        if not self._is_set_up:
            self._command(_RESET)
            self._sleep(_RESET_S)
            self._is_set_up = True
        self._command(self._order)
        return self._longest_s

    def read(self) -> Sequence[Measurement]:
        """Temperature and humidity of the measurement that `trigger` ordered.

        Raises:
            SensorError: ``not_ready``, ``crc``, ``saturated``, or a bus error's reason; ``nack``
                is also what a chip says that lost its power since `trigger`.
        """
        self._require_set_up()
        temperature, humidity = self._checked_words(2)
        self._refuse_end_of_scale(temperature, _FULL_SCALE, "the temperature is")
        # The ends are -6 and 119 percent, well beyond what wet or dry air shows.
        self._refuse_end_of_scale(humidity, _FULL_SCALE, "the humidity is")
        return [
            Measurement("temperature", round(celsius(temperature), _DIGITS), "celsius"),
            Measurement("humidity", round(percent(humidity), _DIGITS), "percent"),
        ]
