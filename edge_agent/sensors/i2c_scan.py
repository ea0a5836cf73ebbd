"""Which chips answer on an I2C bus: asked only when a person wants to know.

Each address is asked for one byte, as ``i2cdetect -r`` does: a write without data ("quick write"),
which other programs use, changes the state of some chips. An address that a kernel driver owns is
not asked at all.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from edge_agent.errors import BusError
from edge_agent.sensors.base import BusLike

#: The rest of the seven bits is reserved. Source: NXP UM10204, 3.1.12.
ADDRESSES = range(0x08, 0x78)
#: How a silent address looks, by the adapter's habit (`edge_agent.sensors.i2c.TROUBLES`).
_SILENT = ("nack", "io")


@dataclasses.dataclass(frozen=True, slots=True)
class Adapter:
    """One I2C bus of this machine."""

    #: the N of ``/dev/i2c-N``
    number: int
    #: what the kernel calls it: ``bcm2835 (i2c@7e804000)``
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """An address at which there is something."""

    address: int
    #: the kernel driver that owns it, or empty
    driver: str = ""
    #: the sensor type that reads it through that driver, or empty
    through: str = ""


def adapters(root: Path = Path("/")) -> list[Adapter]:
    """The buses that programs can open, by number.

    Args:
        root: where /dev and /sys are.
    """
    numbers = (re.fullmatch(r"i2c-(\d+)", file.name) for file in (root / "dev").glob("i2c-*"))
    return [
        Adapter(n, _label(root, n)) for n in sorted(int(found[1]) for found in numbers if found)
    ]


def owned(name: str, root: Path = Path("/")) -> dict[int, Chip]:
    """The addresses of a bus that kernel drivers own.

    Args:
        name: of the bus: ``i2c-1``.
        root: where /sys is.

    Source: Linux Documentation/i2c/i2c-sysfs.rst: a client is called ``<bus>-<address, 4 digits>``.
    """
    number = name.removeprefix("i2c-")
    chips = {}
    for client in (root / "sys/bus/i2c/devices").glob(f"{number}-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"):
        driver = client / "driver"
        if driver.exists():
            address = int(client.name.rpartition("-")[2], 16)
            chips[address] = Chip(address, driver.resolve().name, _through(client))
    return chips


def chips(bus: BusLike, root: Path = Path("/"), leave: Collection[int] = ()) -> Iterator[Chip]:
    """What is on a bus, by address.

    Args:
        bus: every address that no kernel driver owns is asked.
        root: where /sys is.
        leave: addresses that are not to be asked.

    Raises:
        BusError: the bus cannot be used, or no transfer on it goes well.
    """
    drivers = owned(bus.name, root)
    asked, broken = 0, []
    for address in ADDRESSES:
        if address in drivers:
            yield drivers[address]
        elif address not in leave:
            asked += 1
            try:
                bus.read(address, 1)
            except BusError as error:
                if error.reason not in _SILENT:
                    raise
                broken += [error] if error.reason == "io" else []
            else:
                yield Chip(address)
    if broken and len(broken) == asked:
        raise broken[-1]


def _through(client: Path) -> str:
    # To its end: a search that is left half done leaves a directory open.
    if list(client.glob("iio:device*")):
        return "iio"
    return "hwmon" if (client / "hwmon").is_dir() else ""


def _label(root: Path, number: int) -> str:
    try:
        return (
            (root / f"sys/bus/i2c/devices/i2c-{number}/name").read_text("utf-8", "replace").strip()
        )
    except OSError:
        return ""
