"""A third party's sensor type: built, installed and used as its author and its users would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.processes import Site, command, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"
SENSORS = "sensors: [{{name: air, type: hdc1080, bus: /dev/i2c-none{}}}]\n"


def _python(*arguments: str | Path, path: Path, cwd: Path) -> str:
    """Run Python with the installed plugin; what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": f"{path}:{ROOT}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in a folder of its own, as somebody who starts from it has it."""
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("plugin") / "source"))


@pytest.fixture(scope="module")
def installed(source: Path) -> Path:
    """Where pip put it."""
    target = source.parent / "installed"
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--quiet")
    _python("-m", "pip", "install", *offline, "--target", target, source, path=target, cwd=source)
    return target


def test_plugin_passes_its_own_tests(source: Path, installed: Path) -> None:
    """They need nothing but the agent's public modules and pytest."""
    said = _python("-m", "pytest", "-q", "-p", "no:cacheprovider", path=installed, cwd=source)
    assert re.search(r"\b3 passed", said)


def test_plugin_options_are_checked_like_our_own(site: Site, installed: Path) -> None:
    """With the line, the near miss and the range."""
    env = {"PYTHONPATH": f"{installed}:{ROOT}"}
    site.configure(SENSORS.format(""))
    good = command("check", "--config", site.config, env=env)
    assert (good.returncode, good.stderr) == (0, "")
    site.configure(SENSORS.format(", bit: 12"))
    bad = command("check", "--config", site.config, env=env)
    assert bad.returncode == 1
    assert "sensors.air.bit: is unknown (did you mean 'bits'?)" in bad.stdout + bad.stderr
    reference = command("config", "reference", env=env).stdout
    assert "hdc1080" in reference
    assert "How finely it measures." in reference


def test_plugin_that_is_not_installed_is_named(site: Site) -> None:
    """The configuration is ahead of the machine."""
    site.configure(SENSORS.format(""))
    done = command("check", "--config", site.config)
    assert done.returncode == 1
    assert "'hdc1080' is no type of sensor" in done.stdout + done.stderr


def test_plugin_runs_in_the_agent_and_its_failure_is_one_line(site: Site, installed: Path) -> None:
    """There is no such bus on this machine, and the system sensor goes on."""
    machine = "  - {name: machine, type: system, interval: 500ms}\n"
    listed = "sensors:\n  - {name: air, type: hdc1080, bus: /dev/i2c-none, interval: 100ms}\n"
    site.configure(listed + machine)
    agent = site.agent(PYTHONPATH=f"{installed}:{ROOT}")
    agent.wait_for("sensor_faulty sensor=air")
    until(lambda: site.status()["sensors"]["machine"]["last"], "a reading of the other sensor")
    assert agent.end() == 0
    assert len([line for line in agent.lines if "sensor_faulty" in line]) == 1


def test_readme_shows_the_example_as_it_is() -> None:
    """The page on writing a driver quotes the file; what it quotes is tested above."""
    readme = (ROOT / "README.md").read_text()
    (quoted,) = re.findall(
        r"^```python\n(class Hdc1080\(.*?)^```$", readme, re.MULTILINE | re.DOTALL
    )
    (declared,) = re.findall(r"^```toml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert quoted in (EXAMPLE / "pyvorin_hdc1080.py").read_text()
    assert declared in (EXAMPLE / "pyproject.toml").read_text()
