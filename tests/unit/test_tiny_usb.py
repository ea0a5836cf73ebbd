"""The fake I2C adapter that guests are given: what Linux's driver asks, and faults on command."""

from __future__ import annotations

import pytest
from fakes.chips_humidity import SENSIRION_FRAME, FakeSht3x
from fakes.clock import FakeClock
from fakes.i2c import RegisterChip
from fakes.tiny_usb import Adapter
from fakes.usbredir import Control, Stalled, Unanswered

ORDER = b"\x24\x00"
READ = 1
ACKED, NACKED = b"\x01", b"\x02"
BEGIN, END = 5, 6
WHOLE = 7


class Bus:
    """An adapter, asked as drivers/i2c/busses/i2c-tiny-usb.c does."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sht3x = FakeSht3x()
        self.registers = RegisterChip(bytes(range(256)))
        self.adapter = Adapter({0x44: self.sht3x, 0x48: self.registers}, clock.monotonic)
        clock.advance(1)

    def write(self, address: int, data: bytes, command: int = WHOLE) -> bytes:
        """The status of it."""
        self.adapter.answer(Control(command, 0x41, 0, address, len(data), data))
        return self.status()

    def read(self, address: int, length: int, command: int = WHOLE) -> tuple[bytes, bytes]:
        """The status, and what was read."""
        said = self.adapter.answer(Control(command, 0xC1, READ, address, length))
        return self.status(), said

    def status(self) -> bytes:
        return self.adapter.answer(Control(3, 0xC1, 0, 0, 1))

    def measure(self) -> tuple[bytes, bytes]:
        assert self.write(0x44, ORDER) == ACKED
        self.clock.advance(0.0155)
        return self.read(0x44, 6)


@pytest.fixture
def bus(clock: FakeClock) -> Bus:
    return Bus(clock)


def test_adapter_can_do_plain_transfers_and_what_linux_makes_of_them(bus: Bus) -> None:
    """I2C_FUNC_I2C and I2C_FUNC_SMBUS_EMUL, low byte first; a delay is taken."""
    assert bus.adapter.answer(Control(1, 0xC1, 0, 0, 4)) == bytes.fromhex("0900ff0e")
    assert bus.adapter.answer(Control(2, 0x41, 10)) == b""
    with pytest.raises(Stalled):
        bus.adapter.answer(Control(9, 0x41))


def test_adapter_measures_with_a_command_chip(bus: Bus) -> None:
    """Two transfers with time between them."""
    assert bus.measure() == (ACKED, SENSIRION_FRAME)


def test_adapter_chip_that_is_busy_is_not_acknowledged(bus: Bus) -> None:
    """A status, not an error: the driver makes ENXIO of it."""
    assert bus.write(0x44, ORDER) == ACKED
    assert bus.read(0x44, 6)[0] == NACKED


def test_adapter_reads_registers_by_a_combined_transfer(bus: Bus) -> None:
    """The register in one message, its content in the next."""
    assert bus.write(0x48, b"\x10", BEGIN) == ACKED
    assert bus.read(0x48, 3, END) == (ACKED, b"\x10\x11\x12")


def test_adapter_writes_registers(bus: Bus) -> None:
    """And reads what was written."""
    assert bus.write(0x48, b"\x10\xaa\xbb") == ACKED
    assert bus.registers.registers[0x10:0x12] == b"\xaa\xbb"


def test_adapter_address_without_a_chip_is_not_acknowledged(bus: Bus) -> None:
    """Nor one whose chip is silent; the one beside it is."""
    assert bus.write(0x23, b"") == NACKED
    assert bus.write(0x44, b"") == ACKED
    bus.adapter.lines[0x44].silent = True
    assert bus.write(0x44, b"") == NACKED
    assert bus.write(0x48, b"") == ACKED


def test_adapter_spoils_what_comes_over_the_wire(bus: Bus) -> None:
    """The chip has said something else, so its check byte is wrong."""
    bus.adapter.lines[0x44].spoilt = True
    status, said = bus.measure()
    assert status == ACKED
    assert said != SENSIRION_FRAME
    assert said[2:] == SENSIRION_FRAME[2:]


def test_adapter_with_a_chip_that_holds_the_bus_answers_no_transfer(bus: Bus) -> None:
    """Of no chip, until the bus is let go."""
    bus.adapter.lines[0x44].hung = True
    with pytest.raises(Unanswered):
        bus.read(0x48, 1)
    bus.adapter.lines[0x44].hung = False
    assert bus.read(0x48, 1)[0] == ACKED


def test_adapter_wired_anew_is_well(bus: Bus) -> None:
    """Whatever was wrong; and its chips start up."""
    line = bus.adapter.lines[0x44]
    line.silent = line.spoilt = line.hung = True
    bus.adapter.wire({0x44: FakeSht3x()})
    assert bus.write(0x44, ORDER) == NACKED  # starting up
    bus.clock.advance(0.001)
    assert bus.measure() == (ACKED, SENSIRION_FRAME)


def test_adapter_knows_when_each_chip_was_asked(bus: Bus) -> None:
    """On the clock that it was given; a combined transfer is one."""
    bus.write(0x48, b"\x10", BEGIN)
    bus.read(0x48, 3, END)
    bus.clock.advance(5)
    bus.read(0x48, 1)
    first, second = bus.adapter.asked[0x48]
    assert second - first == 5


def test_adapter_tells_of_what_no_such_chip_understands(bus: Bus) -> None:
    """A driver that asks for it is at fault, and a test sees it."""
    assert bus.write(0x44, b"\xff\xff") == NACKED
    (misuse,) = bus.adapter.misused
    assert misuse.startswith("0x44")
