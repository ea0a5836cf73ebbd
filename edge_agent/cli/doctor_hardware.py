"""Is what the sensors are wired to there, open to the agent, and answering?"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Case, Finding, Machine
from edge_agent.cli.sensors_read import last_read, read_now
from edge_agent.cli.status_text import FAULTS
from edge_agent.config.channels import Sensor
from edge_agent.config.sensors import i2c_chip
from edge_agent.errors import StoreError

#: Of /sys/devices/platform/soc/soc:firmware/get_throttled: bits for now, and since the boot.
#:
#: Source: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
_UNDER_VOLTAGE, _WAS_UNDER_VOLTAGE, _TOO_HOT, _WAS_TOO_HOT = 1 << 0, 1 << 16, 1 << 3, 1 << 19
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
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
    if not path.exists():
        return Finding(topic, FAIL, f"there is no /{node}", _switch_on(topic, node, machine))
    owner = path.stat()
    try:
        group = grp.getgrgid(owner.st_gid).gr_name
    except KeyError:
        group = str(owner.st_gid)
    if not machine.may(path, os.R_OK | os.W_OK):
        if group in ("root", "0"):
            mend = "sudo udevadm control --reload && sudo udevadm trigger"
            says = f"/{node} is root's alone; a rule of udev gives it to group {topic}"
        else:
            mend = f"sudo usermod -aG {group} {case.user} && sudo systemctl restart pyvorin-agent"
            says = f"{case.user} may not use /{node}, which is for group {group}"
        return Finding(topic, FAIL, says, mend)
    if case.running and not _has_group(case, owner.st_gid, owner.st_uid, owner.st_mode):
        says = f"the agent was started before {case.user} joined group {group}: no /{node} for it"
        return Finding(topic, FAIL, says, "sudo systemctl restart pyvorin-agent")
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
    users, groups = fields["Uid"].split(), [*fields["Gid"].split(), *fields["Groups"].split()]
    return str(gid) in groups or str(uid) in users or "0" in users


def _switch_on(topic: str, node: str, machine: Machine) -> str:
    """What brings a device file into being."""
    is_pi = "Raspberry Pi" in machine.text("proc/device-tree/model")
    bus = node.rpartition("/")[2]
    if topic == "i2c" and machine.text(f"sys/bus/i2c/devices/{bus}/name"):
        return "echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf && sudo modprobe i2c-dev"
    if topic in ("i2c", "spi"):
        switch = f"sudo raspi-config nonint do_{topic} 0 && sudo reboot"
        lies = f"ls /dev/{topic}* shows which there are"
        return switch if is_pi else f"{lies}; on a Raspberry Pi: {switch}"
    return "ls /dev shows what there is; check the sensor's options" + (
        "" if is_pi else "; this is no Raspberry Pi"
    )


def _answers(case: Case, closed: set[str]) -> Iterator[Finding]:
    """What each sensor says; a running agent's own word, as nothing is read behind its back."""
    sensors = [sensor for sensor in case.config.sensors if sensor.name not in closed]
    if not case.config.sensors:
        mend = f"pyvorin-agent sensors scan shows what is wired; write it to {case.config_file}"
        yield Finding("sensors", WARN, "none is configured: there is nothing to read", mend)
    if not sensors:
        return
    try:
        outcomes = (
            last_read(sensors, case.running["sensors"])
            if case.running
            else read_now(sensors, case.queue_path, case.machine.clock)
        )
    except StoreError as error:
        yield Finding("sensors", WARN, f"not read: {error}", "pyvorin-agent queue verify")
        return
    types = {sensor.name: sensor for sensor in sensors}
    well = 0
    for outcome in outcomes:
        for name, why in outcome.faults.items():
            words = f"{why} ({FAULTS[why]})" if why in FAULTS else why
            yield Finding("sensor", FAIL, f"{name}: {words}", _look(types[outcome.name]))
        well += not outcome.faults
    if well:
        yield Finding("sensors", OK, f"{well} of {len(case.config.sensors)} answer")


def _look(sensor: Sensor) -> str:
    """The command that shows more of a sensor that has a fault."""
    if chip := i2c_chip(sensor.options):
        bus = chip[0].removeprefix("/dev/i2c-")
        return f"sudo pyvorin-agent sensors scan --bus {bus} shows which addresses answer"
    if sensor.type in ("w1", "iio", "hwmon"):
        return "pyvorin-agent sensors scan shows what the kernel has found"
    return f"pyvorin-agent sensors types {sensor.type} tells its wiring"


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
