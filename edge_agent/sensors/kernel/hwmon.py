"""Hardware monitoring: chips that the kernel reads, from the files below /sys/class/hwmon.

Source: Linux Documentation/hwmon/sysfs-interface.rst (units, names, fault, ENODATA).

Wiring: as the chip's data sheet says; its driver is loaded by a line in config.txt, such as
dtoverlay=i2c-sensor,jc42 or dtoverlay=i2c-sensor,sht3x,addr=0x44, and a reboot.

Example: a chip on I2C, and what a Pi has by itself::

    - {name: rack, type: hwmon, chip: jc42, bus: 1, address: 0x18}
    - {name: processor, type: hwmon, chip: cpu_thermal}

temp1 is ``temperature``, temp2 ``temperature2``; in0 is ``voltage0``, in1 ``voltage``; what has a
label is called by it: ``temperature_composite``. A board's own thermistor may be given in millivolt
(sysfs-interface.rst, Temperatures): such a channel needs a filter and a `unit`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edge_agent.errors import SensorError
from edge_agent.sensors.kernel.device import (
    Device,
    DeviceOptions,
    DeviceSensor,
    Input,
    Quantity,
    named,
)
from edge_agent.sensors.kernel.sysfs import Files

#: Milli is the ABI's habit; power and energy are in millionths.
QUANTITIES: Mapping[str, Quantity] = {
    "temp": Quantity("temperature", "celsius", 0.001),
    "humidity": Quantity("humidity", "percent", 0.001),
    "in": Quantity("voltage", "volt", 0.001),
    "curr": Quantity("current", "ampere", 0.001),
    "power": Quantity("power", "watt", 0.000_001),
    "energy": Quantity("energy", "joule", 0.000_001),
    "fan": Quantity("fan", "rpm"),
}

#: What the kernel makes of each 1-wire probe besides (drivers/w1/w1.c); a read takes as long, and
#: says less, than `type: w1`.
W1_CHIP = "w1_slave_temp"

_DEVICE = re.compile(r"hwmon[0-9]+")
_VALUE = re.compile(r"(?P<channel>(?P<type>[a-z]+)(?P<number>[0-9]+))_(?P<what>input|average)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HwmonOptions(DeviceOptions):
    """Which device of hardware monitoring, and which of its channels."""

    quantities: ClassVar = QUANTITIES.values()


class Hwmon(DeviceSensor):
    """A device of hardware monitoring; all its channels, or those that are written.

    A channel that the kernel calls faulty (an open diode, a fan that is not plugged in) bears the
    fault ``disconnected``.
    """

    Options = HwmonOptions
    noun = "hwmon"
    folder = "sys/class/hwmon"
    pattern = _DEVICE
    remedy = (
        "its driver is loaded by a line in config.txt, such as dtoverlay=i2c-sensor,jc42, and a "
        "reboot; see `cat /sys/class/hwmon/*/name`"
    )

    @classmethod
    def inputs(cls, files: Files, device: Device) -> dict[str, Input]:
        """A channel for each input; an average where there is just that."""
        there = files.entries(device.path)
        found: list[tuple[Input, str]] = []
        for match in filter(None, map(_VALUE.fullmatch, there)):
            channel = match["channel"]
            quantity = QUANTITIES.get(match["type"])
            if quantity and (match["what"] == "input" or f"{channel}_input" not in there):
                fault = f"{channel}_fault" if f"{channel}_fault" in there else ""
                number = "" if match["number"] == "1" else match["number"]
                read = functools.partial(_value, files, device.path, match[0], fault)
                label = files.text_or_none(device.path / f"{channel}_label")
                found.append((Input(f"{quantity.word}{number}", quantity, read), label))
        return named(found)


def _value(files: Files, folder: Path, file: str, fault: str) -> float | None:
    """The value in the ABI's unit; None where it is switched off.

    Raises:
        SensorError: ``disconnected`` as the kernel says, or it cannot be read, or is garbage.
    """
    if fault and files.number(folder / fault):
        raise SensorError(
            f"{folder / fault} says that nothing is connected there, or it is broken; check the "
            "probe or the fan, and its wire",
            reason="disconnected",
        )
    return files.number(folder / file)
