"""Every driver of ours in front of a fake that works: what the contract's suites run on.

A new driver joins by one line in `BENCHES`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.sensors import registry
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel.device import KernelChannelOptions
from edge_agent.types import Measurement
from fakes.chips_humidity import FakeAht20, FakeHtu21d, FakeSht3x, FakeSht4x
from fakes.chips_temperature import FakeLm75, FakeMcp9808, FakeTmp117
from fakes.clock import FakeClock
from fakes.commands import FakeBh1750, FakeScd4x
from fakes.i2c import VECTOR_A, VECTOR_A_DATA, FakeAdapter, FakeBme280, RegisterChip
from fakes.kernel import FakeSysfs
from fakes.words import FakeAds1115, FakeIna219, FakeIna226

#: From one reading to the next, by default.
INTERVAL_S = 30.0
TESTCASES = Path(__file__).parents[1] / "testcases"


@dataclasses.dataclass
class Bench:
    """A driver in front of a fake that works."""

    type_name: str
    adapter: FakeAdapter
    #: the address of its chip; None for a driver without a bus
    address: int | None = None
    #: options that have no default
    written: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    #: where its files are
    root: Path = TESTCASES / "system/raspberry_pi"
    #: the case whose files are planted there for it
    case: Path | None = None

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.sysfs = FakeSysfs(self.root)
        self.surroundings = Surroundings(
            bus=Buses(open_wire=self.adapter.open, sleep=self.sleep),
            root=self.root,
            read_file=self.sysfs,
            sleep=self.sleep,
            monotonic=self.clock.monotonic,
        )
        driver = registry.find(self.type_name)
        self.options = driver.Options(**self.written)
        self.driver: Sensor = driver(self.options, self.surroundings)
        if driver.keeps_state:
            self.driver.restore(None)

    @property
    def chip(self) -> Any:
        return self.adapter.chips.get(self.address)

    def sleep(self, seconds: float) -> None:
        """Time passes for chip and driver alike."""
        self.clock.advance(seconds)
        self.adapter.sleep(seconds)

    def begin_anew(self) -> None:
        """Driver and chip are as at first."""
        self.driver.close()
        self.adapter.heal()
        self.chip.restart()
        self.sleep(INTERVAL_S)

    def measure(self, share: float = 1.0) -> list[Measurement]:
        """What is read after the wait, or a share of it."""
        self.sleep(self.driver.trigger() * share)
        return list(self.driver.read())

    def try_to_measure(self, share: float = 1.0) -> tuple[str, list[Measurement]]:
        """The reason why it failed and nothing, or none and what was measured."""
        try:
            return "", self.measure(share)
        except SensorError as error:
            return error.reason, []

    def transfers_from_the_start(self) -> range:
        """One number for each transfer of the first measurement, set-up included."""
        self.begin_anew()
        self.adapter.transactions.clear()
        self.measure()
        return range(len(self.adapter.transactions))


def _chip(
    type_name: str,
    address: int,
    make: Callable[[], object],
    written: Mapping[str, Any] | None = None,
) -> Callable[[], Bench]:
    return lambda: Bench(type_name, FakeAdapter({address: make()}), address, written or {})


def _no_chip(type_name: str) -> Callable[[], Bench]:
    return lambda: Bench(type_name, FakeAdapter())


def _kernel(type_name: str, case: str, **written: Any) -> Callable[[], Bench]:
    folder = TESTCASES / type_name / case
    return lambda: Bench(type_name, FakeAdapter(), written=written, case=folder)


def _on_pins(type_name: str, **written: Any) -> Callable[[], Bench]:
    return lambda: Bench(type_name, FakeAdapter(), written=written)


BENCHES: dict[str, Callable[[], Bench]] = {
    "adc": _on_pins("adc"),
    "ads1115": _chip("ads1115", 0x48, FakeAds1115),
    "bh1750": _chip("bh1750", 0x23, FakeBh1750),
    "aht20": _chip("aht20", 0x38, FakeAht20),
    "bme280": _chip("bme280", 0x76, FakeBme280),
    "bme280 (a BMP280)": _chip(
        "bme280",
        0x76,
        lambda: FakeBme280(chip_id=0x58, calibration=VECTOR_A, measures=VECTOR_A_DATA),
    ),
    "hwmon": _kernel("hwmon", "temperature_and_humidity", chip="sht3x"),
    "iio": _kernel("iio", "ready_made", chip="bme280"),
    "iio (one channel)": _kernel(
        "iio", "raw_offset_scale", chip="hts221", channels={"humidity": KernelChannelOptions()}
    ),
    "contact": _on_pins("contact", pin=17, repeat_s=1e-9),
    "i2c_register": _chip("i2c_register", 0x48, RegisterChip, {"address": 0x48, "register": 0}),
    "ina219": _chip("ina219", 0x40, FakeIna219),
    "ina226": _chip("ina226", 0x40, FakeIna226),
    "pulse": _on_pins("pulse", pin=27),
    "scd4x": _chip("scd4x", 0x62, FakeScd4x),
    "htu21d": _chip("htu21d", 0x40, FakeHtu21d),
    "lm75": _chip("lm75", 0x48, FakeLm75),
    "mcp9808": _chip("mcp9808", 0x18, FakeMcp9808),
    "sht3x": _chip("sht3x", 0x44, FakeSht3x),
    "sht4x": _chip("sht4x", 0x44, FakeSht4x),
    "simulated": _no_chip("simulated"),
    "system": _no_chip("system"),
    "tmp117": _chip("tmp117", 0x48, FakeTmp117),
    "w1": _kernel("w1", "one_probe"),
}

#: those with a chip on an I2C bus
ON_A_BUS = [name for name, make in BENCHES.items() if make().address is not None]
