"""INA219: voltage of a supply, the current drawn from it, and their product.

Source: Texas Instruments SBOS448 (revision G, whose section numbers are used here).

Wiring: 3 to 5.5 V, GND, SDA, SCL; the shunt between VIN+ (supply) and VIN- (load); the voltage is
that of VIN- against GND, 26 V at the most. Address 0x40 to 0x4f by A0 and A1.

The current is computed from the shunt's voltage here. The chip could do it, but after a power
failure its calibration register is empty, and it would say 0 A without a word. It sleeps between
measurements (triggered mode, 8.6.2.1); the settings that `trigger` finds show whether it kept its
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

# Registers, 8.6.1.
_CONFIG, _SHUNT, _BUS, _POWER = 0x00, 0x01, 0x02, 0x03
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
_SHUNT_FULL, _BUS_FULL = 32_000, 8_000

_DIGITS = 6


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


class Ina219(Sensor):
    """An INA219."""

    Options = Ina219Options
    channels = (
        Channel("voltage", "volt"),
        Channel("current", "ampere"),
        Channel("power", "watt"),
    )

    def __init__(self, options: Ina219Options, surroundings: Surroundings) -> None:
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
        # The flag of a complete measurement is cleared by a new mode, which this is not the second
        # time, or by reading the power register (8.6.3.2).
        self._get(_POWER)
        self._set(_CONFIG, self._config)
        self._known = True
        return self._wait_s

    def read(self) -> Sequence[Measurement]:
        """Voltage, current and power of the measurement that `trigger` started.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``saturated``, or a bus error's reason.
        """
        if not self._known:
            raise self._error("read before a measurement was started", "not_ready")
        bus = unsigned_word(self._block(_BUS))
        if not bus & _CONVERTED:
            raise self._error("the measurement did not end in time", "not_ready")
        shunt = signed_word(self._block(_SHUNT))
        if self._get(_CONFIG) != self._config:
            raise self._error(
                "settings changed during the measurement: it lost its power; check its supply",
                "power_on_value",
            )
        self._refuse_saturated(bus >> 3, shunt)
        volt, ampere = bus_volts(bus), amperes(shunt, self._shunt_ohms)
        return [
            Measurement(channel.name, round(value, _DIGITS), channel.unit)
            for channel, value in zip(self.channels, (volt, ampere, volt * ampere), strict=True)
        ]

    def close(self) -> None:
        """Forget that the chip was looked at: another may answer next time."""
        self._known = False

    def _identify(self) -> None:
        """Reset the chip; it has no id, but its settings are then those of an INA219."""
        self._set(_CONFIG, _RESET)
        config = self._get(_CONFIG)
        if config == _INA226:
            raise self._error("an INA226; use `type: ina226`", "wrong_chip")
        if config != _POWER_ON:
            raise self._error(
                f"settings after a reset are 0x{config:04x}, and not an INA219's 0x399f; check "
                "`address` and `type`",
                "wrong_chip",
            )

    def _refuse_saturated(self, bus: int, shunt: int) -> None:
        if abs(shunt) >= _SHUNT_FULL:
            raise self._error(
                "the shunt's voltage is beyond 320 mV; check the load, or use a smaller shunt",
                "saturated",
            )
        if bus >= _BUS_FULL:
            raise self._error("the voltage is beyond 32 V; take it off at once", "saturated")

    def _get(self, register: int) -> int:
        return unsigned_word(self._block(register))

    def _set(self, register: int, value: int) -> None:
        self._bus.write_register(self._address, register, value.to_bytes(2, "big"))

    def _block(self, register: int) -> bytes:
        return self._bus.read_register(self._address, register, 2)

    def _error(self, what: str, reason: str) -> SensorError:
        return SensorError(f"{self.bus_name} address 0x{self._address:02x}: {what}", reason=reason)
