"""The I2C bus: one lock, a few quick tries, and errors with a name and a remedy.

smbus2 does the transfers. It neither locks nor tries again, and up to 0.4.3 it goes on with the
old chip's address after an error, so a bus that failed is opened anew. It is imported when the
first bus is opened.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from edge_agent.errors import BusError
from edge_agent.options import AnyOf, Text, Whole, option

T = TypeVar("T")

#: Pauses between the tries of one transfer, in seconds: long enough for a glitch to pass, short
#: enough that the other sensors of the bus keep their schedule.
PAUSES_S = (0.005, 0.020)


class Wire(Protocol):
    """What is asked of ``smbus2.SMBus``; the tests' fake keeps it."""

    def read_i2c_block_data(self, address: int, register: int, length: int, /) -> list[int]:
        """Read ``length`` bytes from ``register``, with a repeated start."""

    def write_i2c_block_data(self, address: int, register: int, data: list[int], /) -> None:
        """Write ``register`` and 1 to 32 bytes."""

    def write_byte(self, address: int, value: int, /) -> None:
        """Write one byte and nothing else."""

    def i2c_rdwr(self, *messages: Any) -> None:
        """Make the transfers that the messages describe."""

    def close(self) -> None:
        """Let go of the device file."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """What an errno means on an I2C bus."""

    #: one word for programs
    reason: str
    #: what is wrong, and what to do about it
    sentence: str
    #: whether another try a few milliseconds later can go well
    passing: bool = False


_NACK = Trouble(
    "nack",
    "no answer; check the sensor's address, power and wiring",
    passing=True,
)
_ABSENT = Trouble(
    "absent_bus",
    "there is no such bus; switch I2C on with raspi-config, or with dtparam=i2c_arm=on in "
    "config.txt, and reboot",
)
_PERMISSION = Trouble(
    "permission",
    "the bus may not be opened; add this user to the group i2c",
)

#: Source: Linux Documentation/i2c/fault-codes.rst; which of them a BCM2835 (EREMOTEIO, ETIMEDOUT),
#: a Pi 5 or a USB adapter (ENXIO) gives for a missing answer is their drivers' habit.
TROUBLES: Mapping[int | None, Trouble] = {
    errno.EREMOTEIO: _NACK,
    errno.ENXIO: _NACK,
    errno.EIO: Trouble(
        "io",
        "the transfer failed; check for loose or long wires, and pull-ups on SDA and SCL",
        passing=True,
    ),
    errno.ETIMEDOUT: Trouble(
        "timeout",
        "a chip holds the bus; switch its power off and on, and if that happens often, lower "
        "dtparam=i2c_arm_baudrate or use dtoverlay=i2c-gpio",
        passing=True,
    ),
    errno.EAGAIN: Trouble(
        "arbitration",
        "the bus was lost to another master; only one may use it",
        passing=True,
    ),
    errno.EBUSY: Trouble(
        "busy",
        "a kernel driver owns this chip; use `type: iio` (or `type: hwmon`), or remove its "
        "dtoverlay from config.txt",
    ),
    errno.ENOENT: _ABSENT,
    errno.ENODEV: _ABSENT,
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EOPNOTSUPP: Trouble(
        "unsupported",
        "this bus adapter cannot do the transfer; use the Pi's own bus or dtoverlay=i2c-gpio",
    ),
}


def open_wire(path: str) -> Wire:
    """The bus at ``path``, by smbus2.

    Raises:
        OSError: there is no such file, it may not be opened, or it is no I2C bus.
    """
    bus = _smbus2().SMBus()
    try:
        bus.open(path)
    except OSError:
        # The file may be open already when its first question fails; smbus2 would leak it.
        bus.close()
        raise
    wire: Wire = bus
    return wire


class Bus:
    """One I2C bus; keeps `base.BusLike`. Thread-safe: one transfer at a time.

    The device is opened by the first transfer, so that a bus which is not there is a fault of its
    sensors, not of the agent.
    """

    def __init__(
        self,
        path: Path,
        *,
        root: Path = Path("/"),
        open_wire: Callable[[str], Wire] = open_wire,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the way to the bus.

        Args:
            path: its device file, without symbolic links.
            root: where /sys is.
            open_wire: opens the device file.
            sleep: waits that many seconds.
        """
        self._path = path
        self._owners = root / "sys/bus/i2c/devices"
        self._open_wire = open_wire
        self._sleep = sleep
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    @property
    def name(self) -> str:
        """``i2c-1``: the device file's own name."""
        return self._path.name

    def read_register(self, address: int, register: int, length: int) -> bytes:
        """``length`` bytes (1 to 32) from ``register``, in the order they came over the wire.

        Raises:
            BusError: no try went well.
        """
        return bytes(
            self._transfer(
                address, lambda wire: wire.read_i2c_block_data(address, register, length)
            )
        )

    def write_register(self, address: int, register: int, data: bytes) -> None:
        """Write ``data`` (0 to 31 bytes) to ``register``.

        Raises:
            BusError: no try went well; the chip may have taken one all the same.
        """
        if data:
            block = list(data)
            self._transfer(
                address, lambda wire: wire.write_i2c_block_data(address, register, block)
            )
        else:
            self._transfer(address, lambda wire: wire.write_byte(address, register))

    def write(self, address: int, data: bytes) -> None:
        """One plain write ending in a STOP.

        Raises:
            BusError: no try went well; the chip may have taken one all the same.
        """
        self._plain(address, _smbus2().i2c_msg.write(address, data))

    def read(self, address: int, length: int) -> bytes:
        """One plain read of ``length`` bytes, a transfer of its own.

        Raises:
            BusError: no try went well.
        """
        message = _smbus2().i2c_msg.read(address, length)
        self._plain(address, message)
        return bytes(message)

    def close(self) -> None:
        """Let go of the device; the next transfer opens it again.

        A bus that hangs in a transfer is left alone: waiting for it would hang the caller too, and
        the kernel closes the device with the process.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _plain(self, address: int, message: Any) -> None:
        def transfer(wire: Wire) -> None:
            self._refuse_owned(address)
            wire.i2c_rdwr(message)

        self._transfer(address, transfer)

    def _refuse_owned(self, address: int) -> None:
        """Keep away from a chip that a kernel driver uses.

        The kernel refuses SMBus transfers to such a chip by itself, but not I2C_RDWR: two masters
        would cut into each other's commands.
        """
        chip = f"{self.name.removeprefix('i2c-')}-{address:04x}"
        if (self._owners / chip / "driver").exists():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _transfer(self, address: int, act: Callable[[Wire], T]) -> T:
        pauses_s = iter(PAUSES_S)
        while True:
            try:
                return self._once(act)
            except OSError as error:
                trouble = TROUBLES.get(error.errno) or _unknown(error)
                pause_s = next(pauses_s, None) if trouble.passing else None
                if pause_s is None:
                    raise BusError(
                        f"{self._path} address 0x{address:02x}: {trouble.sentence}",
                        reason=trouble.reason,
                    ) from error
            # The lock is free while we wait: the other chips need not.
            self._sleep(pause_s)

    def _once(self, act: Callable[[Wire], T]) -> T:
        with self._lock:
            if self._wire is None:
                self._wire = self._open_wire(str(self._path))
            try:
                return act(self._wire)
            except OSError:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


class Buses:
    """Every I2C bus of the machine, each made once; call it with a number or a path."""

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        open_wire: Callable[[str], Wire] = open_wire,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the way to the buses; the arguments are those of `Bus`."""
        self._root = root
        self._open_wire = open_wire
        self._sleep = sleep
        self._buses: dict[Path, Bus] = {}

    def __call__(self, bus: int | str) -> Bus:
        """Bus N or the bus at a path, the same object for every name of it.

        Args:
            bus: 1 for ``/dev/i2c-1``, or a path; a symbolic link is followed.
        """
        written = f"dev/i2c-{bus}" if isinstance(bus, int) else bus.lstrip("/")
        path = (self._root / written).resolve()
        made = Bus(path, root=self._root, open_wire=self._open_wire, sleep=self._sleep)
        return self._buses.setdefault(path, made)

    def close(self) -> None:
        """Close every bus; each opens again if it is used again."""
        for bus in self._buses.values():
            bus.close()


