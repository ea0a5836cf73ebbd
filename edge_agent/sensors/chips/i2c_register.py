"""One register of any I2C chip that has no driver of its own: what its data sheet says, as options.

Example: a PCT2075's temperature, 11 bits on the left of the word at register 0, 0.125 degrees a
step (NXP PCT2075, Temp register)::

    - {name: rack, type: i2c_register, address: 0x37, register: 0x00, mask: 0xffe0, signed: true,
       scale: 0.125, unit: celsius}

Wiring: the chip's own data sheet has it. The chip must measure by itself and show its value in a
register, read with a repeated start (NXP UM10204, 3.1.10); nothing is ever written to it. Several
registers of one chip are several sensors on one address.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal

from edge_agent.options import Choice, Conflict, Flag, Number, Step, Text, Whole, option
from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.i2c import bus_option
from edge_agent.types import Measurement

# What a float keeps for certain, so that 3 steps of 0.1 are 0.3.
_SIGNIFICANT = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class I2cRegisterOptions:
    """Where the register is, and what its bits mean."""

    bus: int | str = bus_option()
    # 0x00 to 0x07 and 0x78 to 0x7f are reserved (UM10204, 3.1.12).
    address: int = option(
        Whole(least=0x08, most=0x77, hexadecimal=True), help="The chip's I2C address."
    )
    register: int = option(
        Whole(least=0, most=0xFF, hexadecimal=True), help="The number of the register."
    )
    width: int = option(Step((8, 16, 24, 32), unit="bits"), 16, help="How long it is.")
    byte_order: Literal["big", "little"] = option(
        Choice(("big", "little")),
        "big",
        help="big: the high byte comes first, as in most chips; little: the low one.",
    )
    mask: int | None = option(
        Whole(least=1, most=0xFFFF_FFFF, hexadecimal=True),
        None,
        help="Which bits are the value, moved to the right until the lowest is the first; absent: "
        "all. The others are not looked at.",
    )
    signed: bool = option(
        Flag(),
        default=False,
        help="Whether the highest of these bits is a sign (two's complement).",
    )
    scale: float = option(Number(), 1.0, help="What one step is, in the unit.")
    offset: float = option(Number(), 0.0, help="Added after scale, in the unit.")
    unit: str = option(
        Text(".{1,40}", "a unit of 1 to 40 characters"), "count", help="What the values are in."
    )
    invalid: int | None = option(
        Whole(least=0, most=0xFFFF_FFFF, hexadecimal=True),
        None,
        help="The bits, as mask leaves them and before a sign is looked at, that mean there is no "
        "value, as after power-on or in saturation.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Bits that there are not."""
        if self.mask is not None and self.mask >> self.width:
            yield ("mask", "width"), f"has bits beyond the {self.width} of the register"
        elif self.invalid is not None and self.invalid > field(-1, self):
            yield ("invalid", "mask"), f"is more than 0x{field(-1, self):x}, all bits of the value"


def field(raw: int, options: I2cRegisterOptions) -> int:
    """The bits of the value, moved to the right end, without regard to a sign."""
    mask = options.mask or (1 << options.width) - 1
    # A number and its negative have just the lowest set bit in common.
    return (raw & mask) // (mask & -mask)


def value_of(data: bytes, options: I2cRegisterOptions) -> float | None:
    """The value in the register, or None for the bits that mean there is none; a pure function.

    Args:
        data: the register, in the order it came over the wire.
        options: what its bits mean.
    """
    bits = field(int.from_bytes(data, options.byte_order), options)
    if bits == options.invalid:
        return None
    all_bits = field(-1, options)
    if options.signed and bits > all_bits >> 1:
        bits -= all_bits + 1
    return float(f"{bits * options.scale + options.offset:.{_SIGNIFICANT}g}")


class I2cRegister(ChipSensor):
    """One register of some chip."""

    Options = I2cRegisterOptions
    channels = (Channel("", "count"),)

    def __init__(self, options: I2cRegisterOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._options = options
        self.channels = (Channel("", options.unit),)

    def trigger(self) -> float:
        """Nothing to start: the chip measures by itself."""
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """The value in the register.

        Raises:
            SensorError: ``invalid``, or a bus error's reason.
        """
        options = self._options
        data = self._bus.read_register(options.address, options.register, options.width // 8)
        value = value_of(data, options)
        if value is None:
            raise self._error(
                f"register 0x{options.register:02x} says that there is no value (0x{data.hex()}); "
                "check the chip's supply",
                "invalid",
            )
        return [Measurement("", value, options.unit)]
