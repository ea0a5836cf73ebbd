"""A driver is tested without its chip: a bus that answers as the data sheet says."""

from __future__ import annotations

import dataclasses

import pytest
from pyvorin_hdc1080 import Hdc1080, Hdc1080Options

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Surroundings


@dataclasses.dataclass
class FakeBus:
    """An HDC1080 at the end of a wire; what it is asked is noted."""

    name: str = "i2c-1"
    device: int = 0x1050
    #: a step below 25 degrees and 40 percent
    measured: bytes = bytes.fromhex("64d9 6666")
    asked: list[str] = dataclasses.field(default_factory=list)

    def read_register(self, address: int, register: int, length: int) -> bytes:
        self.asked.append(f"{address:02x} register {register:02x}")
        return self.device.to_bytes(length, "big")

    def write_register(self, address: int, register: int, data: bytes) -> None:
        self.asked.append(f"{address:02x} register {register:02x} = {data.hex()}")

    def write(self, address: int, data: bytes) -> None:
        self.asked.append(f"{address:02x} write {data.hex()}")

    def read(self, address: int, length: int) -> bytes:
        self.asked.append(f"{address:02x} read {length}")
        return self.measured


def _driver(bus: FakeBus, **options: int) -> Hdc1080:
    return Hdc1080(Hdc1080Options(**options), Surroundings(bus=lambda _: bus))


def test_hdc1080_measures_in_two_steps() -> None:
    """Set up once; the wait is returned, not slept."""
    bus = FakeBus()
    driver = _driver(bus)
    assert driver.trigger() == pytest.approx(0.026)
    temperature, humidity = driver.read()
    assert (temperature.value, humidity.value) == (24.999, 39.999)
    assert bus.asked == ["40 register ff", "40 register 02 = 1000", "40 write 00", "40 read 4"]
    driver.trigger()
    assert bus.asked[4:] == ["40 write 00"]


def test_hdc1080_is_set_up_anew_after_a_failure() -> None:
    """The agent closes a sensor that failed."""
    bus = FakeBus()
    driver = _driver(bus, bits=11)
    driver.trigger()
    driver.close()
    with pytest.raises(SensorError, match="before a measurement"):
        driver.read()
    driver.trigger()
    assert bus.asked.count("40 register 02 = 1500") == 2


def test_hdc1080_other_chip_is_refused() -> None:
    """An INA219 lives at this address, too."""
    with pytest.raises(SensorError, match="0x399f is no HDC1080") as caught:
        _driver(FakeBus(device=0x399F)).trigger()
    assert caught.value.reason == "wrong_chip"
