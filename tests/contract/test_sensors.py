"""What every driver keeps, run against every driver of ours.

A new driver joins by one line in `BENCHES`: how to build it in front of a working fake.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.chips_humidity import FakeAht20, FakeHtu21d, FakeSht3x, FakeSht4x
from fakes.chips_temperature import FakeLm75, FakeMcp9808, FakeTmp117
from fakes.clock import FakeClock
from fakes.commands import FakeBh1750, FakeScd4x
from fakes.gpio import MockPins
from fakes.i2c import VECTOR_A, VECTOR_A_DATA, FakeAdapter, FakeBme280, RegisterChip
from fakes.kernel import FakeSysfs, plant
from fakes.words import FakeAds1115, FakeIna219, FakeIna226

from edge_agent.errors import SensorError
from edge_agent.options import Required, options_of
from edge_agent.sensors import registry
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel.device import KernelChannelOptions
from edge_agent.types import Measurement

KERNEL = ("hwmon", "iio", "w1")
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

    def measure(self) -> list[Measurement]:
        self.sleep(self.driver.trigger())
        return list(self.driver.read())

    def try_to_measure(self) -> tuple[str, list[Measurement]]:
        """The reason why it failed and nothing, or none and what was measured."""
        try:
            return "", self.measure()
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
ON_A_BUS = [name for name, make in BENCHES.items() if make().address is not None]
#: those whose chip can be asked who it is
WITH_ID = [name for name in ON_A_BUS if hasattr(BENCHES[name]().chip, "chip_id")]

#: those whose chip must be told to measure; a register is there to be read at any time
TRIGGERED = [name for name in ON_A_BUS if name != "i2c_register"]

#: those that the kernel drives
IN_THE_KERNEL = [name for name, make in BENCHES.items() if make().type_name in KERNEL]

every_driver = pytest.mark.parametrize("bench", BENCHES, indirect=True)
every_chip = pytest.mark.parametrize("bench", ON_A_BUS, indirect=True)
every_triggered_chip = pytest.mark.parametrize("bench", TRIGGERED, indirect=True)
every_kernel_driver = pytest.mark.parametrize("bench", IN_THE_KERNEL, indirect=True)
every_chip_with_id = pytest.mark.parametrize("bench", WITH_ID, indirect=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest, pins: MockPins, tmp_path: Path) -> Iterator[Bench]:
    made = BENCHES[request.param]()
    if made.case is not None:
        plant(made.case, tmp_path)
        made = dataclasses.replace(made, root=tmp_path)
    yield made
    made.driver.close()


def test_benches_hold_every_driver_of_ours() -> None:
    """None can be added without keeping the contract."""
    assert {make().type_name for make in BENCHES.values()} == set(registry._OWN)


@every_driver
def test_driver_when_built_touches_nothing(bench: Bench) -> None:
    """An absent sensor is a fault of its reading, not of the start."""
    assert bench.adapter.opened == []
    assert bench.driver.bus_name


@every_driver
def test_driver_says_its_channels_before_it_is_built(bench: Bench) -> None:
    """The configuration is checked without hardware; `channels` follows the names."""
    names = type(bench.driver).channel_names(bench.options)

    assert list(names) == [channel.name for channel in bench.driver.channels]
    assert len(set(names)) == len(names)
    # One and zero of a contact are in no unit.
    assert all(channel.unit for channel in bench.driver.channels) is (bench.type_name != "contact")


@every_driver
def test_driver_options_are_frozen_and_described(bench: Bench) -> None:
    """Each is declared once, with a default that its own kind takes back, and a meaning."""
    declared = options_of(type(bench.options))

    fields = [field.name for field in dataclasses.fields(bench.options)]
    given = ["channels"] if bench.driver.ChannelOptions else []
    assert fields == [o.name for o in declared] + given
    assert bench.options.__dataclass_params__.frozen
    for option in declared:
        assert option.help.endswith(".")
        assert option.kind.schema()


@every_chip
def test_driver_defaults_are_within_their_own_limits(bench: Bench) -> None:
    """What the reference page prints can be written down."""
    for option in options_of(type(bench.options)):
        if option.default not in (None, Required):
            written = yaml.safe_load(option.kind.write(option.default))
            assert option.kind.parse(written) == option.default


@every_driver
def test_driver_measures_finite_values_of_its_channels(bench: Bench) -> None:
    """A finite wait, then at most one value per channel, in order and in the channel's unit.

    Where its channels are known only when the hardware is seen, they stay as they were first.
    """
    units = {channel.name: channel.unit for channel in bench.driver.channels}
    for _ in range(3):
        wait_s = bench.driver.trigger()
        assert math.isfinite(wait_s)
        assert wait_s >= 0
        bench.sleep(wait_s)

        readings = bench.driver.read()

        units = units or {reading.channel: reading.unit for reading in readings}
        channels = [reading.channel for reading in readings]
        assert channels
        assert channels == [name for name in units if name in channels]
        for reading in readings:
            assert reading.unit == units[reading.channel]
            assert math.isfinite(float(reading.value))


@every_driver
def test_driver_itself_sleeps_for_milliseconds_only(bench: Bench) -> None:
    """A conversion's wait is spent by the poller on other sensors."""
    bench.sleep(bench.driver.trigger())
    bench.adapter.slept.clear()
    bench.driver.read()
    bench.driver.trigger()

    assert sum(bench.adapter.slept) <= 0.010