def bus_option() -> Any:
    """The option ``bus`` of every I2C driver."""
    return option(
        AnyOf((Text(pattern="/.+", meaning="a path such as /dev/i2c-1"), Whole(least=0, most=255))),
        1,
        help="The I2C bus: N for /dev/i2c-N, or a path.",
    )


def address_option(default: int, least: int, most: int) -> Any:
    """The option ``address`` of an I2C driver whose chip can be set to ``least`` to ``most``."""
    return option(
        Whole(least=least, most=most, hexadecimal=True),
        default,
        help="The chip's I2C address, set by a pin or solder bridge on its board.",
    )


def unsigned_word(data: bytes) -> int:
    """The first two bytes, high byte first, as 0 to 65535."""
    return int.from_bytes(data[:2], "big")


def signed_word(data: bytes) -> int:
    """The first two bytes, high byte first, in two's complement: -32768 to 32767."""
    return int.from_bytes(data[:2], "big", signed=True)


def crc8(data: bytes, init: int = 0xFF) -> int:
    """The check byte of Sensirion, Aosong and TE chips: polynomial 0x31, high bit first.

    Args:
        data: the bytes that the check byte follows.
        init: what the sum starts with: 0xFF, but 0x00 for SHT2x, HTU21D and Si7021.

    Source: Sensirion SHT3x-DIS data sheet, 4.12 (checksum calculation).
    """
    crc = init
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _unknown(error: OSError) -> Trouble:
    return Trouble("failed", f"{error.strerror or error}; look at dmesg for the bus driver's words")


def _smbus2() -> ModuleType:
    import smbus2  # noqa: PLC0415  # a machine without I2C sensors need not load it

    return smbus2
