"""HDC1080 (temperature and humidity) for the Pyvorin edge agent.

Source: Texas Instruments, data sheet SNAS672. Section numbers below are its.

Wiring: 3.3 V, GND, SDA, SCL; the address is 0x40, always.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Step, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.sensors.i2c import address_option, bus_option, unsigned_word
from edge_agent.types import Measurement

# 8.6: registers, and what the chip says of itself.
_MEASURE, _CONFIGURATION, _DEVICE = 0x00, 0x02, 0xFF
_HDC1080 = 0x1050
# 8.6.3: both quantities one after the other, with so many bits each.
_SETTINGS = {14: 0x1000, 11: 0x1500}
# 7.5: 12.85 ms at 14 bits are typical, and no maximum is given; this leaves as much again.
_CONVERSION_S = 0.026


@dataclasses.dataclass(frozen=True)
class Hdc1080Options:
    """What may stand in agent.yaml beside `name`, `type` and `interval`."""

    bus: int | str = bus_option()
    address: int = address_option(0x40, least=0x40, most=0x40)
    bits: int = option(Step((11, 14)), 14, help="How finely it measures.")


def celsius(raw: int) -> float:
    """8.6.1: T = raw / 2^16 * 165 - 40."""
    return raw / 65536 * 165 - 40


def percent(raw: int) -> float:
    """8.6.2: RH = raw / 2^16 * 100."""
    return raw / 65536 * 100


class Hdc1080(Sensor):
    """One HDC1080."""

    Options = Hdc1080Options
    channels = (Channel("temperature", "celsius"), Channel("humidity", "percent"))

    def __init__(self, options: Hdc1080Options, surroundings: Surroundings) -> None:
        # Nothing is asked of the chip here: one that is absent is a fault later, not a crash now.
        self._bus = surroundings.bus(options.bus)
        self._address = options.address
        self._settings = _SETTINGS[options.bits]
        self._is_set_up = False
        self.bus_name = self._bus.name

    def trigger(self) -> float:
        """Start a conversion; other sensors are read while it takes place."""
        if not self._is_set_up:
            self._set_up()
        # 8.5: writing the pointer begins to measure. While it measures the chip answers nothing.
        self._bus.write(self._address, bytes([_MEASURE]))
        return _CONVERSION_S

    def read(self) -> Sequence[Measurement]:
        """What was measured."""
        if not self._is_set_up:
            raise self._error("read before a measurement was started", "not_ready")
        # Without a register's number: that would begin to measure anew.
        data = self._bus.read(self._address, 4)
        temperature, humidity = unsigned_word(data), unsigned_word(data[2:])
        return [
            Measurement("temperature", round(celsius(temperature), 3), "celsius"),
            Measurement("humidity", round(percent(humidity), 3), "percent"),
        ]

    def close(self) -> None:
        """Called after every failure: the next `trigger` sets the chip up anew."""
        self._is_set_up = False

    def _set_up(self) -> None:
        device = unsigned_word(self._bus.read_register(self._address, _DEVICE, 2))
        if device != _HDC1080:
            raise self._error(f"device 0x{device:04x} is no HDC1080 (0x1050)", "wrong_chip")
        settings = self._settings.to_bytes(2, "big")
        self._bus.write_register(self._address, _CONFIGURATION, settings)
        self._is_set_up = True

    def _error(self, what: str, reason: str) -> SensorError:
        return SensorError(f"{self.bus_name} address 0x{self._address:02x}: {what}", reason=reason)
