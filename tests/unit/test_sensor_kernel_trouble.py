"""What befalls the kernel's devices while they are used: plugs, crowds, and half-read values."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.kernel import FakeSysfs, plant
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.loader import load
from edge_agent.errors import ConfigError, SensorError
from edge_agent.processing.channel import Outgoing, Quality
from edge_agent.processing.pipeline import SensorLine, SensorPlan
from edge_agent.sensors import registry
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel import scan, w1
from edge_agent.sensors.kernel.device import KernelChannelOptions
from edge_agent.sensors.kernel.sysfs import Files

TESTCASES = Path(__file__).parents[1] / "testcases"
I2C = "sys/devices/platform/soc/fe804000.i2c/i2c-1"
SHT3X = f"{I2C}/1-0044/hwmon/hwmon3"
PROBE = "28-0316a2795bff"
SLAVE = f"sys/devices/w1_bus_master1/{PROBE}/w1_slave"
GOOD = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"

Planted = Callable[[str], FakeSysfs]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """The files of a case, ``hwmon/labels``."""
    return lambda case: plant(TESTCASES / case, tmp_path)


def driver(sysfs: FakeSysfs, type_name: str, **options: Any) -> Sensor:
    found = registry.find(type_name)
    surroundings = Surroundings(bus=Buses(), root=sysfs.root, read_file=sysfs)
    return found(found.Options(**options), surroundings)


def values(sensor: Sensor) -> dict[str, Any]:
    """By channel: the value, or the fault."""
    sensor.trigger()
    return {one.channel: one.fault or one.value for one in sensor.read()}


def reason(sensor: Sensor) -> str:
    with pytest.raises(SensorError) as caught:
        values(sensor)
    return caught.value.reason


# -- another try ---------------------------------------------------------------------------------


def test_probe_whose_answer_came_damaged_is_asked_once_more(planted: Planted) -> None:
    """One glitch on a long cable costs no reading."""
    sysfs = planted("w1/bad_crc")
    sensor = driver(sysfs, "w1")

    assert sensor.trigger() == 0.1
    (sysfs.root / SLAVE).write_text(GOOD)
    assert [one.value for one in sensor.read()] == [23.125]


def test_dht11_that_missed_a_reading_is_asked_two_seconds_later(planted: Planted) -> None:
    """It is not to be asked sooner; the two seconds are spent on other sensors."""
    sysfs = planted("iio/dht11_silent")
    sensor = driver(sysfs, "iio", chip="dht11@4")
    for name in sysfs.errors:
        (sysfs.root / name).write_text("21000\n")

    assert sensor.trigger() == 2.0
    sysfs.errors.clear()
    assert {one.channel: one.value for one in sensor.read()} == {
        "humidity": 21.0,
        "temperature": 21.0,
    }


def test_channel_that_keeps_failing_holds_nobody_up(planted: Planted) -> None:
    """It is tried again once; then only after all were well."""
    sysfs = planted("hwmon/one_channel_fails")
    sensor = driver(sysfs, "hwmon", chip="sht3x")
    errors = dict(sysfs.errors)
    waits = []
    for now in (errors, errors, errors, {}, errors):
        sysfs.errors = now
        for name in errors:
            (sysfs.root / name).write_text("1\n")
        waits.append(sensor.trigger())
        sensor.read()

    assert waits == [0.1, 0.0, 0.0, 0.0, 0.1]


def test_device_that_is_not_there_is_not_asked_twice(planted: Planted) -> None:
    """Nothing comes of waiting 0.1 s for a plug."""
    sensor = driver(planted("iio/no_iio_in_the_kernel"), "iio", chip="bme280")

    with pytest.raises(SensorError):
        sensor.trigger()


# -- plugs ---------------------------------------------------------------------------------------


def test_device_is_found_again_under_another_number(planted: Planted) -> None:
    """Plugged out and in, it got another one; another chip got its own."""
    sysfs = planted("hwmon/temperature_and_humidity")
    sensor = driver(sysfs, "hwmon", chip="sht3x")
    before = values(sensor)
    (sysfs.root / SHT3X).rename(sysfs.root / f"{I2C}/1-0044/hwmon/hwmon7")
    (sysfs.root / "sys/class/hwmon/hwmon3").unlink()
    (sysfs.root / "sys/class/hwmon/hwmon7").symlink_to(f"../../../{I2C}/1-0044/hwmon/hwmon7")
    stranger = sysfs.root / "sys/class/hwmon/hwmon3"
    stranger.mkdir()
    (stranger / "name").write_text("cpu_thermal\n")
    (stranger / "temp1_input").write_text("99000\n")

    assert values(sensor) == before


def test_device_whose_number_goes_to_another_while_it_is_read_is_absent(planted: Planted) -> None:
    """The second value would be a stranger's."""
    sysfs = planted("hwmon/temperature_and_humidity")
    sensor = driver(sysfs, "hwmon", chip="sht3x")
    sysfs.before[f"{SHT3X}/temp1_input"] = lambda: (sysfs.root / SHT3X / "name").write_text("tmp\n")

    assert reason(sensor) == "absent"


