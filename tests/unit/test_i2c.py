"""The I2C bus: transfers, tries, names of errors, word order and check bytes."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from fakes.i2c import FakeAdapter, RegisterChip

from edge_agent.errors import BusError
from edge_agent.sensors import i2c

ADDRESS = 0x40


@pytest.fixture
def chip() -> RegisterChip:
    return RegisterChip(bytes(range(256)))


@pytest.fixture
def adapter(chip: RegisterChip) -> FakeAdapter:
    return FakeAdapter({ADDRESS: chip})


@pytest.fixture
def bus(adapter: FakeAdapter, tmp_path: Path) -> i2c.Bus:
    return i2c.Bus(
        tmp_path / "dev/i2c-1", root=tmp_path, open_wire=adapter.open, sleep=adapter.sleep
    )


def test_bus_before_the_first_transfer_opens_nothing(bus: i2c.Bus, adapter: FakeAdapter) -> None:
    """A bus that is not there is a fault of its sensors, when they are read."""
    assert bus.name == "i2c-1"
    assert adapter.opened == []


def test_register_read_and_written_keeps_the_order_of_the_wire(
    bus: i2c.Bus, adapter: FakeAdapter
) -> None:
    """Bytes come and go as they are; no word is swapped."""
    bus.write_register(ADDRESS, 0x10, b"\x19\x00")

    assert bus.read_register(ADDRESS, 0x10, 2) == b"\x19\x00"
    assert adapter.transactions == [("write", ADDRESS, 0x10, b"\x19\x00"), ("read", ADDRESS, 16, 2)]
    assert len(adapter.opened) == 1


def test_register_written_without_data_sends_the_register_alone(
    bus: i2c.Bus, adapter: FakeAdapter
) -> None:
    """An SMBus block of no bytes does not exist; a single byte does."""
    bus.write_register(ADDRESS, 0xFE, b"")

    assert adapter.transactions == [("write", ADDRESS, 0xFE, b"")]


def test_plain_write_and_read_are_two_transfers(
    bus: i2c.Bus, adapter: FakeAdapter, chip: RegisterChip
) -> None:
    """A STOP stands between command and answer; longer answers than an SMBus block are fine."""
    bus.write(ADDRESS, b"\x24\x00")

    assert bus.read(ADDRESS, 48) == bytes(range(48))
    assert chip.commands == [b"\x24\x00"]
    assert [kind for kind, *_ in adapter.transactions] == ["plain write", "plain read"]


@pytest.mark.parametrize("number", [121, 6, 5, 110, 11])
def test_transfer_that_fails_twice_is_tried_a_third_time_on_a_new_wire(
    bus: i2c.Bus, adapter: FakeAdapter, number: int
) -> None:
    """A glitch costs milliseconds, not a reading; smbus2 0.4 is not to be trusted after it."""
    adapter.fail(number, times=2)

    assert bus.read_register(ADDRESS, 7, 1) == b"\x07"
    assert adapter.slept == [0.005, 0.020]
    assert len(adapter.opened) == 3
    assert adapter.open_now == 1


@pytest.mark.parametrize(
    ("number", "tries", "reason", "remedy"),
    [
        (errno.EREMOTEIO, 3, "nack", "address, power and wiring"),
        (errno.ENXIO, 3, "nack", "address, power and wiring"),
        (errno.EIO, 3, "io", "pull-ups"),
        (errno.ETIMEDOUT, 3, "timeout", "i2c_arm_baudrate"),
        (errno.EAGAIN, 3, "arbitration", "another master"),
        (errno.EBUSY, 1, "busy", "type: iio"),
        (errno.ENODEV, 1, "absent_bus", "raspi-config"),
        (errno.EACCES, 1, "permission", "group i2c"),
        (errno.EOPNOTSUPP, 1, "unsupported", "adapter"),
        (errno.EPROTO, 1, "failed", "Protocol error"),
    ],
)
def test_transfer_that_never_works_names_the_reason_and_the_remedy(
    bus: i2c.Bus, adapter: FakeAdapter, *, number: int, tries: int, reason: str, remedy: str
) -> None:
    """What a few milliseconds may mend is tried three times, the rest once."""
    adapter.fail(number)

    with pytest.raises(BusError, match=remedy) as caught:
        bus.read_register(ADDRESS, 0, 1)

    assert caught.value.reason == reason
    assert "i2c-1 address 0x40" in str(caught.value)
    assert len(adapter.transactions) == tries
    assert adapter.open_now == 0


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOENT, "absent_bus"), (errno.EACCES, "permission")]
)
def test_bus_that_cannot_be_opened_names_the_reason(number: int, reason: str) -> None:
    """I2C switched off and a missing group are told apart, with the device's name."""

    def refuse(path: str) -> i2c.Wire:
        raise OSError(number, os.strerror(number), path)

    bus = i2c.Bus(Path("/dev/i2c-7"), open_wire=refuse)

    with pytest.raises(BusError, match="/dev/i2c-7") as caught:
        bus.read_register(ADDRESS, 0, 1)

    assert caught.value.reason == reason


