"""The README's first five minutes: each command's output there is what it prints."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from fakes.clock import FakeClock
from fakes.i2c import FakeAdapter, FakeBme280, RegisterChip
from fakes.pages import README, ROOT, block, blocks, section
from fakes.processes import command
from fakes.sysfs_i2c import plant_bus
from fakes.told import Told

from edge_agent.cli.sensors.once import Round
from edge_agent.cli.sensors.paste import yaml
from edge_agent.cli.sensors.read import gather, text_of
from edge_agent.cli.sensors.scan import Finder
from edge_agent.config.loader import load
from edge_agent.daemon.assembly import make_slot
from edge_agent.daemon.privacy_key import make_shield
from edge_agent.daemon.readers import InlineReaders
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel.scan import Found

STEPS = section(README, "The first sensor, in five minutes")
PASTED = block(STEPS, "yaml", "# i2c-1")
NAME = "bme280_1_0x76"


def machine(directory: Path) -> Path:
    """/etc/pyvorin after the steps; its main file is the one that is shipped."""
    file = directory / "agent.yaml"
    shutil.copy(ROOT / "config/agent.yaml", file)
    fragments = directory / "agent.d"
    fragments.mkdir()
    (fragments / "sensors.yaml").write_text(PASTED)
    return file


def as_installed(said: str, directory: Path) -> str:
    return said.replace(str(directory), "/etc/pyvorin")


def test_first_scan_is_what_scan_prints(tmp_path: Path) -> None:
    """On a Pi with these chips and this probe; with a chip that only takes orders beside them."""
    plant_bus(tmp_path, 1, "bcm2835 (i2c@7e804000)")
    adapter = FakeAdapter({0x23: RegisterChip(), 0x76: RegisterChip()})
    buses = Buses(root=tmp_path, open_wire=adapter.open, sleep=adapter.sleep)
    probe = Found("w1", {"id": "28-0316a2795bff"}, "temperature, DS18B20")
    assert yaml(Finder(tmp_path, buses).gather([1], [probe]), ()) == PASTED


def test_first_scan_kept_as_a_file_passes_check_beside_the_shipped_one(tmp_path: Path) -> None:
    """Pasted as it is, and not a word of agent.yaml is touched."""
    checked = command("check", "--config", machine(tmp_path))
    assert checked.returncode == 0
    assert as_installed(checked.stdout, tmp_path) == block(STEPS, "text", "/etc/pyvorin")


def test_first_mistake_is_what_check_prints(tmp_path: Path) -> None:
    """The sentence in the README is the checker's own."""
    (sentence,) = re.findall(r"`(/etc/pyvorin/agent\.d/sensors\.yaml:\d+:\d+: [^`]+)`", STEPS)
    file = machine(tmp_path)
    fragment = tmp_path / "agent.d/sensors.yaml"
    fragment.write_text(PASTED.replace("address: 0x76", "adress: 0x76"))
    checked = command("check", "--config", file)
    assert checked.returncode == 1
    assert as_installed(checked.stdout, tmp_path) == f"{sentence}\n"


def test_first_values_are_what_read_prints(tmp_path: Path) -> None:
    """Of a chip on a bus, three seconds after the agent read it."""
    config = load(machine(tmp_path), {}).config
    clock = FakeClock()
    adapter = FakeAdapter({0x76: FakeBme280()})

    def wait(seconds: float) -> None:
        clock.advance(seconds)
        adapter.sleep(seconds)

    wait(60)
    around = Surroundings(bus=Buses(open_wire=adapter.open, sleep=wait), sleep=wait)
    (sensor,) = (sensor for sensor in config.sensors if sensor.name == NAME)
    outcomes = Round([make_slot(sensor, {}, around)], InlineReaders(clock), clock).run(wait)
    shield = make_shield(config, clock, say=Told())
    facts = gather(outcomes, clock.wall() + 3, running=True, shield=shield)
    assert text_of(facts) == block(STEPS, "text", "SENSOR")


def test_first_upload_adds_to_the_rest(tmp_path: Path) -> None:
    """A third file, and nothing is given twice; the chip that is written by hand is one."""
    file = machine(tmp_path)
    (upload,) = (text for text in blocks(STEPS, "yaml") if text.startswith("upload:"))
    (tmp_path / "agent.d/upload.yaml").write_text(upload)
    (entry,) = re.findall(r"`(- \{[^`]*\})`", STEPS)
    fragment = tmp_path / "agent.d/sensors.yaml"
    fragment.write_text(f"{PASTED}  {entry}\n")
    config = load(file, {}).config
    assert (config.upload.endpoint or "").startswith("https://")
    assert {sensor.type for sensor in config.sensors} == {
        "system",
        "w1",
        "bh1750",
        "bme280",
        "sht3x",
    }