@pytest.mark.parametrize(
    "file", ["name", "label", "in_temp_raw", "in_temp_offset", "in_temp_scale"]
)
def test_device_unplugged_while_it_is_read_gives_no_half_value(planted: Planted, file: str) -> None:
    """Before each of its files; a raw value without its scale is none."""
    sysfs = planted("iio/raw_offset_scale")
    sensor = driver(sysfs, "iio", chip="hts221")
    device = f"{I2C}/1-005f/iio:device0"
    sysfs.before[f"{device}/{file}"] = lambda: shutil.rmtree(sysfs.root / device)

    assert reason(sensor) == "absent"


def test_second_equal_chip_plugged_in_asks_for_the_address(planted: Planted) -> None:
    """Who wrote the address is not disturbed."""
    sysfs = planted("iio/ready_made")
    vague = driver(sysfs, "iio", chip="bme280")
    sure = driver(sysfs, "iio", chip="bme280", bus=1, address=0x76)
    before = values(vague)
    other = f"{I2C}/1-0077/iio:device4"
    shutil.copytree(sysfs.root / f"{I2C}/1-0076/iio:device0", sysfs.root / other)
    (sysfs.root / "sys/bus/iio/devices/iio:device4").symlink_to(f"../../../../{other}")

    assert reason(vague) == "ambiguous"
    assert values(sure) == before


def test_probe_that_was_changed_tells_its_own_id(planted: Planted) -> None:
    """What makes of it a reading of its own is the poller's."""
    sysfs = planted("w1/one_probe")
    sensor = driver(sysfs, "w1")
    old = [one.metadata["probe_id"] for one in sensor.read()]
    for folder in ("sys/bus/w1/devices", "sys/devices/w1_bus_master1"):
        (sysfs.root / folder / PROBE).rename(sysfs.root / folder / "28-000000000002")
    link = sysfs.root / "sys/bus/w1/devices/28-000000000002"
    link.unlink()
    link.symlink_to("../../../devices/w1_bus_master1/28-000000000002")

    assert (old, [one.metadata["probe_id"] for one in sensor.read()]) == (
        [PROBE],
        ["28-000000000002"],
    )


# -- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "type_name", "options", "bus_name"),
    [
        ("iio/ready_made", "iio", {"chip": "bme280"}, "iio-bme280"),
        ("iio/ready_made", "iio", {"chip": "bme280", "bus": 1}, "i2c-1"),
        ("hwmon/labels", "hwmon", {"chip": "nvme"}, "hwmon-nvme"),
        ("w1/several_by_id", "w1", {"id": "42-00000000000c"}, "w1_bus_master2"),
        ("w1/several_by_id", "w1", {"id": "28-00000000ffff"}, "w1"),
        ("w1/several_by_id", "w1", {}, "w1"),
        ("w1/no_bus", "w1", {}, "w1"),
    ],
)
def test_sensor_shares_a_thread_with_its_wire(
    planted: Planted, case: str, type_name: str, options: dict[str, Any], bus_name: str
) -> None:
    """An I2C bus with our own drivers of it; a 1-wire master; else only its like."""
    assert driver(planted(case), type_name, **options).bus_name == bus_name


