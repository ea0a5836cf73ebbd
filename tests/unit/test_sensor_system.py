"""This machine's own readings: from trees of files with the answer beside them, and for real."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from edge_agent.errors import SensorError
from edge_agent.sensors import system
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.i2c import Buses

CASES = sorted((Path(__file__).parents[1] / "testcases/system").iterdir())


def on(root: Path, options: system.SystemOptions | None = None) -> system.System:
    return system.System(options or system.SystemOptions(), Surroundings(bus=Buses(), root=root))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A Pi's files, to be changed."""
    root = tmp_path / "machine"
    shutil.copytree(CASES[0].parent / "raspberry_pi", root)
    return root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_system_from_a_tree_gives_the_readings_beside_it(case: Path) -> None:
    """What a machine lacks is left out; the disk is the test machine's own, and left to others."""
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))

    readings = on(case).read()

    found = {m.channel: [m.value, m.unit] for m in readings if m.channel != "disk_used"}
    assert found == expected


def test_system_on_the_real_machine_gives_plausible_readings() -> None:
    """Every Linux has these, in the order declared."""
    driver = on(Path("/"))

    assert driver.trigger() == 0.0
    values = {m.channel: m.value for m in driver.read()}

    assert [c.name for c in driver.channels if c.name in values] == list(values)
    assert {"load", "memory_used", "disk_used", "uptime"} <= set(values)
    assert 0 < float(values["memory_used"]) < 100
    assert 0 <= float(values["disk_used"]) <= 100
    assert float(values["uptime"]) > 0


def test_cpu_busy_covers_the_time_between_two_readings(machine: Path) -> None:
    """Not the time since boot: 150 busy ticks of 600, the wait for the disk being idle."""
    driver = on(machine)
    first = {m.channel for m in driver.read()}
    (machine / "proc/stat").write_text("cpu 120100 500 40050 3400400 9050 0 1500 0 0 0\n")

    second = {m.channel: m.value for m in driver.read()}

    assert "cpu_busy" not in first
    assert second["cpu_busy"] == 25.0


@pytest.mark.parametrize(
    ("later", "percent"),
    [
        (system.ProcessorTime(busy=50, total=200), 50.0),
        (system.ProcessorTime(busy=130, total=200), 100.0),
        (system.ProcessorTime(busy=0, total=100), None),
    ],
)
def test_cpu_busy_stays_within_a_percentage(
    later: system.ProcessorTime, percent: float | None
) -> None:
    """The kernel's waiting time may go back; no tick at all gives no value."""
    assert later.percent_since(system.ProcessorTime(busy=0, total=100)) == percent


def test_cpu_busy_after_close_starts_anew(machine: Path) -> None:
    """What lies before is not measured with what comes after."""
    driver = on(machine)
    driver.read()
    driver.close()

    assert "cpu_busy" not in {m.channel for m in driver.read()}


def test_disk_used_is_what_df_says() -> None:
    """Blocks kept for root count as neither used nor usable: 600 of 900."""
    disk = os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 0, 255))

    assert system.disk_used_percent(disk) == 66.67


def test_disk_without_blocks_is_empty() -> None:
    """/proc and its like have none."""
    assert system.disk_used_percent(os.statvfs("/proc")) == 0.0


def test_network_of_one_interface_counts_it_alone(machine: Path) -> None:
    """A metered link, apart from the rest."""
    values = {
        m.channel: m.value for m in on(machine, system.SystemOptions(interface="wlan0")).read()
    }

    assert (values["network_received"], values["network_sent"]) == (1000, 500)


def test_network_interface_that_is_down_is_left_out(machine: Path) -> None:
    """Links come and go; the other readings go on."""
    values = {
        m.channel: m.value for m in on(machine, system.SystemOptions(interface="ppp0")).read()
    }

    assert "network_sent" not in values
    assert values["load"] == 0.42


def test_disk_that_is_not_there_is_a_fault_that_names_it(machine: Path) -> None:
    """A disk does not come and go as links do."""
    with pytest.raises(SensorError, match="mnt/usb: No such file") as caught:
        on(machine, system.SystemOptions(disk="/mnt/usb")).read()

    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("name", ["loadavg", "meminfo", "stat", "uptime", "net/dev"])
def test_file_hidden_by_a_sandbox_is_a_fault_that_names_it(machine: Path, name: str) -> None:
    """``ProcSubset=pid`` hides them all."""
    (machine / "proc" / name).unlink()

    with pytest.raises(SensorError, match=name) as caught:
        on(machine).read()

    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("name", ["loadavg", "meminfo", "stat", "uptime"])
@pytest.mark.parametrize("text", ["", "a b c d e f\n"])
def test_file_that_makes_no_sense_is_garbage(machine: Path, name: str, text: str) -> None:
    """No crash, whatever a file holds."""
    (machine / "proc" / name).write_text(text)

    with pytest.raises(SensorError) as caught:
        on(machine).read()

    assert caught.value.reason == "garbage"
