"""What every driver keeps, run against every driver of ours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fakes.every_driver import BENCHES, INTERVAL_S, ON_A_BUS, Bench
from fakes.gpio import MockPins
from fakes.kernel import plant

from edge_agent.errors import SensorError
from edge_agent.options import Required, options_of
from edge_agent.sensors import registry

KERNEL = ("hwmon", "iio", "w1")
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


@pytest.mark.fault(
    "sensor",
    "NACKs",
    how="each transfer fails in turn, by each errno of a bus",
    part="every driver, on fake wires and files",
)
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


@pytest.mark.fault(
    "sensor",
    "absent",
    how="the chip is taken off the wire, and put back",
    part="every driver, on fake wires and files",
)
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


@pytest.mark.fault(
    "sensor",
    "returns after a brown-out",
    how="the chip forgets its settings between two readings",
    part="every driver, on fake wires and files",
)
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


@pytest.mark.fault(
    "sensor",
    "unplugged and another plugged in",
    how="another chip sits at the address",
    part="every driver, on fake wires and files",
)
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


@pytest.mark.fault(
    "sensor",
    "absent",
    how="the kernel's files go, between trigger and read and between readings, and come back",
    part="every driver, on fake wires and files",
)
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
