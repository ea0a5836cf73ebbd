"""The README's fleet: fragments, environment, credential, unattended upgrades, units, metrics."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes import exposition
from fakes.pages import README, ROOT, block, blocks, section
from fakes.rig import Rig
from fakes.sensors import slot

from edge_agent.cli.environment import CONFIG_FILE, ENVIRONMENT_FILE, parsed
from edge_agent.config.loader import Loaded, load
from edge_agent.config.model import Config
from edge_agent.daemon import health, metrics
from edge_agent.daemon.assembly import CREDENTIAL
from edge_agent.errors import ConfigError

FLEET = section(README, "Many Pis")
FRAGMENT = block(FLEET, "yaml", "# /etc/pyvorin/agent.d/fleet.yaml")
ENVIRONMENT = block(FLEET, "text", f"# {ENVIRONMENT_FILE}")
UNIT = ROOT / "debian/pyvorin-agent.service"


def loaded(directory: Path, environ: Mapping[str, str], more: str = "") -> Loaded:
    """The shipped file with the fleet's fragment, and another one."""
    file = directory / CONFIG_FILE.name
    shutil.copy(ROOT / "config/agent.yaml", file)
    fragments = directory / "agent.d"
    fragments.mkdir(exist_ok=True)
    (fragments / "fleet.yaml").write_text(FRAGMENT)
    (fragments / "van.yaml").write_text(more)
    return load(file, environ)


def test_fleet_fragment_and_environment_make_one_configuration(tmp_path: Path) -> None:
    """By the product's own reading of both; the shipped file's sensor is still there."""
    more = "sensors: [{name: extra, type: simulated}]\ndevice: {labels: {price: $$5}}\n"
    config = loaded(tmp_path, dict(parsed(ENVIRONMENT)), more).config
    assert config.upload.endpoint == "https://ingest.example.com/v1/ingest"
    assert config.device.labels == {"site": "lyon-12", "fleet": "vans", "price": "$5"}
    assert config.queue.ttl.telemetry_s == 60 * 86_400
    assert [sensor.name for sensor in config.sensors] == ["pi", "extra"]


def test_fleet_name_that_is_not_set_is_an_error(tmp_path: Path) -> None:
    """A van that nobody named sends nothing under another's name."""
    with pytest.raises(ConfigError, match="INGEST_HOST"):
        loaded(tmp_path, {"SITE": "lyon-12"})


def test_fleet_key_or_sensor_given_twice_names_both_places(tmp_path: Path) -> None:
    """Nothing is silently overruled."""
    environ = dict(parsed(ENVIRONMENT))
    for more in ("queue: {ttl: {telemetry: 5d}}\n", "sensors: [{name: pi, type: system}]\n"):
        with pytest.raises(ConfigError) as caught:
            loaded(tmp_path, environ, more)
        (problem,) = caught.value.problems
        assert "van.yaml" in problem
        assert re.search(r"(fleet|agent)\.yaml:\d+:\d+", problem)


def test_fleet_credential_is_the_one_that_the_unit_loads() -> None:
    """Where systemd looks for it without a path."""
    (told,) = re.findall(r"/etc/credstore/(\S+)", "".join(blocks(FLEET, "sh")))
    assert told == CREDENTIAL
    assert f"\nLoadCredential={told}\n" in UNIT.read_text()


def test_fleet_health_comes_as_often_as_it_says() -> None:
    """A reading `agent.queue`, by default."""
    (minutes,) = re.findall(r"every (\d+) minutes \(`health\.upload_interval`\)", FLEET)
    assert Config().health.upload_interval_s == 60 * int(minutes)


def test_fleet_upgrades_are_what_apt_understands(tmp_path: Path) -> None:
    """apt reads the file, and has the pattern where unattended-upgrades looks for it."""
    file = tmp_path / "52pyvorin-agent"
    file.write_text(block(FLEET, "text", "// /etc/apt/apt.conf.d/"))
    key = "Unattended-Upgrade::Origins-Pattern"
    said = subprocess.run(
        ["apt-config", "-c", str(file), "dump", key, "--format", "%v%n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "origin=Pyvorin,codename=${distro_codename}" in said.splitlines()


def test_fleet_drop_in_fits_the_unit(tmp_path: Path) -> None:
    """Its sections and keys are systemd's, as systemd itself sees it."""
    unit = tmp_path / UNIT.name
    # Only what is in the drop-in is asked about: neither user nor program are here.
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    drop_in = tmp_path / f"{UNIT.name}.d"
    drop_in.mkdir()
    text = block(FLEET, "ini", "[Unit]")
    (drop_in / "override.conf").write_text(text)
    assert verify(unit) == ""
    (drop_in / "override.conf").write_text(text.replace("ReadWritePaths", "ReadWritePath"))
    assert "ReadWritePath" in verify(unit)
    assert "ProtectSystem=strict" in UNIT.read_text()


def verify(unit: Path) -> str:
    """What systemd says of a unit."""
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return "".join(line for line in said.stderr.splitlines(keepends=True) if unit.name in line)


def test_fleet_watchdog_of_the_machine_is_a_key_of_systemd() -> None:
    """It comes with a file that names them all."""
    text = block(FLEET, "ini", "# /etc/systemd/system.conf.d/")
    (key,) = re.findall(r"^(\w+)=", text, re.MULTILINE)
    shipped = (Path(place) / "systemd/system.conf" for place in ("/etc", "/usr/lib"))
    named = "".join(file.read_text() for file in shipped if file.exists())
    assert f"\n#{key}=" in named
    assert text.splitlines()[1] in named.splitlines()


def test_metrics_of_the_readme_are_there(rig: Rig) -> None:
    """Each with its label."""
    told = re.findall(r'`(pyvorin_\w+)(?:\{(\w+)="(\w+)"\})?`', README)
    status = health.document(health.line(rig.parts(slot("fridge"))), rig.parts(slot("fridge")))
    families = exposition.parse(metrics.exposition(status))
    assert len(told) > 5
    for name, label, value in told:
        family = families[name]
        assert family.label == label
        assert not label or value in family.samples
