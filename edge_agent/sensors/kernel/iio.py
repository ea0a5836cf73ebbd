"""Industrial I/O: chips that the kernel reads, from the files below /sys/bus/iio/devices.

Source: Linux Documentation/ABI/testing/sysfs-bus-iio (units, names, offset before scale).

Wiring: as the chip's data sheet says; its driver is loaded by a line in config.txt, such as
dtoverlay=i2c-sensor,bme280,addr=0x77, dtoverlay=ads1115,cha_enable or dtoverlay=dht11,gpiopin=4,
and a reboot.

Example: the same chip with either driver has the same channels::

    - {name: attic, type: iio, chip: bme280, bus: 1, address: 0x77}

All channels are read unless some are written. A raw value without a scale is taken as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from edge_agent.sensors.kernel.device import (
    Device,
    DeviceOptions,
    DeviceSensor,
    Input,
    Quantity,
    named,
)
from edge_agent.sensors.kernel.sysfs import Files, finite

#: The ABI's types, or types with a modifier, that this agent knows. Milli is the ABI's habit, but
#: for kilopascals and percents of a concentration.
QUANTITIES: Mapping[str, Quantity] = {
    "temp": Quantity("temperature", "celsius", 0.001),
    "humidityrelative": Quantity("humidity", "percent", 0.001),
    "pressure": Quantity("pressure", "hectopascal", 10.0),
    "illuminance": Quantity("illuminance", "lux"),
    "voltage": Quantity("voltage", "volt", 0.001),
    "current": Quantity("current", "ampere", 0.001),
    "power": Quantity("power", "watt", 0.001),
    "energy": Quantity("energy", "joule"),
    "resistance": Quantity("resistance", "ohm"),
    "capacitance": Quantity("capacitance", "nanofarad"),
    "concentration_co2": Quantity("co2", "ppm", 10_000.0),
    "concentration": Quantity("concentration", "ppm", 10_000.0),
    "massconcentration": Quantity("mass_concentration", "microgram_per_cubic_meter"),
    "electricalconductivity": Quantity("conductivity", "siemens_per_meter"),
    "distance": Quantity("distance", "meter"),
    "velocity": Quantity("velocity", "meter_per_second"),
    "accel": Quantity("acceleration", "meter_per_second_squared"),
    "gravity": Quantity("gravity", "meter_per_second_squared"),
    "anglvel": Quantity("angular_velocity", "radian_per_second"),
    "angl": Quantity("angle", "radian"),
    "incli": Quantity("inclination", "degree"),
    "magn": Quantity("magnetic_field", "gauss"),
    "uvindex": Quantity("uv_index", "index"),
    "ph": Quantity("ph", "ph"),
    # These have no unit: light through a filter, and how much of the sensor's own comes back.
    "intensity": Quantity("intensity", "count"),
    "proximity": Quantity("proximity", "count"),
    "count": Quantity("count", "count"),
    "steps": Quantity("steps", "count"),
}

_DEVICE = re.compile(r"iio:device[0-9]+")
# in_voltage0-voltage1_raw, in_temp_ambient_input: a type, its number, what it is compared with, a
# modifier. What ends in peak_raw and the like is a memory, not a measurement.
_VALUE = re.compile(
    r"in_(?P<channel>(?P<type>[a-z]+)(?P<number>[0-9]*)(?P<other>-[a-z]+[0-9]+)?"
    r"(?:_(?P<modifier>(?!(?:.*_)?(?:peak|mean|trough|correction)_)[a-z0-9_]+?))?)_(?:raw|input)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IioOptions(DeviceOptions):
    """Which device of industrial I/O, and which of its channels."""

    quantities: ClassVar = QUANTITIES.values()


class Iio(DeviceSensor):
    """A device of industrial I/O; all its channels, or those that are written.

    What fails in passing is tried again two seconds later: a DHT11 or DHT22 loses many readings,
    and is not to be asked sooner (drivers/iio/humidity/dht11.c, DHT11_DATA_VALID_TIME).
    """

    Options = IioOptions
    AGAIN_S = 2.0
    noun = "iio"
    folder = "sys/bus/iio/devices"
    pattern = _DEVICE
    remedy = (
        "its driver is loaded by a line in config.txt, such as dtoverlay=i2c-sensor,bme280, and a "
        "reboot; see `cat /sys/bus/iio/devices/*/name`"
    )

    @classmethod
    def inputs(cls, files: Files, device: Device) -> dict[str, Input]:
        """A channel for each value, read ready-made or raw; ready-made goes first."""
        there = files.entries(device.path)
        found: dict[str, tuple[Input, str]] = {}
        for match in filter(None, map(_VALUE.fullmatch, there)):
            quantity = _quantity(match)
            if quantity:
                scaled = Scaled.of(match, device.path, there)
                one = Input(_name(match, quantity), quantity, functools.partial(scaled.read, files))
                label = files.text_or_none(device.path / f"in_{match['channel']}_label")
                # "input" sorts before "raw".
                found.setdefault(match["channel"], (one, label))
        return named(list(found.values()))


@dataclasses.dataclass(frozen=True, slots=True)
class Scaled:
    """A value and what it takes to be in the ABI's unit."""

    path: Path
    #: None where the value is ready-made, or there is none
    offset: Path | None
    scale: Path | None

    @classmethod
    def of(cls, match: re.Match[str], folder: Path, there: Collection[str]) -> Scaled:
        """Of a value's file and the names of all files beside it."""
        path = folder / match[0]
        if match[0].endswith("_input"):
            return cls(path, None, None)
        shared = [
            next((folder / name for name in _sharers(match, what) if name in there), None)
            for what in ("offset", "scale")
        ]
        return cls(path, *shared)

    def read(self, files: Files) -> float | None:
        """The value in the ABI's unit; None where it is switched off.

        Raises:
            SensorError: one of its files cannot be read, or is garbage.
        """
        raw = files.number(self.path)
        offset = files.number(self.offset) if self.offset else 0.0
        scale = files.number(self.scale) if self.scale else 1.0
        if raw is None or offset is None or scale is None:
            return None
        value = (raw + offset) * scale
        return finite(value, self.path, f"{raw}, offset {offset}, scale {scale}")


def _quantity(match: re.Match[str]) -> Quantity | None:
    """What a value's file measures, if this agent knows it."""
    return QUANTITIES.get(f"{match['type']}_{match['modifier']}") or QUANTITIES.get(match["type"])


def _name(match: re.Match[str], quantity: Quantity) -> str:
    """Our name: the ABI's, with our word for the type."""
    if f"{match['type']}_{match['modifier']}" in QUANTITIES:
        # The word says the modifier, and may end in a digit.
        return "_".join(filter(None, (quantity.word, match["number"])))
    other = re.sub("[a-z]+", quantity.word, match["other"] or "")
    modifier = f"_{match['modifier']}" if match["modifier"] else ""
    return f"{quantity.word}{match['number']}{other}{modifier}"


def _sharers(match: re.Match[str], what: str) -> Iterator[str]:
    """The files that may hold a channel's offset or scale, its own first, then shared ones.

    Source: sysfs-bus-iio, "If shared across all in channels then Y and <x|y|z> are not present";
    drivers/iio/industrialio-core.c, __iio_device_attr_init.
    """
    kind = f"in_{match['type']}"
    both = f"{kind}-{match['type']}" if match["other"] else kind
    yield f"in_{match['channel']}_{what}"
    if match["modifier"]:
        yield f"{both}_{match['modifier']}_{what}"
        yield f"{kind}{match['number']}_{what}"
    yield from (f"{both}_{what}", f"{kind}_{what}", f"in_{what}", what)
