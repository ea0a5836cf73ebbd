"""What the drivers of I2C chips do alike: words, check bytes, and errors that name the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge_agent.errors import ChecksumError, SensorError
from edge_agent.sensors.base import BusLike, Channel, Sensor, Surroundings
from edge_agent.sensors.i2c import crc8, unsigned_word
from edge_agent.types import Measurement


class Placed(Protocol):
    """The two options that place a chip."""

    @property
    def bus(self) -> int | str:
        """N for /dev/i2c-N, or a path."""

    @property
    def address(self) -> int:
        """Seven bits."""


class ChipSensor(Sensor):
    """One chip at one address; what is asked of it is the driver's own."""

    def __init__(self, options: Placed, surroundings: Surroundings) -> None:
        self._bus: BusLike = surroundings.bus(options.bus)
        self._sleep: Callable[[float], None] = surroundings.sleep
        self._address = options.address
        #: whether there is something to read: the chip is set up, or its measurement under way
        self._is_set_up = False
        self.bus_name = self._bus.name

    def close(self) -> None:
        """Forget the set-up: another chip may answer next time."""
        self._is_set_up = False

    def _require_set_up(self) -> None:
        if not self._is_set_up:
            raise self._error("read before a measurement was started", "not_ready")

    def _command(self, *data: int) -> None:
        """One plain write, ending in a STOP."""
        self._bus.write(self._address, bytes(data))

    def _checked_words(self, count: int, init: int = 0xFF) -> list[int]:
        """``count`` words by a plain read, each followed by its own check byte.

        Raises:
            ChecksumError: one of them does not fit.
        """
        data = self._bus.read(self._address, 3 * count)
        words = [data[place : place + 3] for place in range(0, 3 * count, 3)]
        for word in words:
            self._check(word, init)
        return [unsigned_word(word) for word in words]

    def _check(self, data: bytes, init: int = 0xFF) -> None:
        """Refuse ``data`` whose last byte is not the check byte of those before it."""
        if crc8(data[:-1], init) != data[-1]:
            raise ChecksumError(
                f"{self._place()}: the check byte of {data.hex(' ')} does not fit; shorten the "
                "wires, or lower dtparam=i2c_arm_baudrate"
            )

    def _end_of_scale(self, raw: int, most: int, what: str) -> SensorError | None:
        """The first and the last step of a converter say that it stuck, not what it measured."""
        if raw not in (0, most):
            return None
        return self._error(
            f"{what} is at the end of its scale (0x{raw:04x}); it is saturated or broken: dry it, "
            "or replace the chip",
            "saturated",
        )

    def _refuse_end_of_scale(self, raw: int, most: int, what: str) -> None:
        """As `_end_of_scale`, where nothing can be measured without it."""
        if trouble := self._end_of_scale(raw, most, what):
            raise trouble

    @staticmethod
    def _measurement(
        channel: Channel, value: float, trouble: SensorError | None = None
    ) -> Measurement:
        """What one channel says; with ``trouble``, why this one alone has nothing to say."""
        if trouble is None:
            return Measurement(channel.name, value, channel.unit)
        reason, detail = trouble.reason, str(trouble)
        return Measurement(channel.name, 0.0, channel.unit, fault=reason, detail=detail)

    def _word(self, register: int) -> int:
        """A register of 16 bits, high byte first."""
        return unsigned_word(self._bus.read_register(self._address, register, 2))

    def _set_word(self, register: int, value: int) -> None:
        self._bus.write_register(self._address, register, value.to_bytes(2, "big"))

    def _error(self, what: str, reason: str) -> SensorError:
        return SensorError(f"{self._place()}: {what}", reason=reason)

    def _place(self) -> str:
        return f"{self.bus_name} address 0x{self._address:02x}"
