"""Files of sysfs: reading one, what its failure means, and when another try is worth it.

Source: Linux Documentation/filesystems/sysfs.rst: a file is text, made anew by each read, and a
driver's own error comes out of read(2) as its errno.
"""

from __future__ import annotations

import abc
import dataclasses
import errno
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor, Surroundings, read_file
from edge_agent.types import Measurement

# What a float keeps for certain, so that 3 steps of 0.1 are 0.3.
_SIGNIFICANT = 12
# Python's float() takes more than the kernel writes: underscores, other scripts' digits, "nan".
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_DIGITS = re.compile(r"([0-9]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class _Trouble:
    """What an errno of a read means."""

    reason: str
    #: what to do about it
    remedy: str


_IO = _Trouble("io", "check the chip's power and wires")
_GONE = _Trouble("absent", "it was unplugged, or its driver was unloaded")
_DENIED = _Trouble("permission", "sensors are readable by all; check the service's sandbox")
_BUSY = _Trouble("busy", "another program captures from it; stop that, or read there")
_UNKNOWN = _Trouble("unreadable", "`dmesg` may say more")

#: Source: Linux Documentation/i2c/fault-codes.rst; ENODEV also is how sysfs answers for a device
#: that goes while its file is open (fs/kernfs); EBUSY: an IIO buffer is on.
_TROUBLES: Mapping[int | None, _Trouble] = {
    errno.EIO: _IO,
    errno.EREMOTEIO: _Trouble("nack", _IO.remedy),
    errno.ENXIO: _Trouble("nack", _IO.remedy),
    errno.ETIMEDOUT: _Trouble("timeout", _IO.remedy),
    errno.EBUSY: _BUSY,
    errno.EAGAIN: _BUSY,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.ENODEV: _GONE,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
}

#: Reasons that may be gone a moment later.
PASSING = frozenset({"io", "nack", "timeout", "busy", "crc", "no_answer"})


def trouble(error: OSError, path: Path) -> SensorError:
    """The error that says which file could not be read, why, and what to do."""
    found = _TROUBLES.get(error.errno, _UNKNOWN)
    return SensorError(
        f"cannot read {path}: {error.strerror or error}; {found.remedy}", reason=found.reason
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """The kernel's files below a root; a device that goes meanwhile is an error or left out."""

    root: Path
    read_file: Callable[[Path], bytes] = read_file

    @classmethod
    def of(cls, surroundings: Surroundings) -> Files:
        """Those that a driver is given."""
        return cls(surroundings.root, surroundings.read_file)

    def text(self, path: Path) -> str:
        """A file's text on one line, without what a terminal or a journal would stumble over.

        Raises:
            OSError: it cannot be read.
        """
        text = " ".join(self.read_file(path).decode("utf-8", errors="replace").split())
        return "".join(char if char.isprintable() else "?" for char in text)

    def text_or_none(self, path: Path) -> str:
        """A file's text; "" where it cannot be read: many are optional."""
        try:
            return self.text(path)
        except OSError:
            return ""

    def number(self, path: Path) -> float | None:
        """The number in a file; None for a channel that is switched off.

        Raises:
            SensorError: it cannot be read, or is ``garbage``.

        Source: Linux Documentation/hwmon/sysfs-interface.rst: "When disabled the sensor read will
        return -ENODATA".
        """
        try:
            text = self.text(path)
        except OSError as error:
            if error.errno == errno.ENODATA:
                return None
            raise trouble(error, path) from error
        return finite(float(text) if _NUMBER.fullmatch(text) else math.nan, path, text)

    def entries(self, folder: Path) -> list[str]:
        """The names in a folder, 2 before 10; none if it is not there.

        Raises:
            SensorError: it is there and cannot be listed.
        """
        try:
            return sorted((path.name for path in folder.iterdir()), key=natural)
        except OSError as error:
            found = trouble(error, folder)
            if found.reason == _GONE.reason:
                return []
            raise found from error


def natural(name: str) -> list[tuple[int, str]]:
    """What to sort names by so that numbers in them count as numbers."""
    # Digits and what is between them take turns.
    parts = enumerate(_DIGITS.split(name))
    return [(int(part), "") if place % 2 else (-1, part) for place, part in parts]


def finite(value: float, path: Path, text: str) -> float:
    """``value``, rounded to what a float keeps.

    Raises:
        SensorError: ``garbage``: it is no finite number.
    """
    if not math.isfinite(value):
        shown = text if len(text) <= 40 else f"{text[:36]}..."  # noqa: PLR2004  # a line's worth
        raise SensorError(
            f"{path} reads '{shown}', which is no number that a sensor gives; `dmesg` may say more",
            reason="garbage",
        )
    return float(f"{value:.{_SIGNIFICANT}g}")


def several(things: Sequence[str], most: int = 10) -> str:
    """A list for a message, cut where it is long."""
    if not things:
        return "nothing"
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more


class KernelSensor(Sensor):
    """A sensor whose measurement is a read, which the kernel answers when it is done.

    `trigger` measures. What failed in passing is measured once more by `read`, after a pause that
    the poller spends on other sensors.
    """

    #: seconds until another try is worth it
    AGAIN_S: ClassVar[float] = 0.1

    def __init__(self, surroundings: Surroundings) -> None:
        self._files = Files.of(surroundings)
        self._measured: Sequence[Measurement] | None = None
        #: False where a channel failed twice: it then is not waited for until all are well
        self._again = True

    def trigger(self) -> float:
        """Measure, and keep it for `read`.

        Returns:
            0.0, or `AGAIN_S` if it failed in passing.

        Raises:
            SensorError: it failed otherwise.
        """
        self._measured = None
        try:
            measured = self._measure()
        except SensorError as error:
            if error.reason not in PASSING:
                raise
            return self.AGAIN_S
        passing = _is_passing(measured)
        if passing and self._again:
            return self.AGAIN_S
        self._measured, self._again = measured, not passing
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """What `trigger` measured, or what is measured now if that failed.

        Raises:
            SensorError: as the type's documentation says.
        """
        measured, self._measured = self._measured, None
        if measured is None:
            measured = self._measure()
            self._again = not _is_passing(measured)
        return measured

    def close(self) -> None:
        """Forget what was measured; nothing is held open."""
        self._measured, self._again = None, True

    @abc.abstractmethod
    def _measure(self) -> Sequence[Measurement]:
        """Find the device and read it, from the start: numbers and paths change over a plug-in.

        Raises:
            SensorError: it is not there, or cannot be read.
        """


def _is_passing(measured: Sequence[Measurement]) -> bool:
    return any(one.fault in PASSING for one in measured)


def parent_name(path: Path) -> str:
    """What the kernel calls the device that ``path`` belongs to: ``1-0076``; "" for none.

    In a class there is a link to it; on a bus it is the folder above.
    """
    # Path.resolve raises for links in a circle; realpath stops there.
    link = path / "device"
    above = (
        Path(os.path.realpath(link)) if link.is_symlink() else Path(os.path.realpath(path)).parent
    )
    return "" if above.name in {"iio", "hwmon", "devices"} else above.name
