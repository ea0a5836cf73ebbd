"""An i2c-tiny-usb adapter with fake chips behind it: to Linux it is an I2C bus like any other.

Linux's own driver asks for it, and makes it ``/dev/i2c-N``. The chips are those that the drivers'
unit tests use; here time passes for them by this machine's clock.

Source:
    Linux, drivers/i2c/busses/i2c-tiny-usb.c: the ids of the device, the commands, and the meaning
    of their fields. A message's flags are those of include/uapi/linux/i2c.h.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from fakes.chips import CommandChip
from fakes.usbredir import Control, Identity, Stalled, Unanswered

IDENTITY = Identity(0x0403, 0xC631, 0x0205, "i2c-tiny-usb")

_GET_FUNCTIONS, _SET_DELAY, _GET_STATUS, _IO = 1, 2, 3, 4
_BEGIN = 1
_ACKED, _NACKED = 1, 2
_READ = 0x0001
#: I2C_FUNC_I2C and I2C_FUNC_SMBUS_EMUL of include/uapi/linux/i2c.h
_FUNCTIONS = struct.pack("<I", 0x0EFF0009)


class Line:
    """One chip on the wire: what it makes of messages, and what is wrong with its wiring."""

    def __init__(self, chip: Any) -> None:
        self.chip = chip
        #: it does not answer
        self.silent = False
        #: what comes over the wire is not what the chip has said
        self.spoilt = False
        #: it holds the bus, and nothing on it moves
        self.hung = False
        self._register = 0

    def write(self, data: bytes) -> None:
        """A START, the address and these bytes.

        Raises:
            OSError: the chip does not acknowledge.
        """
        if not data:
            return
        if isinstance(self.chip, CommandChip):
            self.chip.command(data)
        else:
            self._register = data[0]
            if data[1:]:
                self.chip.set(self._register, data[1:])

    def read(self, length: int) -> bytes:
        """A START, the address, and what the chip says to it.

        Raises:
            OSError: the chip does not acknowledge.
        """
        if isinstance(self.chip, CommandChip):
            said = self.chip.answer(length)
        else:
            said = self.chip.get(self._register, length)
        return bytes([said[0], said[1] ^ 0xFF]) + said[2:] if self.spoilt else said


class Adapter:
    """The device behind `usbredir.Device`, and the wires that a test pulls."""

    def __init__(
        self, chips: dict[int, Any], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        #: what a chip was asked that no such chip understands
        self.misused: list[str] = []
        self._monotonic = monotonic
        self._status = _ACKED
        self._lock = threading.Lock()
        self.wire(chips)

    def answer(self, control: Control) -> bytes:
        """Keeps `usbredir.Answer`."""
        with self._lock:
            if control.request & _IO:
                return self._transfer(control)
            match control.request:
                case command if command == _GET_FUNCTIONS:
                    return _FUNCTIONS
                case command if command == _GET_STATUS:
                    return bytes([self._status])
                case command if command == _SET_DELAY:
                    return b""
        raise Stalled

    def wire(self, chips: dict[int, Any]) -> None:
        """These chips, just switched on, on wires that are well; what was there before is gone."""
        with self._lock:
            self._seen_s = self._monotonic()
            self.lines = {address: Line(chip) for address, chip in chips.items()}
            #: when transfers began, on the monotonic clock, by address
            self.asked: dict[int, list[float]] = {address: [] for address in chips}

    def _transfer(self, control: Control) -> bytes:
        self._pass_time()
        if any(line.hung for line in self.lines.values()):
            raise Unanswered
        line = self.lines.get(control.index)
        self._status = _NACKED
        if line is None or line.silent:
            return bytes(control.length)
        if control.request & _BEGIN:
            self.asked[control.index].append(self._seen_s)
        try:
            return self._message(line, control)
        except OSError:
            return bytes(control.length)
        except (AssertionError, KeyError) as error:
            self.misused.append(f"0x{control.index:02x}: {control}: {error!r}")
            return bytes(control.length)

    def _message(self, line: Line, control: Control) -> bytes:
        said = b""
        if control.value & _READ:
            said = line.read(control.length)
        else:
            line.write(control.data)
        self._status = _ACKED
        return said

    def _pass_time(self) -> None:
        now_s = self._monotonic()
        for line in self.lines.values():
            line.chip.elapse(now_s - self._seen_s)
        self._seen_s = now_s
