"""The list of sensors: each is checked by its driver, then all of them against each other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import voluptuous as vol

from edge_agent.config.channels import Channel, Sensor, SensorCommon, Shaping
from edge_agent.config.findings import Findings
from edge_agent.config.places import Path
from edge_agent.config.shape import Named, Section, UnknownKey, assemble, did_you_mean
from edge_agent.errors import ConfigError
from edge_agent.options import option, options_of
from edge_agent.processing.reporting import Report
from edge_agent.sensors import base, registry
from edge_agent.sensors.gpio.pins import PinNumber


@dataclasses.dataclass(frozen=True)
class Drivers:
    """Where drivers come from: the registry, or a test's few."""

    #: the driver of a type name; ``KeyError`` where there is none
    find: Callable[[str], type[base.Sensor]]
    type_names: Callable[[], Sequence[str]]


#: Sensors that are right, by their path.
Built = dict[Path, Sensor]

#: Ours, and those that plugins add.
REGISTRY = Drivers(registry.find, registry.type_names)


@dataclasses.dataclass(frozen=True)
class SensorParser:
    """Makes sensors of what was written; ``findings`` is told every mistake."""

    drivers: Drivers
    #: seconds between two readings where a sensor does not say
    interval_s: float
    findings: Findings
    #: by type name, the driver or what is wrong with it: to look among plugins takes its time
    _known: dict[str, type[base.Sensor] | str] = dataclasses.field(default_factory=dict)

    def parse(self, written: list[Any]) -> tuple[Sensor, ...]:
        """The sensors that are right, in the order written."""
        parsed = [
            (i, self._sensor(item, i)) for i, item in enumerate(written) if not self.findings.enough
        ]
        built: Built = {("sensors", i): sensor for i, sensor in parsed if sensor is not None}
        self._refuse_same(_names(written), "is already a sensor's name")
        self._refuse_same(
            _public_names(built), "is already the public name of a channel or a sensor"
        )
        self._refuse_same(_chips(built), "is already a sensor's address on this bus")
        self._refuse_same(_pins(built), "is already a sensor's pin")
        return tuple(built.values())

    def _sensor(self, written: Any, index: int) -> Sensor | None:
        """One sensor, or None with its mistakes reported."""
        path: Path = ("sensors", index)
        driver = self._driver(written, path)
        sections = sections_of(driver) if driver else (SensorCommon,)
        try:
            common, *options = assemble(written, *sections, others=driver is None)
            return self._built(driver, common, *options) if driver else None
        except vol.MultipleInvalid as invalid:
            self.findings.report(invalid, path)
            return None

    def _driver(self, written: Any, path: Path) -> type[base.Sensor] | None:
        name = written.get("type") if isinstance(written, dict) else None
        if not isinstance(name, str):
            return None
        if name not in self._known:
            self._known[name] = self._looked_up(name)
        found = self._known[name]
        if isinstance(found, str):
            self.findings.complain((*path, "type"), found)
            return None
        return found

    def _looked_up(self, name: str) -> type[base.Sensor] | str:
        try:
            return self.drivers.find(name)
        except KeyError:
            near = did_you_mean(name, self.drivers.type_names())
            return f"'{name}' is no type of sensor{near}"
        except ConfigError as error:
            return str(error)

    def _built(self, driver: type[base.Sensor], common: SensorCommon, options: Any) -> Sensor:
        own_s = common.interval_s
        return Sensor(
            name=common.name,
            type=common.type,
            interval_s=self.interval_s if own_s is None else own_s,
            metadata=common.metadata,
            channels=_channels(common, driver.channel_names(options)),
            options=options,
        )

    def _refuse_same(self, things: Iterable[tuple[Path, Hashable, str]], sentence: str) -> None:
        """Complain of each thing that was there before: its path, itself, and how it is shown."""
        first: dict[Hashable, Path] = {}
        for path, thing, shown in things:
            before = first.setdefault(thing, path)
            if before != path:
                where = self.findings.where(before)
                self.findings.complain(path, f"{shown} {sentence}, at {where}")


