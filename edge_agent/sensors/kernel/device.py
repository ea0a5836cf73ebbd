"""One device of many: what `iio` and `hwmon` do alike to choose it and to read its channels.

The numbers in iio:device0 and hwmon2 are given in the order in which drivers load, which changes
from boot to boot. What stays is the chip's name and where it sits.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edge_agent.errors import SensorError
from edge_agent.options import Conflict, Text, Whole, option
from edge_agent.sensors.base import Channel, Surroundings, unless_all_failed
from edge_agent.sensors.kernel.sysfs import Files, KernelSensor, parent_name, several
from edge_agent.types import Measurement

# How the kernel names a chip on an I2C bus: 1-0076 (drivers/i2c/i2c-core-base.c, i2c_dev_set_name).
_ON_I2C = re.compile(r"([0-9]+)-00([0-9a-f]{2})")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
#: How much of a label a channel's name takes.
_LONGEST_LABEL = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Quantity:
    """What the kernel measures, in our words."""

    #: how its channels are called, as those of our own drivers are
    word: str
    unit: str
    #: from the kernel's unit to ours
    factor: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """One thing a device measures now."""

    #: our name of the channel
    name: str
    quantity: Quantity
    #: reads it, in the kernel's unit; None where it is switched off; raises `SensorError`
    read: Callable[[], float | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """One device as it stands in sysfs now."""

    path: Path
    #: the file ``name``
    chip: str
    #: the file ``label``, or ""
    label: str
    #: what the kernel calls the place where it sits: ``1-0076``, ``spi0.1``; "" for none
    place: str

    @property
    def i2c(self) -> tuple[int, int] | None:
        """Bus and address, where it sits on an I2C bus."""
        match = _ON_I2C.fullmatch(self.place)
        return (int(match[1]), int(match[2], 16)) if match else None

    def __str__(self) -> str:
        """As a person would write it into the configuration."""
        where = f"device: {self.place}" if self.place else ""
        if self.i2c:
            where = f"bus: {self.i2c[0]}, address: 0x{self.i2c[1]:02x}"
        label = f"label: {self.label}" if self.label else ""
        return ", ".join(filter(None, (f"chip: {self.chip}", where, label)))


@dataclasses.dataclass(frozen=True)
class KernelChannelOptions:
    """What a value is called after the filters."""

    unit: str = option(
        Text(".{0,40}", "a unit of at most 40 characters"),
        "",
        help="What its values are in after the filters; absent: the unit of its quantity.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Which device; the more of this is given, the surer it is the right one."""

    #: what its channels' names begin with
    quantities: ClassVar[Collection[Quantity]]

    chip: str = option(
        Text(".+", "a chip's name"),
        help="What the kernel calls the chip (the file name of the device); `sensors scan` lists "
        "what is there.",
    )
    bus: int | None = option(
        Whole(least=0, most=999), None, help="N of the bus i2c-N it sits on; absent: any."
    )
    address: int | None = option(
        Whole(least=0x03, most=0x77, hexadecimal=True),
        None,
        help="Its I2C address, which tells two equal chips apart; absent: any.",
    )
    device: str = option(
        Text(),
        "",
        help="What the kernel calls the place of a chip that is not on I2C, such as spi0.1; "
        "absent: any.",
    )
    label: str = option(
        Text(), "", help="The label that the device tree gives it, where it does; absent: any."
    )
    #: by name; the channels that are read, all that the device has where there is none
    channels: Mapping[str, KernelChannelOptions] = dataclasses.field(default_factory=dict)

    def conflicts(self) -> Iterator[Conflict]:
        """Two places, and channels that no device has."""
        if self.device and (self.bus is not None or self.address is not None):
            yield ("device", "bus", "address"), "is for chips that are not on I2C; leave it out"
        for name in self.channels:
            if quantity_of(name, self.quantities) is None:
                words = ", ".join(sorted({quantity.word for quantity in self.quantities}))
                yield (
                    ("channels",),
                    f"'{name}' begins with no quantity that there is; they are {words}",
                )

    def fit(self, device: Device) -> bool:
        """Whether this may be the device."""
        bus, address = device.i2c or (None, None)
        return (
            self.chip == device.chip
            and self.bus in (None, bus)
            and self.address in (None, address)
            and self.device in ("", device.place)
            and self.label in ("", device.label)
        )

    def __str__(self) -> str:
        """As it was written, but for the channels."""
        bus = "" if self.bus is None else f"bus: {self.bus}"
        address = "" if self.address is None else f"address: 0x{self.address:02x}"
        device = self.device and f"device: {self.device}"
        label = self.label and f"label: {self.label}"
        return ", ".join(filter(None, (f"chip: {self.chip}", bus, address, device, label)))


def quantity_of(name: str, quantities: Collection[Quantity]) -> Quantity | None:
    """What the channel of this name measures: its name begins with the quantity's word."""
    for quantity in sorted(quantities, key=lambda one: -len(one.word)):
        if re.fullmatch(rf"{quantity.word}[0-9]*(-[a-z]+[0-9]+)?(_[a-z0-9_]+)?", name):
            return quantity
    return None


def slug(label: str) -> str:
    """A label as the end of a channel's name: ``Package id 0`` is ``package_id_0``; may be ""."""
    return _NO_LETTERS.sub("_", label.lower()).strip("_")[:_LONGEST_LABEL].rstrip("_")


