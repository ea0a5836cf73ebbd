"""Is what the sensors are wired to there, open to the agent, and answering?"""

from __future__ import annotations

import grp
import os
import re
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_agent.cli.doctor.files import closed_folder
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, Machine
from edge_agent.cli.sensors.once import Outcome
from edge_agent.cli.sensors.read import last_read, read_now
from edge_agent.cli.status.text import FAULTS
from edge_agent.config.channels import Sensor
from edge_agent.config.sensors import i2c_chip

#: Of /sys/devices/platform/soc/soc:firmware/get_throttled: bits for now, and since the boot.
#:
#: Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_UNDER_VOLTAGE, _WAS_UNDER_VOLTAGE, _TOO_HOT, _WAS_TOO_HOT = 1 << 0, 1 << 16, 1 << 3, 1 << 19
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
#: What a driver says that lacks a library.
_INSTALL = re.compile(r"sudo apt install [a-z0-9 -]+")
#: What raspi-config writes, for a Pi that does not have it.
_SWITCHES = {"i2c": "dtparam=i2c_arm=on", "spi": "dtparam=spi=on", "onewire": "dtoverlay=w1-gpio"}
_SUPPLY = "use the supply that the board's maker names, with a short, thick cable"


def hardware(case: Case) -> Iterator[Finding]:
    """Devices, sensors, supply."""
    closed: set[str] = set()
    for node, sensors in _nodes(case).items():
        found = _opened(case, node)
        if found.level != OK:
            closed.update(sensors)
        yield found
    yield from _answers(case, closed)
    yield from _power(case.machine)


def _nodes(case: Case) -> dict[str, list[str]]:
    """The devices that sensors need, each with those sensors' names; paths from the root."""
    nodes: dict[str, list[str]] = {}
    for sensor in case.config.sensors:
        if (node := _node_of(sensor, case.machine.root)) is not None:
            nodes.setdefault(node.lstrip("/"), []).append(sensor.name)
    return nodes


def _node_of(sensor: Sensor, root: Path) -> str | None:
    """The device file that a sensor is read through; None where it is none of ours to open."""
    if chip := i2c_chip(sensor.options):
        return chip[0]
    if sensor.type == "adc":
        return f"/dev/spidev0.{sensor.options.device}"
    if sensor.type in ("contact", "pulse"):
        chips = sorted(path.name for path in (root / "dev").glob("gpiochip*"))
        return f"/dev/{chips[0] if chips else 'gpiochip0'}"
    return None


def _opened(case: Case, node: str) -> Finding:
    """Whether a device is there, and the agent may use it."""
    machine, path = case.machine, case.machine.root / node
    topic = next(word for word in ("i2c", "spi", "gpio", "device") if word in f"{node} device")
    try:
        owner = path.stat()
    except OSError:
        return Finding(topic, FAIL, f"there is no /{node}", _switch_on(case, topic, node))
    try:
        group = grp.getgrgid(owner.st_gid).gr_name
    except KeyError:
        group = str(owner.st_gid)
    if not machine.may(path, os.R_OK | os.W_OK):
        if group in ("root", "0"):
            mend = "sudo udevadm control --reload && sudo udevadm trigger"
            says = f"/{node} is root's alone; a rule of udev gives it to group {topic}"
        else:
            join = f"sudo usermod -aG {group} {case.user}"
            mend = f"{join} && {case.restart}" if case.installed else f"`{join}`, then log in anew"
            says = f"{case.user} may not use /{node}, which is for group {group}"
        return Finding(topic, FAIL, says, mend)
    if case.running and not _has_group(case, owner.st_gid, owner.st_uid, owner.st_mode):
        says = f"the agent was started before {case.user} joined group {group}: no /{node} for it"
        return Finding(topic, FAIL, says, case.restart)
    return Finding(topic, OK, f"/{node} is there, and open to {case.user}")


def _has_group(case: Case, gid: int, uid: int, mode: int) -> bool:
    """Whether the process that runs may open what the group database would let it open now."""
    everybody = stat.S_IROTH | stat.S_IWOTH
    if case.running is None or mode & everybody == everybody:
        return True
    fields = dict(
        line.partition(":")[::2]
        for line in case.machine.text(f"proc/{case.running['pid']}/status").splitlines()
    )
    if "Groups" not in fields:
        return True
    users = fields.get("Uid", "").split()
    groups = [*fields.get("Gid", "").split(), *fields["Groups"].split()]
    return str(gid) in groups or str(uid) in users or "0" in users


def _switch_on(case: Case, topic: str, node: str) -> str:
    """What brings a device file into being."""
    machine, device = case.machine, node.rpartition("/")[2]
    if topic == "i2c" and machine.text(f"sys/bus/i2c/devices/{device}/name"):
        load = "echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf && sudo modprobe i2c-dev"
        # systemd gives a service the devices that were known when it was started.
        return f"{load} && {case.restart}" if case.installed else load
    others = sorted(path.name for path in (machine.root / "dev").glob(f"{topic}*"))
    if others:
        there = ", ".join(others)
        return f"name one that is there ({there}): `{case.edit}`"
    if topic in _SWITCHES:
        return switch_on(machine, topic)
    return f"`ls /dev` shows what there is; then correct the sensor: `{case.edit}`"


