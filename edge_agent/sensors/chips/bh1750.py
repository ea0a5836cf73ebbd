"""BH1750: illuminance as the eye sees it.

Source: ROHM BH1750FVI technical note 11046EDT01 (page numbers are those of revision D, 2011.11).

Wiring: 3.3 V, GND, SDA, SCL; address 0x23 with ADDR open or at GND, 0x5c with ADDR at 3.3 V.

The chip has commands, no registers: each is one byte and needs a STOP after it (p. 10). It goes
to sleep by itself after the one measurement it is asked for. It has no id and tells neither when
it has done nor whether it lost its power, so every measurement sets it up anew. What nobody can
tell: power lost between `trigger` and `read` looks like darkness, for one reading.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.options import Step, Whole, option
from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.i2c import bus_option, unsigned_word
from edge_agent.types import Measurement

# Commands, p. 5: the measuring time goes in two parts, of 3 and of 5 bits.
_POWER_ON, _ONE_TIME, _TIME_HIGH, _TIME_LOW = 0x01, 0x20, 0x40, 0x60

# p. 11: the measuring time after power-on, in which one lux is 1.2 counts (p. 10).
_USUAL_TIME = 69
_COUNTS_PER_LUX = 1.2
# p. 2: the longest measurement with the usual measuring time.
_LONGEST_S = 0.180

_SATURATED = 0xFFFF
_DIGITS = 2


@dataclasses.dataclass(frozen=True)
class Bh1750Options:
    """Where the chip is, and how sensitive."""

    bus: int | str = bus_option()
    address: int = option(
        Step((0x23, 0x5C), hexadecimal=True),
        0x23,
        help="The chip's I2C address, set by its pin ADDR.",
    )
    measuring_time: int = option(
        Whole(least=31, most=254),
        _USUAL_TIME,
        help="How long it gathers light; 69 goes up to 54612 lux, 254 is finest and takes 663 ms, "
        "31 goes up to 121557 lux: full sun, or a window before the chip.",
    )


def lux(raw: int, measuring_time: int) -> float:
    """The illuminance of a raw value; p. 11."""
    return raw / _COUNTS_PER_LUX * _USUAL_TIME / measuring_time


def measurement_s(measuring_time: int) -> float:
    """Seconds that a measurement takes at the most."""
    return _LONGEST_S * measuring_time / _USUAL_TIME


class Bh1750(ChipSensor):
    """A BH1750, in its resolution of 1 lux."""

    Options = Bh1750Options
    channels = (Channel("", "lux"),)

    def __init__(self, options: Bh1750Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._time = options.measuring_time

    def trigger(self) -> float:
        """Start one measurement.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: a bus error's reason.
        """
        # The measuring time is lost with the power, which cannot be asked, so it is always said.
        for command in (
            _POWER_ON,
            _TIME_HIGH | self._time >> 5,
            _TIME_LOW | self._time & 0x1F,
            _ONE_TIME,
        ):
            self._command(command)
        self._is_set_up = True
        return measurement_s(self._time)

    def read(self) -> Sequence[Measurement]:
        """The illuminance that `trigger` had measured.

        Raises:
            SensorError: ``not_ready``, ``saturated``, or a bus error's reason.
        """
        self._require_set_up()
        raw = unsigned_word(self._bus.read(self._address, 2))
        self._is_set_up = False
        if raw == _SATURATED:
            raise self._error(
                f"brighter than {lux(raw, self._time):.0f} lux, the most it can measure; choose a "
                "smaller `measuring_time`",
                "saturated",
            )
        return [Measurement("", round(lux(raw, self._time), _DIGITS), "lux")]
