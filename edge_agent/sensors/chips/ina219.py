"""INA219: voltage of a supply, the current drawn from it, and their product.

Source: Texas Instruments SBOS448 (revision G, whose section numbers are used here).

Wiring: 3 to 5.5 V, GND, SDA, SCL; the shunt between VIN+ (supply) and VIN- (load); the voltage is
that of VIN- against GND, 26 V at the most. Address 0x40 to 0x4f by A0 and A1.

Each measurement is ordered singly (triggered mode, 8.6.2.1); see `power_monitor`.
"""

from __future__ import annotations

import dataclasses

from edge_agent.options import Number, Step, option
from edge_agent.sensors.chips.power_monitor import BUS, CONFIG, PowerMonitor
from edge_agent.sensors.i2c import address_option, bus_option

# 8.6.1: the register that clears the flag.
_POWER = 0x03
_RESET = 0x8000
#: The configuration after power-on (8.6.2.1), and an INA226's, which sits at the same addresses.
_POWER_ON, _INA226 = 0x399F, 0x4127
# 32 V and 320 mV, the widest ranges, which are also those of power-on; both, triggered.
_RANGES, _TRIGGERED = 0x3800, 0x0003
_CONVERTED = 0x0002

#: The code of each number of samples averaged (8.6.2.1, ADC settings).
AVERAGES = {1: 3, 2: 9, 4: 10, 8: 11, 16: 12, 32: 13, 64: 14, 128: 15}
# A conversion of 12 bits takes 532 us, 586 us at the most (7.5); shunt and bus have one each.
_CONVERSION_S = 0.000_586

# One step of the shunt's voltage is 10 uV, of the bus's 4 mV (7.5); full scale, 8.6.3.1, 8.6.3.2.
_SHUNT_STEP_V, _BUS_STEP_V = 0.000_01, 0.004
_SHUNT_FULL, _BUS_FULL = 32_000, 8_000 << 3


@dataclasses.dataclass(frozen=True)
class Ina219Options:
    """Where the chip is, the shunt beside it, and how long it measures."""

    bus: int | str = bus_option()
    address: int = address_option(0x40, least=0x40, most=0x4F)
    shunt_ohms: float = option(
        Number(least=0.000_01, most=1000, unit="ohm"),
        0.1,
        help="The resistance of the shunt: R100 on a board means 0.1 ohm, which goes up to 3.2 A.",
    )
    average: int = option(
        Step(tuple(AVERAGES), unit="samples"),
        1,
        help="How many samples are averaged; 128 calm a pulsing load and take 150 ms.",
    )


def config_word(average: int) -> int:
    """The configuration that starts one measurement, 8.6.2.1."""
    code = AVERAGES[average]
    return _RANGES | code << 7 | code << 3 | _TRIGGERED


def measurement_s(average: int) -> float:
    """Seconds that a measurement of shunt and bus takes at the most."""
    return 2 * average * _CONVERSION_S


def bus_volts(raw: int) -> float:
    """The supply's voltage from the whole bus register; its low three bits are flags (8.6.3.2)."""
    return (raw >> 3) * _BUS_STEP_V


def amperes(raw: int, shunt_ohms: float) -> float:
    """The current from the signed shunt register, by Ohm's law; negative flows backwards."""
    return raw * _SHUNT_STEP_V / shunt_ohms


class Ina219(PowerMonitor):
    """An INA219."""

    Options = Ina219Options
    _DIGITS = 6
    _SHUNT_RANGE = (1 - _SHUNT_FULL, _SHUNT_FULL - 1)
    _BUS_MOST = _BUS_FULL - 1
    _SHUNT_END, _BUS_END = "320 mV", "32 V"

    @staticmethod
    def _order(average: int) -> tuple[int, float]:
        return config_word(average), measurement_s(average)

    def _identify(self) -> None:
        """Reset the chip; it has no id, but its settings are then those of an INA219."""
        self._set_word(CONFIG, _RESET)
        config = self._word(CONFIG)
        if config == _INA226:
            raise self._error("an INA226; use `type: ina226`", "wrong_chip")
        if config != _POWER_ON:
            raise self._error(
                f"settings after a reset are 0x{config:04x}, and not an INA219's 0x399f; check "
                "`address` and `type`",
                "wrong_chip",
            )

    def _start(self) -> None:
        # The flag of a complete measurement is cleared by a new mode, which this is not the second
        # time, or by reading the power register (8.6.3.2).
        self._word(_POWER)
        self._set_word(CONFIG, self._config)

    def _fetch(self) -> tuple[int, int] | None:
        bus = self._word(BUS)
        return (bus, self._shunt()) if bus & _CONVERTED else None

    def _convert(self, bus: int, shunt: int) -> tuple[float, float]:
        return bus_volts(bus), amperes(shunt, self._shunt_ohms)