def test_links_in_a_circle_are_passed_over(planted: Planted) -> None:
    """A device that leads to itself has no name; a place that does is none."""
    sysfs = planted("hwmon/raspberry_pi")
    folder = sysfs.root / "sys/class/hwmon"
    (folder / "hwmon9").symlink_to("hwmon9")
    place = folder / "hwmon0/device"
    place.unlink()
    place.symlink_to("device")

    assert values(driver(sysfs, "hwmon", chip="cpu_thermal")) == {"temperature": 48.85}
    assert [one.options["chip"] for one in scan.devices(sysfs.root)] == ["cpu_thermal", "pwmfan"]


@pytest.mark.parametrize(
    ("folder", "type_name", "options"),
    [
        ("sys/bus/iio/devices", "iio", {"chip": "bme280"}),
        ("sys/class/hwmon", "hwmon", {"chip": "jc42"}),
        ("sys/bus/w1/devices", "w1", {}),
    ],
)
def test_folder_that_may_not_be_listed_is_an_error_that_names_it(
    tmp_path: Path, folder: str, type_name: str, options: dict[str, Any]
) -> None:
    """It is not said that nothing is there; `scan` tells of the others."""
    plant(TESTCASES / "w1/one_probe", tmp_path)
    path = tmp_path / folder
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.name)

    with pytest.raises(SensorError, match=folder) as caught:
        driver(FakeSysfs(tmp_path), type_name, **options).trigger()

    assert caught.value.reason == "unreadable"
    assert [one.type for one in scan.devices(tmp_path)] == ["w1"] * (type_name != "w1")


def test_crowd_of_devices_is_told_in_short(tmp_path: Path) -> None:
    """The message has ten of them, in the order of their numbers."""
    for number in range(120):
        device = tmp_path / f"sys/bus/iio/devices/iio:device{number}"
        device.mkdir(parents=True)
        (device / "name").write_text("adc\n")
        (device / "label").write_text(f"input {number}\n")
        (device / "in_voltage0_raw").write_text(f"{number}\n")
    sysfs = FakeSysfs(tmp_path)

    with pytest.raises(SensorError) as caught:
        driver(sysfs, "iio", chip="adc").trigger()

    assert str(caught.value).count("label: input") == 10
    assert "label: input 2'" in str(caught.value)
    assert "and 110 more" in str(caught.value)
    assert len(scan.devices(tmp_path)) == 120
    assert values(driver(sysfs, "iio", chip="adc", label="input 119")) == {"voltage0": 0.119}


# -- what comes of it ----------------------------------------------------------------------------


def test_channels_that_nobody_wrote_are_named_after_the_sensor(planted: Planted) -> None:
    """On the wire, and in the fault of one alone."""
    sensor = driver(planted("hwmon/fault_flag"), "hwmon", chip="lm90")
    measured = [dataclasses.replace(one, timestamp=1.0) for one in sensor.read()]

    every = SensorLine(SensorPlan("rack", {})).take(measured, 0.0, 5.0, synchronized=True)

    assert {one.name: one.fault for one in every if isinstance(one, Quality)} == {
        "rack.fan": "disconnected",
        "rack.temperature": "",
        "rack.temperature2": "disconnected",
    }
    assert [one.reading.value for one in every if isinstance(one, Outgoing)] == [31.0]


@given(text=st.text() | st.from_regex(w1._SLAVE))
def test_w1_slave_of_any_content_is_a_temperature_or_an_error(text: str) -> None:
    """No crash, and no number that is none."""
    try:
        value = w1.celsius(text, PROBE)
    except SensorError as error:
        assert error.reason != "failed"  # noqa: PT017  # any of them, or none
    else:
        assert math.isfinite(value)