def named(inputs: Sequence[tuple[Input, str]]) -> dict[str, Input]:
    """Inputs by their name; a label stands in it where no other input is called so.

    Args:
        inputs: each with its label, "" for none.
    """
    wanted = [f"{one.quantity.word}_{slug(label)}" if slug(label) else "" for one, label in inputs]
    taken = [*wanted, *(one.name for one, _ in inputs)]
    names = [
        own if own and taken.count(own) == 1 else one.name
        for own, (one, _) in zip(wanted, inputs, strict=True)
    ]
    return {
        name: dataclasses.replace(one, name=name)
        for name, (one, _) in zip(names, inputs, strict=True)
    }


class DeviceSensor(KernelSensor):
    """The channels of one device that a class or bus of the kernel lists."""

    Options: ClassVar[type] = DeviceOptions
    ChannelOptions = KernelChannelOptions

    #: what kind of device it is, in a word
    noun: ClassVar[str]
    #: where they are listed, below the root
    folder: ClassVar[str]
    #: their names there
    pattern: ClassVar[re.Pattern[str]]
    #: what to do where the device is not there
    remedy: ClassVar[str]

    def __init__(self, options: DeviceOptions, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._options = options
        # The wire is shared with our own drivers of that bus; where it is not known, chips of one
        # name wait for each other and for nobody else.
        bus = options.bus
        self.bus_name = f"{self.noun}-{options.chip}" if bus is None else f"i2c-{bus}"
        self.channels = tuple(
            Channel(name, self._unit(name, quantity))
            for name in options.channels
            if (quantity := quantity_of(name, options.quantities))
        )

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        """Those that are written; none where all are read that the device turns out to have."""
        return tuple(options.channels)

    @classmethod
    def devices(cls, files: Files) -> list[Device]:
        """The devices that are there, those without a readable name left out.

        Raises:
            SensorError: there are some, and they may not be listed.
        """
        folder = files.root / cls.folder
        return [
            Device(path, chip, files.text_or_none(path / "label"), parent_name(path))
            for path in (folder / name for name in files.entries(folder))
            if cls.pattern.fullmatch(path.name) and (chip := files.text_or_none(path / "name"))
        ]

    @classmethod
    @abc.abstractmethod
    def inputs(cls, files: Files, device: Device) -> dict[str, Input]:
        """What the device measures, by our names, in the order of the kernel's; reads no value.

        Raises:
            SensorError: its files may not be listed.
        """

    def _measure(self) -> Sequence[Measurement]:
        """The channels, each from its file.

        Raises:
            SensorError: ``absent``, ``ambiguous``, ``no_channel``, ``disabled``, or, where no
                channel can be read, the first one's reason.
        """
        device = self._device()
        inputs = self.inputs(self._files, device)
        wanted = tuple(self._options.channels) or tuple(inputs)
        found = [self._measurement(name, inputs, device) for name in wanted]
        # What has gone meanwhile may have lost a scale before a value, or left its number to
        # another chip.
        if self._files.text_or_none(device.path / "name") != device.chip:
            what = "went away while it was read; check its plug and power"
            raise self._error(device, what, "absent")
        if not found:
            what = f"measures nothing that this agent knows; see `ls {device.path}`"
            raise self._error(device, what, "no_channel")
        measured = [one for one in found if one is not None]
        if not measured:
            what = f"has every channel switched off; write 1 to {device.path}/*_enable"
            raise self._error(device, what, "disabled")
        return unless_all_failed(measured)

    def _error(self, device: Device, what: str, reason: str) -> SensorError:
        return SensorError(f"{self.noun} device '{device}' {what}", reason=reason)

    def _measurement(
        self, name: str, inputs: Mapping[str, Input], device: Device
    ) -> Measurement | None:
        """One channel, with its fault if it alone cannot be read; None where it is switched off."""
        if name not in inputs:
            what = f"has no {name}; it has {several(list(inputs))}"
            detail = str(self._error(device, what, "absent"))
            return Measurement(name, 0.0, "", fault="absent", detail=detail)
        quantity = inputs[name].quantity
        unit = self._unit(name, quantity)
        try:
            value = inputs[name].read()
        except SensorError as error:
            return Measurement(name, 0.0, unit, fault=error.reason, detail=str(error))
        if value is None:
            return None
        return Measurement(name, float(f"{value * quantity.factor:.12g}"), unit)

    def _unit(self, name: str, quantity: Quantity) -> str:
        own = self._options.channels.get(name)
        return own.unit if own and own.unit else quantity.unit

    def _device(self) -> Device:
        """The one that fits.

        Raises:
            SensorError: ``absent`` or ``ambiguous``.
        """
        there = self.devices(self._files)
        fitting = [device for device in there if self._options.fit(device)]
        if len(fitting) == 1:
            return fitting[0]
        listed = several([f"'{device}'" for device in fitting or there])
        if fitting:
            raise SensorError(
                f"{len(fitting)} {self.noun} devices fit '{self._options}': {listed}; write more "
                "of what tells them apart",
                reason="ambiguous",
            )
        raise SensorError(
            f"no {self.noun} device fits '{self._options}'; there is {listed}; {self.remedy}",
            reason="absent",
        )
