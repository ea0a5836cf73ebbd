"""What the kernel drives, from lists of files: the configuration and the answer beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.kernel import FakeSysfs, plant

from edge_agent.config.loader import load
from edge_agent.config.model import Sensor
from edge_agent.errors import SensorError
from edge_agent.options import options_of
from edge_agent.sensors import base, registry
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel import scan
from edge_agent.types import Measurement

TESTCASES = Path(__file__).parents[1] / "testcases"
CASES = [case for kind in ("iio", "hwmon", "w1") for case in sorted((TESTCASES / kind).iterdir())]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def built(sensor: Sensor, sysfs: FakeSysfs) -> base.Sensor:
    surroundings = base.Surroundings(bus=Buses(), root=sysfs.root, read_file=sysfs)
    return registry.find(sensor.type)(sensor.options, surroundings)


def as_told(driver: base.Sensor) -> Any:
    """What a measurement comes to, in the form of ``expected.json``."""
    try:
        driver.trigger()
        return [_told(one) for one in driver.read()]
    except SensorError as error:
        return {"reason": error.reason, "says": str(error)}


def _told(one: Measurement) -> dict[str, Any]:
    if one.fault:
        return {"channel": one.channel, "fault": one.fault, "says": one.detail}
    told = {"channel": one.channel, "value": one.value, "unit": one.unit}
    return told | ({"metadata": dict(one.metadata)} if one.metadata else {})


def says(told: Any, expected: Any) -> Any:
    """``expected``, with what was said in the place of a part that it was to contain."""
    if isinstance(told, list) and isinstance(expected, list):
        return [says(*pair) for pair in zip(told, expected, strict=False)] + expected[len(told) :]
    if "says" not in expected or "says" not in told:
        return expected
    parts = [expected["says"]] if isinstance(expected["says"], str) else expected["says"]
    missing = [part for part in parts if part not in told["says"]]
    return expected | {"says": missing or told["says"]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_sensor_from_a_tree_measures_what_stands_beside_it(case: Path, tmp_path: Path) -> None:
    """From the configuration, through its checker, to the readings or the error."""
    expected = _json(case / "expected.json")["sensors"]
    sensors = load(case / "agent.yaml", {}).config.sensors
    sysfs = plant(case, tmp_path)

    told = {sensor.name: as_told(built(sensor, sysfs)) for sensor in sensors}

    assert told == {name: says(told[name], what) for name, what in expected.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_scan_of_a_tree_lists_what_can_be_read(case: Path, tmp_path: Path) -> None:
    """Each with the options that choose it and it alone."""
    plant(case, tmp_path)

    found = scan.devices(tmp_path)

    assert [vars(one) for one in found] == _json(case / "expected.json")["scan"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_what_scan_lists_can_be_pasted(case: Path, tmp_path: Path) -> None:
    """It passes the configuration's checker, and chooses one device."""
    sysfs = plant(case, tmp_path / "root")
    lines = [f"  - {_pasted(found, f's{i}')}" for i, found in enumerate(scan.devices(sysfs.root))]
    (tmp_path / "agent.yaml").write_text("\n".join(["sensors:", *lines, ""]), encoding="utf-8")

    for sensor in load(tmp_path / "agent.yaml", {}).config.sensors:
        told = as_told(built(sensor, sysfs))
        assert "reason" not in told or told["reason"] not in {"absent", "ambiguous", "no_channel"}


def _pasted(found: scan.Found, name: str) -> str:
    """As a command would show it."""
    declared = {option.name: option for option in options_of(registry.find(found.type).Options)}
    written = [f"name: {name}", f"type: {found.type}"]
    for option, value in found.options.items():
        text = json.dumps(value) if isinstance(value, str) else declared[option].kind.write(value)
        written.append(f"{option}: {text}")
    return "{" + ", ".join(written) + "}"
