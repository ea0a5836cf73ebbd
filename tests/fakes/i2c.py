"""An I2C adapter without a wire: it stands in for smbus2, under the product's own `i2c.Bus`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Protocol

#: What vectors A and B of the BME280 driver are made of; B is a chip with humidity.
VECTOR_A = bytes.fromhex(
    "706b436718fc 7d8e43d6d00b270b8c00f9ff8c3cf8c67017 0000"  # T1…T3, P1…P9, reserved, no H1
)
VECTOR_A_DATA = bytes.fromhex("655ac0 7eed00")
VECTOR_B = bytes.fromhex("b16f2e6a3200 e28f0ad7d00b751fc5fff9ffac260ad8bd10 004b")
VECTOR_B_HUMIDITY = bytes.fromhex("77010012 20031e")
VECTOR_B_DATA = bytes.fromhex("4f5700 845100 5eb4")


class Chip(Protocol):
    """A chip with registers, on time that passes when the test says so."""

    def get(self, register: int, length: int) -> bytes: ...

    def set(self, register: int, data: bytes) -> None: ...

    def elapse(self, seconds: float) -> None: ...


class FakeAdapter:
    """Every transfer is recorded as ``(kind, address, register or None, data or length)``.

    An address without a chip does not answer (errno 121), as on a Pi.
    """

    def __init__(self, chips: dict[int, Any] | None = None) -> None:
        self.chips = {} if chips is None else chips
        self.transactions: list[tuple[str, int, int | None, bytes | int]] = []
        self.opened: list[str] = []
        self.open_now = 0
        self.slept: list[float] = []
        #: what becomes of the answer to a plain read on its way
        self.on_the_way: Callable[[bytes], bytes] = bytes
        self._next: list[int | None] = []
        self._always: int | None = None

    def fail(self, number: int, *, after: int = 0, times: int | None = None) -> None:
        """Let ``after`` transfers through; answer ``times``, or all, of the next with an errno."""
        self._next = [None] * after + [number] * (times or 0)
        self._always = number if times is None else None

    def heal(self) -> None:
        self._next, self._always = [], None

    def open(self, path: str) -> FakeWire:
        self.opened.append(path)
        self.open_now += 1
        return FakeWire(self)

    def sleep(self, seconds: float) -> None:
        """Time passes for every chip; nobody waits."""
        self.slept.append(seconds)
        for chip in self.chips.values():
            chip.elapse(seconds)

    def transfer(self, kind: str, address: int, register: int | None, data: bytes | int) -> Any:
        self.transactions.append((kind, address, register, data))
        number = self._next.pop(0) if self._next else self._always
        if number is None and address not in self.chips:
            number = errno.EREMOTEIO
        if number is not None:
            raise OSError(number, os.strerror(number))
        return self.chips[address]


class FakeWire:
    """Keeps `i2c.Wire`, with the bad habit of smbus2 0.4: of no use after an error."""

    def __init__(self, adapter: FakeAdapter) -> None:
        self._adapter = adapter
        self._usable = True

    def read_i2c_block_data(self, address: int, register: int, length: int, /) -> list[int]:
        assert 1 <= length <= 32, "an SMBus block is 1 to 32 bytes"
        return list(self._transfer("read", address, register, length).get(register, length))

    def write_i2c_block_data(self, address: int, register: int, data: list[int], /) -> None:
        assert 1 <= len(data) <= 32, "an SMBus block is 1 to 32 bytes"
        self._transfer("write", address, register, bytes(data)).set(register, bytes(data))

    def write_byte(self, address: int, value: int, /) -> None:
        self._transfer("write", address, value, b"").set(value, b"")

    def i2c_rdwr(self, *messages: Any) -> None:
        """Takes one of smbus2's messages: flag 1 is a read, into the message's buffer."""
        (message,) = messages  # several would have no STOP between them
        if message.flags & 1:
            chip = self._transfer("plain read", message.addr, None, message.len)
            for place, byte in enumerate(self._adapter.on_the_way(chip.answer(message.len))):
                message.buf[place] = bytes([byte])
        else:
            data = bytes(message)
            self._transfer("plain write", message.addr, None, data).command(data)

    def close(self) -> None:
        self._usable = False
        self._adapter.open_now -= 1

    def _transfer(self, kind: str, address: int, register: int | None, data: bytes | int) -> Any:
        assert self._usable, "a wire was used after it failed or was closed"
        try:
            return self._adapter.transfer(kind, address, register, data)
        except OSError:
            self._usable = False
            raise


class RegisterChip:
    """A few bytes of memory and a command buffer, for tests of the bus itself."""

    def __init__(self, registers: bytes = bytes(256)) -> None:
        self.registers = bytearray(registers)
        self.commands: list[bytes] = []

    def restart(self) -> None:
        """Its memory outlasts a power failure."""

    def get(self, register: int, length: int) -> bytes:
        return bytes(self.registers[register : register + length])

    def set(self, register: int, data: bytes) -> None:
        self.registers[register : register + len(data)] = data

    def command(self, data: bytes) -> None:
        self.commands.append(data)

    def answer(self, length: int) -> bytes:
        return bytes(self.registers[:length])

    def elapse(self, seconds: float) -> None:
        """Nothing in it takes time."""


class FakeBme280:
    """A BME280, or a BMP280 with ``chip_id=0x58``, that refuses what the chip refuses.

    - The calibration reads as zeros until it was copied, 3 ms after power-on or reset.
    - A measurement takes as long as the data sheet says for the settings that are in effect, and
      the data registers keep the old values until then.
    - ctrl_hum takes effect with the next write to ctrl_meas.
    - What is not measured reads as its power-on value.
    """

    COPY_S = 0.003

    def __init__(
        self,
        *,
        chip_id: int = 0x60,
        calibration: bytes = VECTOR_B,
        humidity: bytes = VECTOR_B_HUMIDITY,
        measures: bytes = VECTOR_B_DATA,
    ) -> None:
        self.chip_id = chip_id
        self.calibration = calibration
        self.humidity = humidity
        #: what the next measurement will give, as in the registers from 0xF7
        self.measures = measures
        #: set it, and copying or measuring never ends
        self.stuck = False
        self.restart()

    def restart(self) -> None:
        """Power-on, or the reset command."""
        self._registers = {0xF2: 0, 0xF4: 0}
        self._oversampling_humidity = 0
        self._data = bytes.fromhex("800000 800000 8000")
        self._copying_s = self.COPY_S
        self._measuring_s = 0.0

    def elapse(self, seconds: float) -> None:
        if self.stuck:
            return
        self._copying_s = max(self._copying_s - seconds, 0.0)
        if self._measuring_s:
            self._measuring_s = max(self._measuring_s - seconds, 0.0)
            if not self._measuring_s:
                self._finish()

    def get(self, register: int, length: int) -> bytes:
        return bytes(self._byte(place) for place in range(register, register + length))

    def set(self, register: int, data: bytes) -> None:
        assert len(data) == 1, "the chip takes register and value in pairs only"
        value = data[0]
        if register == 0xE0:
            if value == 0xB6:
                self.restart()
        elif register in self._registers:
            self._registers[register] = value
            if register == 0xF4:
                self._control(value)

    def _byte(self, place: int) -> int:
        status = (8 if self._measuring_s else 0) | (1 if self._copying_s else 0)
        if place in (0xD0, 0xF3):
            return {0xD0: self.chip_id, 0xF3: status}[place]
        if 0xF7 <= place <= 0xFE:
            return self._data[place - 0xF7]
        return self._registers.get(place, 0) if self._copying_s else self._memory(place)

    def _memory(self, place: int) -> int:
        if 0x88 <= place <= 0xA1:
            return self.calibration[place - 0x88]
        if 0xE1 <= place <= 0xE7 and self.chip_id == 0x60:
            return self.humidity[place - 0xE1]
        return self._registers.get(place, 0)

    def _control(self, value: int) -> None:
        self._oversampling_humidity = self._registers[0xF2] & 7 if self.chip_id == 0x60 else 0
        if value & 3 in (1, 2):
            times = [1 << (code - 1) if code else 0 for code in self._codes()]
            starts = sum(0.575 for count in times[1:] if count)
            self._measuring_s = (1.25 + 2.3 * sum(times) + starts) / 1000

    def _codes(self) -> tuple[int, int, int]:
        """Temperature, pressure, humidity."""
        control = self._registers[0xF4]
        return control >> 5, control >> 2 & 7, self._oversampling_humidity

    def _finish(self) -> None:
        temperature, pressure, humidity = self._codes()
        measured = self.measures.ljust(8, b"\0")
        self._data = (
            (measured[0:3] if pressure else bytes.fromhex("800000"))
            + (measured[3:6] if temperature else bytes.fromhex("800000"))
            + (measured[6:8] if humidity else bytes.fromhex("8000"))
        )
        self._registers[0xF4] &= ~3
