"""Looking for I2C chips: what is asked, what is left alone, and what ends the search."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fakes.i2c import FakeAdapter, RegisterChip
from fakes.sysfs_i2c import plant_bus

from edge_agent.errors import BusError
from edge_agent.sensors.i2c import Bus, Buses
from edge_agent.sensors.i2c_scan import Adapter, Chip, adapters, chips


@pytest.fixture
def adapter() -> FakeAdapter:
    return FakeAdapter({0x23: RegisterChip(), 0x76: RegisterChip()})


@pytest.fixture
def bus(adapter: FakeAdapter, tmp_path: Path) -> Bus:
    return Buses(root=tmp_path, open_wire=adapter.open, sleep=adapter.sleep)(1)


def test_adapters_are_listed_by_number_with_the_kernels_name(tmp_path: Path) -> None:
    """Also one that the kernel gives no name; other devices are none."""
    plant_bus(tmp_path, 10)
    plant_bus(tmp_path, 1, "bcm2835 (i2c@7e804000)")
    (tmp_path / "dev/i2c-mux").touch()
    assert adapters(tmp_path) == [Adapter(1, "bcm2835 (i2c@7e804000)"), Adapter(10, "")]


def test_adapters_of_a_machine_without_a_bus_are_none(tmp_path: Path) -> None:
    """I2C is switched off on a fresh Pi."""
    assert adapters(tmp_path) == []


def test_chips_asks_each_address_for_a_byte_and_writes_nothing(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """A write without data would change some chips; addresses beyond are reserved."""
    assert list(chips(bus, tmp_path)) == [Chip(0x23), Chip(0x76)]
    assert {kind for kind, *_ in adapter.transactions} == {"plain read"}
    assert {length for *_, length in adapter.transactions} == {1}
    assert sorted({address for _, address, *_ in adapter.transactions}) == list(range(0x08, 0x78))


def test_chips_of_a_kernel_driver_are_told_and_not_asked(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """With the sensor type that reads them, where there is one."""
    plant_bus(tmp_path, 1, drivers={0x76: "bmp280", 0x48: "lm75", 0x68: "rtc-ds1307"})
    (tmp_path / "sys/bus/i2c/devices/1-0076/iio:device0").mkdir()
    (tmp_path / "sys/bus/i2c/devices/1-0048/hwmon").mkdir()
    plant_bus(tmp_path, 2, drivers={0x50: "at24"})
    (tmp_path / "sys/bus/i2c/devices/1-0051").mkdir()
    assert list(chips(bus, tmp_path)) == [
        Chip(0x23),
        Chip(0x48, "lm75", "hwmon"),
        Chip(0x68, "rtc-ds1307"),
        Chip(0x76, "bmp280", "iio"),
    ]
    asked = {address for _, address, *_ in adapter.transactions}
    assert asked.isdisjoint({0x48, 0x68, 0x76})
    assert 0x51 in asked


def test_chips_that_are_to_be_left_alone_are_not_asked(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """An agent that runs waits for their bytes."""
    assert list(chips(bus, tmp_path, leave=[0x76])) == [Chip(0x23)]
    assert 0x76 not in {address for _, address, *_ in adapter.transactions}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "absent_bus"),
        (errno.EACCES, "permission"),
        (errno.ETIMEDOUT, "timeout"),
    ],
)
def test_chips_on_a_bus_that_cannot_be_used_end_the_search(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path, number: int, reason: str
) -> None:
    """A held bus costs a second for each address: nobody waits for all of them."""
    adapter.fail(number)
    with pytest.raises(BusError) as caught:
        list(chips(bus, tmp_path))
    assert caught.value.reason == reason
    assert {address for _, address, *_ in adapter.transactions} == {0x08}


def test_chips_on_an_adapter_that_says_io_for_silence_are_found(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """Some USB adapters do; three tries an address, then it is silent."""
    adapter.fail(errno.EIO, times=3)
    assert list(chips(bus, tmp_path)) == [Chip(0x23), Chip(0x76)]


def test_chips_on_a_bus_where_no_transfer_goes_well_is_an_error(
    bus: Bus, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """That is no empty bus, but one without pull-ups."""
    adapter.fail(errno.EIO)
    with pytest.raises(BusError, match="pull-ups"):
        list(chips(bus, tmp_path))
