"""`sensors scan`: what is found, as facts and as YAML that the checker takes."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.every_driver import BENCHES, INTERVAL_S, ON_A_BUS
from fakes.i2c import FakeAdapter, RegisterChip
from fakes.kernel import plant
from fakes.sysfs_i2c import plant_bus
from jsonschema import Draft202012Validator

from edge_agent.cli.sensors.paste import SILENT_UNTIL_ORDERED, yaml
from edge_agent.cli.sensors.scan import Finder
from edge_agent.cli.sensors.schemas import SCAN
from edge_agent.config.channels import Sensor
from edge_agent.config.loader import load
from edge_agent.config.sensors import Drivers
from edge_agent.errors import ConfigError
from edge_agent.sensors import registry
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel.scan import Found, devices

CASES = Path(__file__).parents[1] / "testcases"
PROBE = Found("w1", {"id": "28-0316a2795bff"}, "temperature, DS18B20")

Find = Callable[..., Finder]


@pytest.fixture
def adapter() -> FakeAdapter:
    return FakeAdapter()


@pytest.fixture
def finder(tmp_path: Path, adapter: FakeAdapter) -> Find:
    """On a machine of which nothing is real."""

    def make(**known: Any) -> Finder:
        buses = Buses(root=tmp_path, open_wire=adapter.open, sleep=adapter.sleep)
        return Finder(tmp_path, buses, **known)

    return make


def configured(folder: Path, text: str) -> tuple[Sensor, ...]:
    """The sensors of a configuration that the checker takes."""
    file = folder / "agent.yaml"
    file.write_text(f"log:\n{text}")
    return load(file, {}).config.sensors


def addresses(facts: dict[str, Any]) -> list[tuple[int, list[str]]]:
    (bus,) = facts["buses"]
    return [(chip["address"], chip["types"]) for chip in bus["chips"]]


def test_scan_without_a_wanted_bus_asks_none(
    finder: Find, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """The buses are listed, and how to have them searched."""
    plant_bus(tmp_path, 1, "bcm2835 (i2c@7e804000)")
    facts = finder().gather([], [])
    assert adapter.opened == []
    assert yaml(facts, ()) == (
        "# i2c-1 (bcm2835 (i2c@7e804000)): not searched; --bus 1 asks its addresses\n"
        "# no device of the kernel's, and no chip that answered\n"
    )


def test_scan_of_a_machine_without_i2c_says_how_to_switch_it_on(finder: Find) -> None:
    """What most find on their first day."""
    assert "raspi-config" in yaml(finder().gather([], []), ())


@pytest.mark.parametrize(
    ("address", "types"),
    [
        (0x76, ["bme280"]),
        (0x77, ["bme280"]),
        (0x23, ["bh1750"]),
        (0x5C, ["bh1750"]),
        (0x40, ["htu21d", "ina219", "ina226"]),
        (0x45, ["ina219", "ina226", "sht3x", "sht4x"]),
        (0x48, ["ads1115", "lm75", "tmp117", "ina219", "ina226"]),
        (0x50, []),
    ],
)
def test_scan_names_the_types_at_home_at_an_address(
    finder: Find, adapter: FakeAdapter, address: int, types: list[str]
) -> None:
    """Those that mostly live there first; as the drivers' own options say."""
    adapter.chips[address] = RegisterChip()
    assert addresses(finder().gather([1], [])) == [(address, types)]


def test_scan_pasted_passes_the_checker(finder: Find, adapter: FakeAdapter, tmp_path: Path) -> None:
    """Chips with one type and with several, unknown ones, the kernel's, two probes."""
    plant_bus(tmp_path, 1, drivers={0x77: "bmp280"})
    adapter.chips |= {a: RegisterChip() for a in (0x23, 0x40, 0x48, 0x50, 0x76, 0x77)}
    found = [PROBE, Found("w1", {"id": "28-000000000001"}, "temperature, DS18B20")]
    text = yaml(finder().gather([1, "/dev/i2c-3"], found), ())
    sensors = configured(tmp_path, text)
    types = [sensor.type for sensor in sensors]
    assert types == ["w1", "w1", *["bh1750", "htu21d", "ads1115", "bme280"], "bh1750", *types[7:]]
    assert "# - {name: ina219_1_0x40, type: ina219, bus: 1, address: 0x40}" in text
    assert "i2c-1, 0x77: belongs to the kernel's driver bmp280" in text


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*/tree.json")), ids=lambda p: p.parent.name)
def test_scan_of_what_the_kernel_drives_passes_the_checker(
    finder: Find, tmp_path: Path, case: Path
) -> None:
    """Every tree that the kernel's drivers are tested with, pasted beside what is there already."""
    plant(case.parent, tmp_path / "tree")
    found = devices(tmp_path / "tree")
    names = {"iio_bme280"}
    text = yaml(finder().gather([], found), names)
    assert len(configured(tmp_path, text)) == len(found)


