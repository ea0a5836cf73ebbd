"""The bus by smbus2's own code, of whatever version is installed, down to the kernel's ioctls."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fakes.i2c import FakeAdapter, RegisterChip
from fakes.ioctl import FUNCS, RDWR, SLAVE, SMBUS, FakeKernel

from edge_agent.errors import BusError
from edge_agent.sensors import i2c

ADDRESS, OTHER = 0x40, 0x41


@pytest.fixture
def adapter() -> FakeAdapter:
    chips = {ADDRESS: RegisterChip(bytes(range(256))), OTHER: RegisterChip(b"\x99" * 256)}
    return FakeAdapter(chips)


@pytest.fixture
def kernel(adapter: FakeAdapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    made = FakeKernel(adapter, tmp_path)
    monkeypatch.setattr("smbus2.smbus2.ioctl", made.ioctl)
    return made


@pytest.fixture
def bus(kernel: FakeKernel, adapter: FakeAdapter, tmp_path: Path) -> i2c.Bus:
    return i2c.Bus(tmp_path / "i2c-1", root=tmp_path, sleep=adapter.sleep)


def test_register_written_and_read_goes_through_smbus2_as_it_is(
    bus: i2c.Bus, adapter: FakeAdapter, kernel: FakeKernel
) -> None:
    """One transfer each, in the order of the wire, up to the longest block; the slave set once."""
    block = bytes(range(100, 131))
    bus.write_register(ADDRESS, 0x10, b"\x19\x00")
    bus.write_register(ADDRESS, 0x20, block)

    assert bus.read_register(ADDRESS, 0x10, 2) == b"\x19\x00"
    assert bus.read_register(ADDRESS, 0x1F, 32) == b"\x1f" + block
    assert adapter.transactions == [
        ("write", ADDRESS, 0x10, b"\x19\x00"),
        ("write", ADDRESS, 0x20, block),
        ("read", ADDRESS, 0x10, 2),
        ("read", ADDRESS, 0x1F, 32),
    ]
    assert kernel.requests == [FUNCS, SLAVE, SMBUS, SMBUS, SMBUS, SMBUS]
    bus.close()


def test_register_written_without_data_goes_through_smbus2_as_one_byte(
    bus: i2c.Bus, adapter: FakeAdapter
) -> None:
    """A reset by writing the register's number alone."""
    bus.write_register(ADDRESS, 0xFE, b"")

    assert adapter.transactions == [("write", ADDRESS, 0xFE, b"")]
    bus.close()


def test_plain_transfers_go_through_smbus2_as_a_message_each(
    bus: i2c.Bus, adapter: FakeAdapter, kernel: FakeKernel
) -> None:
    """Neither needs a slave address, nor is 32 bytes the most; zeros and all are kept."""
    bus.write(ADDRESS, b"\x24\x00")

    assert bus.read(ADDRESS, 48) == bytes(range(48))
    assert adapter.transactions == [
        ("plain write", ADDRESS, None, b"\x24\x00"),
        ("plain read", ADDRESS, None, 48),
    ]
    assert kernel.requests == [FUNCS, RDWR, RDWR]
    bus.close()


def test_chips_of_one_bus_are_not_taken_for_each_other(bus: i2c.Bus, adapter: FakeAdapter) -> None:
    """smbus2 remembers the slave address, and up to 0.4.3 also beyond the file's end."""
    assert bus.read_register(ADDRESS, 1, 1) == b"\x01"
    assert bus.read_register(OTHER, 1, 1) == b"\x99"
    adapter.fail(errno.EIO, times=1)

    assert bus.read_register(OTHER, 1, 1) == b"\x99"
    assert bus.read_register(ADDRESS, 1, 1) == b"\x01"
    bus.close()
    assert bus.read_register(ADDRESS, 2, 1) == b"\x02"
    bus.close()


@pytest.mark.parametrize(
    ("number", "reason", "tries"),
    [
        (errno.EREMOTEIO, "nack", 3),
        (errno.ENXIO, "nack", 3),
        (errno.EIO, "io", 3),
        (errno.ETIMEDOUT, "timeout", 3),
        (errno.EBUSY, "busy", 1),
    ],
)
@pytest.mark.parametrize("transfer", ["read_register", "write_register", "read", "write"])
def test_errno_comes_through_smbus2_by_its_name(
    bus: i2c.Bus, adapter: FakeAdapter, *, number: int, reason: str, tries: int, transfer: str
) -> None:
    """From each of the four transfers; every file that was opened is closed again."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    adapter.fail(number)
    act = {
        "read_register": lambda: bus.read_register(ADDRESS, 0, 2),
        "write_register": lambda: bus.write_register(ADDRESS, 0, b"\x01"),
        "read": lambda: bus.read(ADDRESS, 6),
        "write": lambda: bus.write(ADDRESS, b"\xfd"),
    }[transfer]

    with pytest.raises(BusError, match="address 0x40") as caught:
        act()

    assert caught.value.reason == reason
    assert len(adapter.transactions) == tries
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_chip_of_a_kernel_driver_is_refused_by_the_kernel(
    bus: i2c.Bus, adapter: FakeAdapter, kernel: FakeKernel
) -> None:
    """To take its address fails (EBUSY): smbus2 is never told to force it."""
    kernel.owned.add(ADDRESS)

    with pytest.raises(BusError, match="type: iio") as caught:
        bus.read_register(ADDRESS, 0, 1)

    assert caught.value.reason == "busy"
    assert adapter.transactions == []
