"""INA226: voltage of a supply, the current drawn from it, and their product; finer than an INA219.

Source: Texas Instruments SBOS547 (revision B, whose section numbers are used here).

Wiring: 2.7 to 5.5 V, GND, SDA, SCL; the shunt between IN+ and IN-, and VBUS to the voltage to be
measured, 36 V at the most. Address 0x40 to 0x4f by A0 and A1.

Each measurement is ordered singly (triggered mode, 7.1.1); see `power_monitor`.
"""

from __future__ import annotations

import dataclasses

from edge_agent.options import Number, Step, option
from edge_agent.sensors.chips.power_monitor import BUS, CONFIG, PowerMonitor
from edge_agent.sensors.i2c import address_option, bus_option

# Registers, 7.1.
_MASK, _MANUFACTURER, _DIE = 0x06, 0xFE, 0xFF
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
_LEAST, _MOST = -0x8000, 0x7FFF


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


class Ina226(PowerMonitor):
    """An INA226."""

    Options = Ina226Options
    _DIGITS = 7
    _SHUNT_RANGE = (_LEAST + 1, _MOST - 1)
    _BUS_MOST = _MOST - 1
    _SHUNT_END, _BUS_END = "81.9 mV", "40.9 V"

    @staticmethod
    def _order(average: int) -> tuple[int, float]:
        return config_word(average), measurement_s(average)

    def _identify(self) -> None:
        maker, die = self._word(_MANUFACTURER), self._word(_DIE)
        # The low four bits of the die's id are its revision (7.1.10).
        if maker != _TEXAS or die & 0xFFF0 != _INA226:
            raise self._error(
                f"ids 0x{maker:04x} and 0x{die:04x}, and not an INA226's 0x5449 and 0x2260; check "
                "`address` and `type` (an INA219 has no id)",
                "wrong_chip",
            )

    def _start(self) -> None:
        # Writing it clears the flag that says a measurement is complete, and starts one.
        self._set_word(CONFIG, self._config)

    def _fetch(self) -> tuple[int, int] | None:
        if not self._word(_MASK) & _CONVERTED:
            return None
        return self._word(BUS), self._shunt()

    def _convert(self, bus: int, shunt: int) -> tuple[float, float]:
        return bus_volts(bus), amperes(shunt, self._shunt_ohms)
