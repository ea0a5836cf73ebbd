"""The kernel's side of /dev/i2c-N, so that smbus2's own code runs without a bus.

Source: Linux Documentation/i2c/dev-interface.rst, and include/uapi/linux/i2c-dev.h for the numbers.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from edge_agent.sensors.i2c import open_wire
from fakes.i2c import FakeAdapter, FakeWire

SLAVE, FUNCS, RDWR, SMBUS = 0x0703, 0x0705, 0x0707, 0x0720
_READ, _BYTE, _BLOCK = 1, 1, 8


class FakeKernel:
    """Takes the ioctls of smbus2 and hands each on as one transfer of a fake adapter.

    A file that is opened anew has no slave address yet, whatever smbus2 remembers; one that is
    closed is refused, and so is an address that a kernel driver owns.
    """

    def __init__(self, adapter: FakeAdapter, folder: Path) -> None:
        self._adapter = adapter
        self._device = folder / "i2c-1"
        self._device.touch()
        self._wires: dict[int, FakeWire] = {}
        self._slaves: dict[int, int] = {}
        #: the addresses at which a kernel driver is bound
        self.owned: set[int] = set()
        self.requests: list[int] = []

    def open(self, path: str) -> Any:
        """What the product does with ``path``, with a file in its place."""
        del path
        return open_wire(str(self._device))

    def ioctl(self, fd: int, request: int, argument: Any) -> int:
        os.fstat(fd)
        self.requests.append(request)
        acts = {FUNCS: self._funcs, SLAVE: self._slave, SMBUS: self._smbus, RDWR: self._rdwr}
        acts[request](fd, argument)
        return 0

    def _funcs(self, fd: int, argument: Any) -> None:
        """The first thing that smbus2 asks of a file it opened."""
        argument.value = 0x0EFF_0009
        self._wires[fd] = self._adapter.open(str(self._device))
        self._slaves.pop(fd, None)

    def _slave(self, fd: int, argument: int) -> None:
        if argument in self.owned:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._slaves[fd] = argument

    def _smbus(self, fd: int, argument: Any) -> None:
        address, register, wire = self._slaves[fd], argument.command, self._wires[fd]
        if argument.size == _BYTE:
            assert argument.read_write != _READ, "the product asks no SMBus byte"
            wire.write_byte(address, register)
            return
        assert argument.size == _BLOCK, "the product reads and writes blocks of I2C"
        # The first byte of the block is its length.
        block = argument.data.contents.block
        if argument.read_write == _READ:
            answer = wire.read_i2c_block_data(address, register, block[0])
            block[1 : 1 + len(answer)] = answer
        else:
            wire.write_i2c_block_data(address, register, block[1 : 1 + block[0]])

    def _rdwr(self, fd: int, argument: Any) -> None:
        self._wires[fd].i2c_rdwr(*argument.msgs[: argument.nmsgs])