def test_plain_transfer_to_a_chip_of_the_kernel_is_refused(
    bus: i2c.Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """The kernel does not refuse I2C_RDWR to a chip it drives; two masters would interleave."""
    (tmp_path / "sys/bus/i2c/devices/1-0040/driver").mkdir(parents=True)

    with pytest.raises(BusError, match="type: iio") as caught:
        bus.read(ADDRESS, 6)

    assert caught.value.reason == "busy"
    assert adapter.transactions == []


def test_bus_closed_opens_again_when_used(bus: i2c.Bus, adapter: FakeAdapter) -> None:
    """Closing is no end: it happens at every reload."""
    bus.read_register(ADDRESS, 0, 1)
    bus.close()
    bus.close()

    assert adapter.open_now == 0
    assert bus.read_register(ADDRESS, 1, 1) == b"\x01"
    assert adapter.open_now == 1


def test_bus_that_hangs_in_a_transfer_does_not_hang_the_one_who_closes_it(
    tmp_path: Path, chip: RegisterChip
) -> None:
    """A stuck wire holds the lock for good; the agent stops all the same."""
    inside, released = threading.Event(), threading.Event()
    adapter = FakeAdapter({ADDRESS: chip})

    def hang(register: int, length: int) -> bytes:
        inside.set()
        released.wait(10)
        return bytes(length)

    chip.get = hang  # type: ignore[method-assign]  # the one method that is to hang
    bus = i2c.Bus(tmp_path / "i2c-1", open_wire=adapter.open)
    reader = threading.Thread(target=bus.read_register, args=(ADDRESS, 0, 1))
    reader.start()
    assert inside.wait(10)

    bus.close()

    assert adapter.open_now == 1
    released.set()
    reader.join(10)


def test_buses_give_one_object_for_every_name_of_a_bus(tmp_path: Path) -> None:
    """By number, by path or by a symbolic link, one bus has one lock."""
    device = tmp_path / "dev/i2c-1"
    device.parent.mkdir()
    device.touch()
    (tmp_path / "dev/i2c-garden").symlink_to("i2c-1")
    buses = i2c.Buses(root=tmp_path)

    assert buses(1) is buses("/dev/i2c-1") is buses("/dev/i2c-garden")
    assert buses(1) is not buses(3)
    assert buses("/dev/i2c-garden").name == "i2c-1"


def test_buses_closed_close_every_bus(adapter: FakeAdapter) -> None:
    """Nothing stays open after the daemon."""
    buses = i2c.Buses(open_wire=adapter.open, sleep=adapter.sleep)
    buses(1).read_register(ADDRESS, 0, 1)
    buses(3).read_register(ADDRESS, 0, 1)
    assert adapter.opened == ["/dev/i2c-1", "/dev/i2c-3"]

    buses.close()

    assert adapter.open_now == 0


def test_open_wire_of_a_missing_device_raises_the_errno(tmp_path: Path) -> None:
    """smbus2 itself, where there is nothing to open."""
    with pytest.raises(FileNotFoundError):
        i2c.open_wire(str(tmp_path / "i2c-1"))


def test_open_wire_of_what_is_no_bus_leaves_no_file_open(tmp_path: Path) -> None:
    """smbus2 opens the file before it asks what it is; each retry would leak one."""
    path = tmp_path / "i2c-1"
    path.touch()
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(OSError, match="ioctl"):
        i2c.open_wire(str(path))

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("data", "unsigned", "signed"),
    [
        ("1900", 0x1900, 0x1900),
        ("ffff", 65535, -1),
        ("8000", 32768, -32768),
        ("7fff99", 32767, 32767),
    ],
)
def test_words_are_read_high_byte_first(data: str, unsigned: int, signed: int) -> None:
    """The order of nearly every sensor, and the opposite of SMBus's."""
    assert i2c.unsigned_word(bytes.fromhex(data)) == unsigned
    assert i2c.signed_word(bytes.fromhex(data)) == signed


@pytest.mark.parametrize(
    ("data", "init", "check"),
    [
        ("beef", 0xFF, 0x92),
        ("6666", 0xFF, 0x93),
        ("8000", 0xFF, 0xA2),
        ("1c269a7642e7", 0xFF, 0x76),
        ("01e0", 0xFF, 0xB4),
        ("dc", 0x00, 0x79),
        ("683a", 0x00, 0x7C),
        ("4e85", 0x00, 0x6B),
    ],
)
def test_crc8_matches_the_data_sheets(data: str, init: int, check: int) -> None:
    """SHT3x (table 20), AHT20, SCD4x; HTU21D's examples start from zero."""
    assert i2c.crc8(bytes.fromhex(data), init) == check
