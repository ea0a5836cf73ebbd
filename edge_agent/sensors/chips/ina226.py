"""INA226: voltage of a supply, the current drawn from it, and their product; finer than an INA219.

Source: Texas Instruments SBOS547 (revision B, whose section numbers are used here).

Wiring: 2.7 to 5.5 V, GND, SDA, SCL; the shunt between IN+ and IN-, and VBUS to the voltage to be
measured, 36 V at the most. Address 0x40 to 0x4f by A0 and A1.

The current is computed from the shunt's voltage here. The chip could do it, but after a power
failure its calibration register is empty, and it would say 0 A without a word. It sleeps between
measurements (triggered mode, 7.1.1); the settings that `trigger` finds show whether it kept its
power.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Number, Step, option
from edge_agent.sensors.base import BusLike, Channel, Sensor, Surroundings
from edge_agent.sensors.i2c import address_option, bus_option, signed_word, unsigned_word
from edge_agent.types import Measurement

# Registers, 7.1.
_CONFIG, _SHUNT, _BUS, _MASK = 0x00, 0x01, 0x02, 0x06
_MANUFACTURER, _DIE = 0xFE, 0xFF
_TEXAS, _INA226 = 0x5449, 0x2260
# 7.1.1: the bits that read as 100 at the top; 1.1 ms for each conversion; both, triggered.
_FIXED, _TIMES, _TRIGGERED = 0x4000, 0x0120, 0x0003
# 7.1.7: conversion ready, cleared by reading it and by a new start.
_CONVERTED = 0x0008

#: The code of each number of samples averaged (7.1.1).
AVERAGES = {1: 0, 4: 1, 16: 2, 64: 3, 128: 4, 256: 5, 512: 6, 1024: 7}
# A conversion takes 1.1 ms, 1.21 ms at the most (5.5); shunt and bus have one each.
_CONVERSION_S = 0.001_21

# One step of the shunt's voltage is 2.5 uV, of the bus's 1.25 mV (5.5); 7.1.2, 7.1.3: the ends.
_SHUNT_STEP_V, _BUS_STEP_V = 0.000_002_5, 0.001_25
_SHUNT_ENDS, _BUS_END = (0x7FFF, -0x8000), 0x7FFF

_DIGITS = 7


@dataclasses.dataclass(frozen=True)
class Ina226Options:
    """Where the chip is, the shunt beside it, and how long it measures."""

    bus: int | str = bus_option()
    address: int = address_option(0x40, least=0x40, most=0x4F)
    shunt_ohms: float = option(
        Number(least=0.000_01, most=1000, unit="ohm"),
        0.1,
        help="The resistance of the shunt: R100 on a board means 0.1 ohm, which goes up to "
        "0.8 A, R002 0.002 ohm and 41 A.",
    )
    average: int = option(
        Step(tuple(AVERAGES), unit="samples"),
        1,
        help="How many samples are averaged; 64 calm a pulsing load and take 155 ms.",
    )


def config_word(average: int) -> int:
    """The configuration that starts one measurement, 7.1.1."""
    return _FIXED | AVERAGES[average] << 9 | _TIMES | _TRIGGERED


def measurement_s(average: int) -> float:
    """Seconds that a measurement of shunt and bus takes at the most."""
    return 2 * average * _CONVERSION_S


def bus_volts(raw: int) -> float:
    """The supply's voltage from the bus register, 7.1.3."""
    return raw * _BUS_STEP_V


def amperes(raw: int, shunt_ohms: float) -> float:
    """The current from the signed shunt register, by Ohm's law; negative flows backwards."""
    return raw * _SHUNT_STEP_V / shunt_ohms


class Ina226(Sensor):
    """An INA226."""

    Options = Ina226Options
    channels = (
        Channel("voltage", "volt"),
        Channel("current", "ampere"),
        Channel("power", "watt"),
    )

    def __init__(self, options: Ina226Options, surroundings: Surroundings) -> None:
        self._bus: BusLike = surroundings.bus(options.bus)
        self._address = options.address
        self._shunt_ohms = options.shunt_ohms
        self._config = config_word(options.average)
        self._wait_s = measurement_s(options.average)
        self._known = False
        self.bus_name = self._bus.name

    def trigger(self) -> float:
        """Start one measurement of shunt and bus.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: ``wrong_chip``, or a bus error's reason.
        """
        if not self._known or self._get(_CONFIG) != self._config:
            self._identify()
        # Writing it clears the flag that says a measurement is complete, and starts one.
        self._bus.write_register(self._address, _CONFIG, self._config.to_bytes(2, "big"))
        self._known = True
        return self._wait_s

    def read(self) -> Sequence[Measurement]:
        """Voltage, current and power of the measurement that `trigger` started.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``saturated``, or a bus error's reason.
        """
        if not self._known:
            raise self._error("read before a measurement was started", "not_ready")
        if not self._get(_MASK) & _CONVERTED:
            raise self._error("the measurement did not end in time", "not_ready")
        bus, shunt = self._get(_BUS), signed_word(self._block(_SHUNT))
        if self._get(_CONFIG) != self._config:
            raise self._error(
                "settings changed during the measurement: it lost its power; check its supply",
                "power_on_value",
            )
        self._refuse_saturated(bus, shunt)
        volt, ampere = bus_volts(bus), amperes(shunt, self._shunt_ohms)
        return [
            Measurement(channel.name, round(value, _DIGITS), channel.unit)
            for channel, value in zip(self.channels, (volt, ampere, volt * ampere), strict=True)
        ]

    def close(self) -> None:
        """Forget that the chip was looked at: another may answer next time."""
        self._known = False

    def _identify(self) -> None:
        maker, die = self._get(_MANUFACTURER), self._get(_DIE)
        # The low four bits of the die's id are its revision (7.1.10).
        if maker != _TEXAS or die & 0xFFF0 != _INA226:
            raise self._error(
                f"ids 0x{maker:04x} and 0x{die:04x}, and not an INA226's 0x5449 and 0x2260; check "
                "`address` and `type` (an INA219 has no id)",
                "wrong_chip",
            )

    def _refuse_saturated(self, bus: int, shunt: int) -> None:
        if shunt in _SHUNT_ENDS:
            raise self._error(
                "the shunt's voltage is beyond 81.9 mV; check the load, or use a smaller shunt",
                "saturated",
            )
        if bus >= _BUS_END:
            raise self._error("the voltage is beyond 40.9 V; take it off at once", "saturated")

    def _get(self, register: int) -> int:
        return unsigned_word(self._block(register))

    def _block(self, register: int) -> bytes:
        return self._bus.read_register(self._address, register, 2)

    def _error(self, what: str, reason: str) -> SensorError:
        return SensorError(f"{self.bus_name} address 0x{self._address:02x}: {what}", reason=reason)
