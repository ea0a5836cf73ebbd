"""The contract every driver keeps, and what it is given to work with.

A driver is one file: an options dataclass, the channels it measures, and `Sensor` with three
methods. It imports its hardware library when that is first needed, never when it is imported.
"""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from edge_agent.errors import SensorError
from edge_agent.types import Measurement


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One quantity a driver measures."""

    #: ``temperature``; ``""`` where the sensor has just one
    name: str
    #: the word for its unit, ``celsius``
    unit: str


class BusLike(Protocol):
    """What a driver may ask of an I2C bus; `i2c.Bus` keeps it.

    Every call raises `BusError`, with a one-word ``reason``, when the transfer failed; it has been
    tried again by then.
    """

    @property
    def name(self) -> str:
        """``i2c-1``: the same however the bus was named in the configuration."""

    def read_register(self, address: int, register: int, length: int) -> bytes:
        """``length`` bytes (1 to 32) from ``register``, in the order they came over the wire."""

    def write_register(self, address: int, register: int, data: bytes) -> None:
        """Write ``data`` (0 to 31 bytes) to ``register``."""

    def write(self, address: int, data: bytes) -> None:
        """One plain write ending in a STOP: a command to a chip that has no registers."""

    def read(self, address: int, length: int) -> bytes:
        """One plain read of ``length`` bytes, a transfer of its own."""


# A file of sysfs holds one page at the most (Linux Documentation/filesystems/sysfs.rst); the
# largest page is 64 KiB.
_PAGE_BYTES = 65_536


def read_file(path: Path) -> bytes:
    """What one read(2) of a file of /proc or /sys gives: the kernel makes it anew for each.

    Raises:
        OSError: it cannot be opened or read.
    """
    with path.open("rb", buffering=0) as file:
        return file.read(_PAGE_BYTES) or b""


def unless_all_failed(measured: Sequence[Measurement]) -> Sequence[Measurement]:
    """``measured``, if one of its channels at least has a value.

    Raises:
        SensorError: none has; with the first one's reason and sentence.
    """
    if all(one.fault for one in measured):
        raise SensorError(measured[0].detail, reason=measured[0].fault)
    return measured


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a driver gets from outside, so that a test can put a fake in its place."""

    #: gives bus N, or the one at a path; every driver on it gets the same object
    bus: Callable[[int | str], BusLike]
    #: where /proc, /sys and the disks are: ``/`` but in tests
    root: Path = Path("/")
    #: the content of a file of sysfs; `OSError` where it cannot be had
    read_file: Callable[[Path], bytes] = read_file
    #: waits that many seconds, for the few milliseconds a driver may wait itself
    sleep: Callable[[float], None] = time.sleep
    #: seconds that never go back
    monotonic: Callable[[], float] = time.monotonic
    #: a driver says that it has something to be read now and not at the next tick; from any thread
    announce: Callable[[Sensor], None] = lambda _sensor: None


class Sensor(abc.ABC):
    """One configured sensor.

    All methods are called by one reader thread, that of `bus_name`, never two at a time.
    None of them sleeps for longer than a few milliseconds: a conversion's wait is returned by
    `trigger` and spent by the poller on other sensors. What the kernel itself waits for (a 1-wire
    conversion) holds up this reader thread and no other.

    What happens by itself (an edge on a pin) is told by `Surroundings.announce`, from whatever
    thread; `trigger` and `read` follow at once, at most 20 times a second.
    """

    #: the frozen dataclass, made with `edge_agent.options.option`, that the configuration is
    #: checked by; I2C drivers call the two settings that place them ``bus`` and ``address``
    Options: ClassVar[type]

    #: where channels have options of their own, the frozen dataclass of one channel's, each with
    #: a default. `Options` then has a plain field ``channels``, an empty dict by default, which is
    #: given the options of each channel that is written, by its name.
    ChannelOptions: ClassVar[type | None] = None

    #: whether a total or the like must outlive a restart: then `restore` is called once, before
    #: everything else or as soon as the queue can be read, and `state` after each `read`
    keeps_state: ClassVar[bool] = False

    #: whether it watches what happens by itself, which it misses until `trigger` is first called
    watches: ClassVar[bool] = False

    #: which reader thread it shares, because they share a wire: ``i2c-1``, ``sysfs``
    bus_name: str
    #: what `read` may return, in order; fixed once it is built. Empty where that is known only when
    #: the hardware is seen: then any named channel with any unit.
    channels: tuple[Channel, ...]

    @abc.abstractmethod
    def __init__(self, options: Any, surroundings: Surroundings) -> None:
        """Keep what is given and touch no hardware: a sensor that is absent is a fault later.

        Args:
            options: an instance of `Options`.
            surroundings: buses, files and time.
        """

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        """What the configuration may name under ``channels``, known without touching hardware.

        Args:
            options: an instance of `Options`; a driver whose channels depend on it overrides this.

        Returns:
            the names in the order of `channels`; ``("",)`` for a sensor of one channel, none where
            they are known only when the hardware is seen and the configuration names none.
        """
        del options
        return tuple(channel.name for channel in cls.channels)

    @abc.abstractmethod
    def trigger(self) -> float:
        """Start a measurement, and set the chip up first if that was not done or was undone.

        Returns:
            seconds until `read` may be called; 0.0 where nothing has to be waited for.

        Raises:
            SensorError: with a one-word ``reason``; the measurement is missed.
        """

    @abc.abstractmethod
    def read(self) -> Sequence[Measurement]:
        """What was measured, finite and in the channel's unit: mostly one per channel.

        A channel may have nothing to say, and what happened by itself since the last call is
        several, oldest first, each with its age. A value that the chip shows only at power-on or in
        saturation is no measurement: it raises, or, where other channels are well, the channel's
        measurement bears the fault.

        Raises:
            SensorError: with a one-word ``reason``; nothing of this measurement is kept.
        """

    def restore(self, state: Any) -> None:
        """Go on from what `state` said before the restart; only where `keeps_state` is true.

        What was counted since it was built is added. Until this is called the driver counts and
        `read` returns nothing. It is called again, with the same, where `trigger` or `read` failed
        right after it.

        Args:
            state: what `state` returned, after a way through JSON; None if there never was any.
        """
        del state

    def state(self) -> Any:
        """What must outlive a restart, JSON-representable; only where `keeps_state` is true.

        It is stored in one commit with what the last `read` returned, and is asked for once more
        after `close` when the agent stops.
        """
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Forget the set-up and let go of what is held; never raises.

        `trigger` may follow and starts anew: that is how a sensor comes back from a brown-out.
        """