def switch_on(machine: Machine, bus: str) -> str:
    """What switches a bus of a Raspberry Pi on: ``i2c``, ``spi`` or ``onewire``.

    Source:
        raspi-config's ``nonint``, where 0 means yes; the overlays' README of the Pi's firmware.
    """
    if machine.there(machine.root / "usr/bin/raspi-config"):
        return f"sudo raspi-config nonint do_{bus} 0 && sudo reboot"
    line = _SWITCHES[bus]
    return f"on a Raspberry Pi, add the line {line} to /boot/firmware/config.txt and reboot"


def _answers(case: Case, closed: set[str]) -> Iterator[Finding]:
    """What each sensor says; a running agent's own word, as nothing is read behind its back."""
    sensors = {one.name: one for one in case.config.sensors if one.name not in closed}
    if not case.config.sensors:
        scan = case.command("sensors scan")
        mend = f"`{scan}` shows what is wired; then `{case.edit}`"
        yield Finding("sensors", WARN, "none is configured: there is nothing to read", mend)
    if not sensors:
        return
    told = case.running.get("sensors", {}) if case.running else None
    if told is not None:
        for name in sorted(sensors.keys() - told.keys()):
            says = f"{name}: the running agent does not know it yet"
            yield Finding("sensor", WARN, says, _reload(case))
        outcomes = last_read([sensors[name] for name in sensors if name in told], told)
    elif case.status is None and _is_shut(case):
        mend = "see to the queue first, which knows how far each meter had counted"
        yield Finding("sensors", WARN, "not read, as the queue cannot be", mend)
        return
    else:
        outcomes = read_now(list(sensors.values()), case.queue_path, case.machine.clock)
    for outcome in outcomes:
        details = (told or {}).get(outcome.name, {}).get("details", {})
        for name, why in outcome.faults.items():
            words = details.get(name) or (f"{FAULTS[why]} ({why})" if why in FAULTS else why)
            # The device is open to the user: systemd has it kept from the service since its start.
            again = why == "permission"
            mend = case.restart if again else _look(case, sensors[outcome.name], words)
            yield Finding("sensor", FAIL, f"{name}: {words}", mend)
    yield from _well(outcomes, len(case.config.sensors))


def _well(outcomes: Sequence[Outcome], total: int) -> Iterator[Finding]:
    """How many answer; an agent that was just started, or reports now and then, owes some."""
    well = [one for one in outcomes if not one.faults]
    owed = [one.name for one in well if not one.readings]
    if well:
        says = f"{len(well) - len(owed)} of {total} answer"
        still = f"; nothing reported yet by {', '.join(owed)}" if owed else ""
        yield Finding("sensors", OK, says + still)


def _is_shut(case: Case) -> bool:
    """Whether there may be a queue that we cannot read."""
    there = case.machine.there(case.queue_path)
    return there or closed_folder(case, case.queue_path) is not None


def _reload(case: Case) -> str:
    return "sudo systemctl reload pyvorin-agent" if case.installed else case.restart


def _look(case: Case, sensor: Sensor, words: str) -> str:
    """What helps against a fault, or shows more of it."""
    masters = (case.machine.root / "sys/bus/w1/devices").glob("w1_bus_master*")
    if sensor.type == "w1" and not any(masters):
        return switch_on(case.machine, "onewire")
    if asked := _INSTALL.search(words):
        return f"{asked[0]} && {case.restart}" if case.installed else asked[0]
    if chip := i2c_chip(sensor.options):
        bus = chip[0].removeprefix("/dev/i2c-")
        scan = case.command(f"sensors scan --bus {shlex.quote(bus)}")
        return f"`{scan}` shows which addresses answer"
    if sensor.type in ("w1", "iio", "hwmon"):
        return f"`{case.command('sensors scan')}` shows what the kernel has found"
    return f"`pyvorin-agent sensors types {shlex.quote(sensor.type)}` tells its wiring and options"


def _power(machine: Machine) -> Iterator[Finding]:
    """The supply; only boards that measure it can say."""
    bits = machine.text(_THROTTLED)
    if not bits:
        for chip in sorted((machine.root / "sys/class/hwmon").glob("hwmon*")):
            where = str(chip.relative_to(machine.root))
            if machine.text(f"{where}/name") == "rpi_volt":
                bits = "1" if machine.text(f"{where}/in0_lcrit_alarm") == "1" else "0"
    if not bits:
        return
    try:
        said = int(bits, 16)
    except ValueError:
        return
    if said & _UNDER_VOLTAGE:
        yield Finding("power", FAIL, "under-voltage now: the supply sags below 4.63 V", _SUPPLY)
    elif said & _WAS_UNDER_VOLTAGE:
        yield Finding("power", WARN, "there was under-voltage since the last boot", _SUPPLY)
    else:
        yield Finding("power", OK, "no under-voltage since the last boot")
    if said & (_TOO_HOT | _WAS_TOO_HOT):
        when = "is" if said & _TOO_HOT else "was, since the last boot,"
        yield Finding(
            "power", WARN, f"the processor {when} too hot", "give the board air, or a fan"
        )
