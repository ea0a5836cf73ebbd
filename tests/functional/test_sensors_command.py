"""`pyvorin-agent sensors` as people run it: alone, and beside a running agent."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fakes.processes import Site, command, until
from jsonschema import Draft202012Validator

from edge_agent.cli.sensors.schemas import READ

CONFIG = """
sensors:
  - {name: pi, type: system}
  - name: probe
    type: simulated
    waveform: constant
    base: 4
    filters: [{skip_initial: 3}, {offset: -0.5}]
  - {name: broken, type: simulated, bus: other, fail_every: 1}
  - {name: room, type: bme280, bus: 99}
"""
HANGS = """
sensors:
  - {name: stuck, type: simulated, bus: bad, hang_every: 1, hang: 10min}
  - {name: probe, type: simulated, waveform: constant, base: 4}
"""


def test_sensors_read_without_an_agent_reads_each_once(site: Site) -> None:
    """What failed is said in a sentence, and by the exit code; no file is made by looking."""
    site.configure(CONFIG)
    ended = command("sensors", "read", "--config", site.config)
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert ended.returncode == 1
    assert re.fullmatch(r"[0-9.]+ +percent", lines["pi.memory_used"])
    assert re.fullmatch(r"3\.5 +celsius", lines["probe"])
    assert lines["broken"] == "failed: reading 1 fails, as `fail_every: 1` asks"
    assert "switch I2C on with raspi-config" in lines["room"]
    assert list(site.directory.iterdir()) == [site.config]


def test_sensors_read_by_name_reads_no_other(site: Site) -> None:
    """What is not asked for cannot fail."""
    site.configure(CONFIG)
    ended = command("sensors", "read", "--config", site.config, "probe", "--json")
    assert ended.returncode == 0
    facts = json.loads(ended.stdout)
    Draft202012Validator(READ).validate(facts)
    assert [sensor["name"] for sensor in facts["sensors"]] == ["probe"]

    mistaken = command("sensors", "read", "--config", site.config, "prob")
    assert mistaken.returncode == 1
    assert "did you mean 'probe'?" in mistaken.stderr


def test_sensors_read_shows_nothing_that_privacy_takes_out(site: Site) -> None:
    """And makes no key by looking."""
    site.configure(
        "device: {labels: {operator: ann}}\n"
        "privacy: {drop: [metadata.operator], hash: [metadata.badge], round: {metadata.lat: 0}}\n"
        "sensors: [{name: a, type: simulated, waveform: constant,"
        " metadata: {badge: 7, operator: bob, lat: 45.7}}]\n"
    )
    (sensor,) = json.loads(command("sensors", "read", "--config", site.config, "--json").stdout)[
        "sensors"
    ]
    metadata = sensor["readings"][0]["metadata"]
    assert {key: metadata[key] for key in metadata if key != "clock"} == {"lat": 46.0}
    assert list(site.directory.iterdir()) == [site.config]


def test_sensors_read_ends_though_a_driver_hangs(site: Site) -> None:
    """Its bus is given up; the others were read."""
    site.configure(HANGS)
    ended = command("sensors", "read", "--config", site.config)
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[1:] == [
        "stuck   failed: no answer on bad for 10 s",
        "probe   4.0    celsius",
    ]


def test_sensors_read_beside_an_agent_shows_its_last_reading(site: Site) -> None:
    """Nothing is read behind its back: a reading of this command's own would have its own time."""
    site.configure(
        "sensors: [{name: probe, type: simulated, waveform: constant, base: 4, interval: 1d}]\n"
    )
    site.agent()
    until(lambda: site.status()["sensors"]["probe"]["last"], "the probe's first reading")
    stamp = site.status()["sensors"]["probe"]["last"]["probe"]["timestamp"]
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    shown = command("sensors", "read", "--config", site.config, "--json", env=env)
    facts = json.loads(shown.stdout)
    assert (shown.returncode, facts["running"]) == (0, True)
    assert facts["sensors"][0]["readings"][0]["timestamp"] == stamp
    table = command("sensors", "read", "--config", site.config, env=env).stdout
    assert re.fullmatch(r"SENSOR +VALUE +UNIT +AGE\nprobe +4\.0 +celsius +\d+ s\n", table)


def test_sensors_types_lists_the_drivers() -> None:
    """All of them, one of them, and one that is not there."""
    assert "\nbme280\n" in command("sensors", "types").stdout
    assert command("sensors", "types", "bme280").stdout.startswith("bme280\n  BME280 (")
    unknown = command("sensors", "types", "bme820")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "did you mean 'bme280'?" in unknown.stderr


def test_sensors_scan_of_a_bus_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    """On stderr: what goes to stdout is to be pasted. Without --bus nothing can fail."""
    nowhere = tmp_path / "no_agent.yaml"
    asked = command("sensors", "scan", "--config", nowhere, "--bus", "/dev/i2c-99")
    assert asked.returncode == 1
    assert "switch I2C on with raspi-config" in asked.stderr
    assert "# /dev/i2c-99: 0 chips, and an error ended the search\n" in asked.stdout
    assert command("sensors", "scan", "--config", nowhere).returncode == 0


def test_sensors_scan_beside_an_agent_whose_chips_nobody_knows_asks_none(site: Site) -> None:
    """A configuration that cannot be read hides which addresses are to be left alone."""
    site.configure("sensors: [{name: probe, type: simulated}]\n")
    site.agent()
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    broken = site.directory / "broken.yaml"
    broken.write_text("sensors: 5\n")
    listed = command("sensors", "scan", "--config", broken, env=env)
    assert listed.returncode == 0
    asked = command("sensors", "scan", "--config", broken, "--bus", "99", env=env)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "sensors: is no list" in asked.stderr


def test_sensors_print_the_schemas_of_their_json() -> None:
    """So that a program can be written against them."""
    for name in ("read", "scan", "types"):
        schema = json.loads(command("sensors", name, "--json-schema").stdout)
        Draft202012Validator.check_schema(schema)
        assert schema["title"] == f"pyvorin-agent sensors {name} --json"
