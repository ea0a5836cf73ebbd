"""What the data sheet says of each I2C chip, for the suites that run against every one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from edge_agent.sensors.i2c import crc8


@dataclasses.dataclass(frozen=True)
class Chip:
    """What the data sheet says of one chip, and how its fake is told to do something."""

    #: the addresses it can have
    addresses: range | tuple[int, ...]
    #: what makes the next measurement another one
    change: Mapping[str, Any]
    #: whether its answers bear check bytes
    is_checked: bool = False
    #: whether it tells that a measurement is not over, by a flag or by not answering
    tells_when: bool = True
    #: what it says to the first measurement after a power failure during one; none: all is well
    lost_power: str = "power_on_value"
    #: both ends of what can be written for its other options, the ends included
    limits: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


def frame(*words: int, init: int = 0xFF) -> bytes:
    """Words with their check bytes; `crc8` is held to the data sheets elsewhere."""
    data = [word.to_bytes(2, "big") for word in words]
    return b"".join(word + bytes([crc8(word, init)]) for word in data)


CHIPS: Mapping[str, Chip] = {
    "ads1115": Chip(range(0x48, 0x4C), {"inputs_volt": [3.0, 3.1, 3.2, 3.3]}),
    "aht20": Chip(range(0x38, 0x3A), {"measures": bytes.fromhex("8000080000")}, is_checked=True),
    # What nobody can tell is in its driver's docstring: darkness, for one reading.
    "bh1750": Chip(
        (0x23, 0x5C),
        {"raw": 1200},
        tells_when=False,
        lost_power="",
        limits={"measuring_time": (31, 254)},
    ),
    "bme280": Chip(range(0x76, 0x78), {"measures": bytes.fromhex("4f5800 845200 5eb5")}),
    "bme280 (a BMP280)": Chip(range(0x76, 0x78), {"measures": bytes.fromhex("655ad0 7eee00")}),
    # It has no power-on value of its own, and what it shows is what it measured last.
    "i2c_register": Chip(
        range(0x08, 0x78),
        {"registers": b"\x19" * 9},
        tells_when=False,
        lost_power="",
        limits={"register": (0, 0xFF), "mask": (1, 0xFFFF_FFFF), "invalid": (0, 0xFFFF_FFFF)},
    ),
    "ina219": Chip(range(0x40, 0x50), {"shunt": 0x03E8}, limits={"shunt_ohms": (0.000_01, 1000)}),
    "ina226": Chip(range(0x40, 0x50), {"shunt": 0x0FA0}, limits={"shunt_ohms": (0.000_01, 1000)}),
    "scd4x": Chip(
        (0x62,),
        {"data": frame(700, 0x7000, 0x7000)},
        True,
        lost_power="not_ready",
        limits={"pressure": (700, 1200)},
    ),
    "htu21d": Chip((0x40,), {"humidity": frame(0x7002, init=0)}, True, lost_power="nack"),
    "lm75": Chip(range(0x48, 0x50), {"measures": 0x2000}, tells_when=False),
    "mcp9808": Chip(range(0x18, 0x20), {"measures": 0xC200}, tells_when=False),
    "sht3x": Chip(range(0x44, 0x46), {"measures": frame(0x7000, 0x7000)}, True, lost_power="nack"),
    "sht4x": Chip(range(0x44, 0x47), {"measures": frame(0x7000, 0x7000)}, True, lost_power="nack"),
    "tmp117": Chip(range(0x48, 0x4C), {"measures": 0x3200}),
}


def those(condition: Callable[[Chip], object]) -> pytest.MarkDecorator:
    names = [name for name, chip in CHIPS.items() if condition(chip)]
    return pytest.mark.parametrize("name", names)


every_chip = those(lambda _: True)