@every_driver
def test_driver_closed_starts_anew(bench: Bench) -> None:
    """Closing twice, and before anything else, is fine too."""
    bench.driver.close()
    first = bench.measure()
    bench.driver.close()
    bench.driver.close()

    assert {m.channel for m in bench.measure()} == {m.channel for m in first}


@every_chip
@pytest.mark.parametrize("number", [121, 5, 110, 16, 6])
def test_driver_whose_bus_fails_gives_a_sensor_error_with_a_reason(
    bench: Bench, number: int
) -> None:
    """At each of its transfers; never a bare OSError. Once the bus works, so does the sensor."""
    before = bench.measure()
    for transfers in bench.transfers_from_the_start():
        bench.begin_anew()
        bench.adapter.fail(number, after=transfers)
        with pytest.raises(SensorError) as caught:
            bench.measure()
        assert caught.value.reason in {"nack", "io", "timeout", "busy"}
    bench.adapter.heal()
    bench.driver.close()

    assert bench.measure() == before


@every_chip
def test_driver_survives_a_glitch_at_every_transfer(bench: Bench) -> None:
    """One lost transfer is tried again and costs no reading."""
    before = bench.measure()
    for transfers in bench.transfers_from_the_start():
        bench.begin_anew()
        bench.adapter.fail(121, after=transfers, times=1)
        assert bench.measure() == before


@every_chip
def test_driver_whose_chip_is_absent_comes_back_with_it(bench: Bench) -> None:
    """Unplugged, read, plugged in: a fault, then readings, set up as if for the first time."""
    before = bench.measure()
    assert bench.address is not None
    chip = bench.adapter.chips.pop(bench.address)
    with pytest.raises(SensorError) as caught:
        bench.measure()
    bench.driver.close()
    chip.restart()
    bench.adapter.chips[bench.address] = chip
    bench.sleep(INTERVAL_S)

    assert caught.value.reason == "nack"
    assert bench.measure() == before


@every_chip
def test_driver_whose_chip_browned_out_unnoticed_is_right_again(bench: Bench) -> None:
    """Between two readings nobody sees it: the settings are gone, the values are right."""
    before = bench.measure()
    assert bench.address is not None
    bench.adapter.chips[bench.address].restart()
    bench.sleep(INTERVAL_S)

    assert bench.measure() == before


@every_triggered_chip
def test_driver_that_is_read_before_any_trigger_is_not_ready(bench: Bench) -> None:
    """Also after close; the bus is not touched."""
    for use in (lambda: None, bench.driver.trigger, bench.measure):
        use()
        bench.driver.close()
        bench.adapter.transactions.clear()
        with pytest.raises(
            SensorError, match=r"read before (a measurement was started|it was told to measure)"
        ) as caught:
            bench.driver.read()
        assert caught.value.reason == "not_ready"
        assert bench.adapter.transactions == []
        bench.sleep(INTERVAL_S)


@every_chip_with_id
def test_driver_that_finds_another_chip_says_so(bench: Bench) -> None:
    """At the same address sits something else."""
    bench.chip.chip_id = 0xEE

    with pytest.raises(SensorError) as caught:
        bench.measure()

    assert caught.value.reason == "wrong_chip"


@every_kernel_driver
@pytest.mark.parametrize(
    "name", ["EIO", "ENODEV", "ENOENT", "EACCES", "ETIMEDOUT", "EBUSY", "EINVAL"]
)
def test_driver_whose_file_fails_says_so_and_comes_back(bench: Bench, name: str) -> None:
    """At each file it reads: an error with a reason, a fault of a channel, or it is not needed."""
    before = bench.measure()
    for path in dict.fromkeys(bench.sysfs.reads):
        bench.sysfs.errors = {path: name}
        bench.driver.close()
        reason, measured = bench.try_to_measure()
        well = [one for one in measured if not one.fault]
        assert bool(well) is not bool(reason)
        assert reason != "failed"
        assert all(one in before for one in well)
        bench.sysfs.errors = {}
        assert bench.measure() == before


@every_kernel_driver
def test_driver_whose_device_is_unplugged_comes_back_with_it(bench: Bench) -> None:
    """Unplugged between trigger and read, and between two readings, and plugged in again."""
    root = bench.root
    before = bench.measure()
    bench.driver.trigger()
    (root / "sys").rename(root / "gone")

    assert bench.driver.read() == before
    for _ in range(2):
        with pytest.raises(SensorError) as caught:
            bench.measure()
        assert caught.value.reason in {"absent", "absent_bus"}
        bench.driver.close()
    (root / "gone").rename(root / "sys")
    assert bench.measure() == before


@every_kernel_driver
def test_driver_of_the_kernel_read_before_any_trigger_measures(bench: Bench) -> None:
    """The kernel does both at once."""
    assert list(bench.driver.read()) == bench.measure()