@functools.cache
def sections_of(driver: type[base.Sensor]) -> tuple[type, type]:
    """What a sensor of this type may be given: what all have, and the driver's options.

    Where its channels have options too, these stand beside what every channel has, and both
    sections are given the channels. The same each time, so that equal sensors are equal.
    """
    if driver.ChannelOptions is None:
        return SensorCommon, driver.Options
    one = dataclasses.make_dataclass(
        "Channel", (), bases=(Channel, driver.ChannelOptions), frozen=True
    )
    channels = option(
        Named(Section(one)),
        help="The channels to read, and their settings; absent: all.",
        fresh=dict,
    )
    common, options = (
        dataclasses.make_dataclass(
            section.__name__,
            [("channels", dict[str, Any], channels)],
            bases=(section,),
            frozen=True,
        )
        for section in (SensorCommon, driver.Options)
    )
    return common, options


def i2c_chip(options: Any) -> tuple[str, int] | None:
    """The bus, by its device file, and the address that an I2C driver's options say; else None.

    Who goes through a driver of the kernel names the chip; it may have several readers, and is not
    ours to address.
    """
    if hasattr(options, "chip"):
        return None
    bus, address = getattr(options, "bus", None), getattr(options, "address", None)
    if bus is None or not isinstance(address, int):
        return None
    return (f"/dev/i2c-{bus}" if isinstance(bus, int) else bus), address


def _names(written: list[Any]) -> Iterator[tuple[Path, Hashable, str]]:
    """The name of each sensor, whether or not the rest of it is right."""
    for index, item in enumerate(written):
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str):
            yield ("sensors", index, "name"), name, f"'{name}'"


def _public_names(built: Built) -> Iterator[tuple[Path, Hashable, str]]:
    """What goes over the wire; of sensors with the same name, which is said already, the first."""
    once = {sensor.name: (path, sensor) for path, sensor in reversed(built.items())}
    for path, sensor in reversed(once.values()):
        # Its faults bear its own name, whatever its channels are called.
        if sensor.name not in map(sensor.public_name, sensor.channels):
            yield (*path, "name"), sensor.name, f"'{sensor.name}'"
        for channel, settings in sensor.channels.items():
            own = ("channels", channel) if settings.name else ()
            for name in _on_the_wire(sensor.public_name(channel), settings.report):
                yield (*path, *own, "name"), name, f"'{name}'"


def _on_the_wire(name: str, report: Report) -> list[str]:
    """A channel's name, and those of its windows."""
    return [name, *(f"{name}.{stat}" for stat in report.told_of_windows())]


def _chips(built: Built) -> Iterator[tuple[Path, Hashable, str]]:
    for path, sensor in built.items():
        if chip := i2c_chip(sensor.options):
            # Who reads but one register leaves the chip to others that do the same.
            thing = sensor.options if hasattr(sensor.options, "register") else chip
            yield (*path, "address"), thing, f"0x{chip[1]:02x}"


def _pins(built: Built) -> Iterator[tuple[Path, Hashable, str]]:
    for path, sensor in built.items():
        for declared in options_of(type(sensor.options)):
            # By its kind, not its name: a plugin's pin may be some other chip's.
            if isinstance(declared.kind, PinNumber):
                number = getattr(sensor.options, declared.name)
                yield (*path, declared.key), number, f"GPIO{number}"


def _channels(common: SensorCommon, names: Sequence[str]) -> dict[str, Channel]:
    """The settings of every channel the driver has.

    Raises:
        voluptuous.MultipleInvalid: settings for channels that there are not.
    """
    wrong = list(_misplaced(common, names))
    if wrong:
        raise vol.MultipleInvalid(wrong)
    if list(names) == [""]:
        direct = {o.name: getattr(common, o.name) for o in options_of(Shaping)}
        return {"": Channel(**direct)}
    return {name: common.channels.get(name, Channel()) for name in names}


def _misplaced(common: SensorCommon, names: Sequence[str]) -> Iterator[vol.Invalid]:
    """Settings for channels that there are not, or not said of which of several."""
    if list(names) == [""]:
        if common.channels:
            yield vol.Invalid("is for sensors of several channels; this has one", ["channels"])
        return
    own = ", ".join(names) or "each has its own"
    sentence = f"is for sensors of one channel; here it belongs under channels: {own}"
    for direct in options_of(Shaping):
        if getattr(common, direct.name) != direct.default:
            yield vol.Invalid(sentence, [direct.key])
    for name in common.channels:
        if name not in names:
            yield UnknownKey(f"is unknown{did_you_mean(name, names)}", ["channels", name])