@given(content=st.binary() | st.from_regex(rb"[+-]?[0-9]{1,400}(\.[0-9]+)?\n?", fullmatch=True))
def test_file_of_any_content_is_a_number_or_garbage(content: bytes) -> None:
    """Also one that no float can hold."""
    files = Files(Path("/"), lambda _: content)
    try:
        value = files.number(Path("/in"))
    except SensorError as error:
        assert error.reason == "garbage"  # noqa: PT017  # garbage, or a number
    else:
        assert value is not None
        assert math.isfinite(value)


# -- this machine --------------------------------------------------------------------------------


def test_this_machine_gives_what_it_has_or_says_that_it_has_none() -> None:
    """Every device that `scan` lists can be chosen; a chip that is nowhere never is."""
    sysfs = FakeSysfs(Path("/"))
    for found in scan.devices(Path("/")):
        sensor = driver(sysfs, found.type, **found.options)
        try:
            told = values(sensor)
        except SensorError as error:
            told = {"reason": error.reason}
        assert told
        assert told.get("reason") not in {"absent", "absent_bus", "no_channel"}

    for type_name in ("iio", "hwmon"):
        with pytest.raises(SensorError, match=f"no {type_name} device fits 'chip: no such chip'"):
            driver(sysfs, type_name, chip="no such chip").trigger()


# -- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("type: iio", "chip: is missing"),
        ("type: iio, chip: bme280, adress: 0x76", "adress: is unknown (did you mean 'address'?)"),
        ("type: iio, chip: bme280, address: 0x80", "address: 0x80 is more than 0x77"),
        ("type: iio, chip: a, bus: 1, device: spi0.1", "device: is for chips that are not on I2C"),
        ("type: iio, chip: a, valid: {min: 1}", "channels: each has its own"),
        ("type: iio, chip: a, channels: {temprature: }", "'temprature' begins with no quantity"),
        ("type: iio, chip: a, channels: {fan: }", "'fan' begins with no quantity"),
        ("type: hwmon, chip: a, channels: {temp1: }", "'temp1' begins with no quantity"),
        ("type: hwmon, chip: a, channels: {fan: {gain: 1}}", "fan.gain: is unknown"),
        ("type: w1, id: 28-XYZ", "'28-XYZ' is not a probe's id such as 28-0316a2795bff"),
        ("type: w1, id: 01-0316a2795bff", "is not a probe's id"),
        ("type: w1, channels: {temperature: }", "channels: is for sensors of several"),
    ],
)
def test_mistake_in_the_configuration_is_told(tmp_path: Path, written: str, problem: str) -> None:
    """Before any hardware is seen."""
    (tmp_path / "agent.yaml").write_text(f"sensors:\n  - {{name: s, {written}}}\n")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {})

    (found,) = caught.value.problems
    assert problem in found


def test_chip_of_the_kernel_may_have_several_readers(tmp_path: Path) -> None:
    """An accelerometer and a gyroscope sit on one address; so may readers of single channels."""
    (tmp_path / "agent.yaml").write_text(
        "sensors:\n"
        "  - {name: a, type: iio, chip: lsm6ds3_accel, bus: 1, address: 0x6a}\n"
        "  - {name: b, type: iio, chip: lsm6ds3_gyro, bus: 1, address: 0x6a}\n"
    )

    assert len(load(tmp_path / "agent.yaml", {}).config.sensors) == 2


def test_channels_that_are_written_are_all_there_are() -> None:
    """In the order written, each with its own unit or its quantity's."""
    found = registry.find("hwmon")
    channels = {"fan_cpu": "", "temperature2": "", "voltage": "percent"}
    options = found.Options(
        chip="a", channels={name: KernelChannelOptions(unit) for name, unit in channels.items()}
    )

    made = found(options, Surroundings(bus=Buses()))

    assert [channel.unit for channel in made.channels] == ["rpm", "celsius", "percent"]
    assert found.channel_names(options) == ("fan_cpu", "temperature2", "voltage")
    assert found.channel_names(found.Options(chip="a")) == ()