def test_scan_knows_what_is_configured(finder: Find, adapter: FakeAdapter, tmp_path: Path) -> None:
    """Pasted twice, it would be one address for two sensors."""
    adapter.chips |= {0x76: RegisterChip(), 0x77: RegisterChip()}
    old = (
        "sensors: [{name: room, type: bme280, bus: /dev/i2c-1}, {name: fridge, type: w1},"
        " {name: bme280_1_0x77, type: simulated}]\n"
    )
    sensors = configured(tmp_path, old)
    text = yaml(finder(sensors=sensors).gather([1], [PROBE]), {s.name for s in sensors})
    assert "# i2c-1, 0x76: is the configured sensor room\n" in text
    assert "# is the configured sensor fridge: " in text
    assert text.count("\n  - ") == 1
    assert "- {name: bme280_1_0x77_2, type: bme280, bus: 1, address: 0x77}" in text


def test_scan_beside_a_running_agent_leaves_its_chips_alone(
    finder: Find, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """A byte read here would be missing there."""
    adapter.chips |= {0x76: RegisterChip(), 0x77: RegisterChip()}
    sensors = configured(tmp_path, "sensors: [{name: room, type: bme280, address: 0x77}]\n")
    facts = finder(sensors=sensors, running=True).gather([1], [])
    assert [chip["address"] for chip in facts["buses"][0]["chips"]] == [0x76, 0x77]
    assert 0x77 not in {address for _, address, *_ in adapter.transactions}
    assert "# i2c-1, 0x77: is the configured sensor room; not asked, as the agent is" in yaml(
        facts, ()
    )


def test_scan_that_an_error_ends_keeps_what_it_found(
    finder: Find, adapter: FakeAdapter, tmp_path: Path
) -> None:
    """The error is told beside it."""
    adapter.chips[0x08] = RegisterChip()
    adapter.fail(errno.ETIMEDOUT, after=1)
    facts = finder().gather([1], [])
    assert [chip["address"] for chip in facts["buses"][0]["chips"]] == [0x08]
    assert "a chip holds the bus" in facts["buses"][0]["error"]
    assert "# i2c-1: 1 chip, and an error ended the search\n" in yaml(facts, ())


def test_scan_names_the_types_whose_chips_it_cannot_find(finder: Find) -> None:
    """Those are all the chips that do not answer a byte's read, unless it was ordered."""
    silent = set()
    for name in ON_A_BUS:
        bench = BENCHES[name]()
        bench.sleep(INTERVAL_S)
        # What has registers answers with one of them.
        with contextlib.suppress(AttributeError, AssertionError):
            try:
                bench.chip.answer(1)
            except OSError:
                silent.add(bench.type_name)
    assert sorted(silent) == list(SILENT_UNTIL_ORDERED)
    text = yaml(finder().gather([1], []), ())
    assert text.count(f"only answer orders: {', '.join(SILENT_UNTIL_ORDERED)}\n") == 1


def test_scan_passes_over_a_broken_plugin(finder: Find, adapter: FakeAdapter) -> None:
    """`sensors types` says what is wrong with it."""

    def find(name: str) -> Any:
        if name == "broken":
            raise ConfigError("broken")
        return registry.find(name)

    adapter.chips[0x76] = RegisterChip()
    drivers = Drivers(find, lambda: ["broken", "bme280"])
    assert addresses(finder(drivers=drivers).gather([1], [])) == [(0x76, ["bme280"])]


def test_scan_text_from_the_kernel_cannot_break_a_comment(finder: Find, tmp_path: Path) -> None:
    """A name with a line break in it ends no comment, and a value is quoted."""
    plant_bus(tmp_path, 1, "evil\n- {x: y")
    found = [Found("iio", {"chip": "a: [b"}, "what\nis: this")]
    (sensor,) = configured(tmp_path, yaml(finder().gather([], found), ()))
    assert sensor.options.chip == "a: [b"


def test_scan_json_keeps_to_its_schema(finder: Find, adapter: FakeAdapter, tmp_path: Path) -> None:
    """Written and read, as a program gets it."""
    Draft202012Validator.check_schema(SCAN)
    plant_bus(tmp_path, 2, drivers={0x77: "bmp280"})
    adapter.chips[0x76] = RegisterChip()
    facts = finder().gather([2, "/dev/i2c-9"], [PROBE])
    Draft202012Validator(SCAN).validate(json.loads(json.dumps(facts)))
    assert len(facts["buses"]) == 2
