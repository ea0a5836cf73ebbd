"""What the kernel drives on this machine, as configurations to paste."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.sensors.kernel import hwmon, w1
from edge_agent.sensors.kernel.device import Device, DeviceSensor
from edge_agent.sensors.kernel.hwmon import Hwmon
from edge_agent.sensors.kernel.iio import Iio
from edge_agent.sensors.kernel.sysfs import Files


@dataclasses.dataclass(frozen=True)
class Found:
    """A device that can be read."""

    #: the sensor type: ``iio``, ``hwmon``, ``w1``
    type: str
    #: the options that choose it and nothing else, each to be written by its option's kind
    options: dict[str, Any]
    #: what it measures, for a comment
    what: str


def devices(root: Path) -> Sequence[Found]:
    """Every device of the kernel that measures something and can be told from the others.

    Nothing is measured, and nothing raised.

    Args:
        root: where /sys is: ``/`` but in tests.
    """
    files = Files(root)
    found: list[Found] = []
    for listed in (_listed("iio", Iio, files), _listed("hwmon", Hwmon, files), _probes(files)):
        # What may not be listed is left out, from there on.
        with contextlib.suppress(SensorError):
            found.extend(listed)
    return found


def _probes(files: Files) -> Iterator[Found]:
    for path in w1.probes(files):
        yield Found("w1", {"id": path.name}, f"temperature, {w1.FAMILIES[path.name[:2]]}")


def _listed(type_name: str, driver: type[DeviceSensor], files: Files) -> Iterator[Found]:
    there = driver.devices(files)
    for device in there:
        channels = driver.inputs(files, device)
        equal = [other for other in there if other.chip == device.chip]
        options = _options(device, equal)
        alone = sum(map(driver.Options(**options).fit, equal)) == 1
        # A 1-wire probe is listed as one; through hwmon it would be measured twice.
        if channels and alone and device.chip != hwmon.W1_CHIP:
            yield Found(type_name, options, ", ".join(channels))


def _options(device: Device, equal: Sequence[Device]) -> dict[str, Any]:
    """What chooses it among equal chips: a place on I2C is always told, what else where needed."""
    options: dict[str, Any] = {"chip": device.chip}
    if device.i2c:
        options["bus"], options["address"] = device.i2c
    alike = [other for other in equal if other.i2c == device.i2c]
    if len(alike) > 1 and not device.i2c and device.place:
        options["device"] = device.place
        alike = [other for other in alike if other.place == device.place]
    if len(alike) > 1 and device.label:
        options["label"] = device.label
    return options
