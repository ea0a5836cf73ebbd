"""HTU21D, SHT20, SHT21, SHT25, Si7013, Si7020, Si7021 (temperature, humidity).

Sources: TE Connectivity HPC199_6 (HTU21D), Sensirion SHT21 version 4, Silicon Labs Si7021-A20
revision 1.2. They speak one language; the page titles named below are those of the HTU21D's sheet.

Wiring: 3.3 V, GND, SDA, SCL; address 0x40, fixed: an INA219 or INA226 must be set to another one.

Temperature and humidity are two measurements, one after the other, so the second one's wait falls
into `read`. That is why the chip is set to 13 and 10 bits (0.02 degree, 0.1 percent, both far below
its error): the humidity then takes 9 ms at the most instead of 29. The setting is also what a power
failure undoes, so `trigger` looks there first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.sensors.chips.hygrometer import Hygrometer
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# "Communication protocol with HTU21D(F) sensor", command list; both measurements without holding
# the clock line.
_TEMPERATURE, _HUMIDITY = 0xF3, 0xF5
_WRITE_USER, _READ_USER = 0xE6, 0xE7

# "User register": bits 7 and 0 are the resolution, 10 being 13 bits of temperature and 10 of
# humidity; bit 2 is the heater. The others are the chip's own and must be kept as they are.
_SETTINGS, _WANTED = 0x85, 0x80

# The longest measurements at this resolution, by the slowest of the family (SHT21, table 7):
# 43 ms and 9 ms. A Si7021 measures the temperature again for the humidity; the bus's own second
# try covers the millisecond that this takes longer.
_TEMPERATURE_S, _HUMIDITY_S = 0.043, 0.009

# "Checksum": it starts with nothing, unlike that of all younger chips.
_CRC_INIT = 0x00

# "Conversion of signal outputs": the two low bits tell what was measured, and are no part of it.
_STATUS = 0x0003
_FULL_SCALE = 0xFFFC


@dataclasses.dataclass(frozen=True)
class Htu21dOptions:
    """Where the chip is."""

    bus: int | str = bus_option()
    address: int = address_option(0x40, least=0x40, most=0x40)


def celsius(raw: int) -> float:
    """The temperature, from 16 bits with the status cleared. Source: "Temperature conversion"."""
    return -46.85 + 175.72 * raw / 65536


def percent(raw: int) -> float:
    """The relative humidity, from 16 bits with the status cleared, cut to 0 … 100.

    Source: "Relative humidity conversion"; the cut is of SHT21, 6.1.
    """
    return min(max(-6 + 125 * raw / 65536, 0.0), 100.0)


class Htu21d(Hygrometer):
    """One of the family. Not all of them have an identity, so it is not asked for."""

    Options = Htu21dOptions
    # One step is 0.02 degree Celsius or 0.12 percent.
    _DIGITS = 2

    def trigger(self) -> float:
        """Start measuring the temperature, with the resolution set.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: ``wrong_chip``, or a bus error's reason.
        """
        user = self._user()
        if user & _SETTINGS != _WANTED:
            self._set_user(user & ~_SETTINGS | _WANTED)
        self._command(_TEMPERATURE)
        self._is_set_up = True
        return _TEMPERATURE_S

    def read(self) -> Sequence[Measurement]:
        """The temperature that `trigger` began, then the humidity.

        Raises:
            SensorError: ``not_ready``, ``crc``, ``saturated``, or a bus error's reason; ``nack``
                is also what a chip says that lost its power since `trigger`.
        """
        self._require_set_up()
        # The ends are far beyond what the chip measures: -47 and 129 degrees, -6 and 119 percent.
        temperature = self._raw()
        self._refuse_end_of_scale(temperature, _FULL_SCALE, "the temperature")
        self._command(_HUMIDITY)
        self._sleep(_HUMIDITY_S)
        humidity = self._raw()
        trouble = self._end_of_scale(humidity, _FULL_SCALE, "the humidity")
        return self._both(celsius(temperature), percent(humidity), trouble)

    def _raw(self) -> int:
        (word,) = self._checked_words(1, _CRC_INIT)
        return word & ~_STATUS

    def _user(self) -> int:
        return self._bus.read_register(self._address, _READ_USER, 1)[0]

    def _set_user(self, value: int) -> None:
        self._bus.write_register(self._address, _WRITE_USER, bytes([value]))
        if self._user() & _SETTINGS != _WANTED:
            raise self._error(
                "it does not keep its resolution, so it is no HTU21D, SHT2x or Si7021; check "
                "`address` and `type`",
                "wrong_chip",
            )
