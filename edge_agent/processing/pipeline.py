"""From what a driver measured to what goes on the wire: names, labels, range, the clock's mark.

Pure functions: no clock, no state, no I/O.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.types import Measurement, Priority, SensorReading


@dataclasses.dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What becomes of one channel's values."""

    #: ``sensor_name`` on the wire
    public_name: str
    #: the least believable value, in the channel's unit; None: any
    least: float | None = None
    #: the greatest believable value
    most: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SensorPlan:
    """What becomes of one sensor's measurements."""

    #: the sensor's configured name
    name: str
    #: by the driver's channel name
    channels: Mapping[str, ChannelPlan]
    #: labels and the sensor's own metadata, together
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def names(self) -> set[str]:
        """Every name that a fault of this sensor may bear: its own and its channels'."""
        return {self.name, *(channel.public_name for channel in self.channels.values())}


@dataclasses.dataclass(frozen=True, slots=True)
class Shaped:
    """One thing that came of a measurement: a reading, or what it says of its channel, or both."""

    reading: SensorReading | None
    #: whose quality this tells of: the channel's public name
    name: str
    #: one word if the value is not to be believed; then there is no reading
    fault: str = ""
    #: the same in a sentence
    detail: str = ""
    priority: Priority = Priority.TELEMETRY
    #: whether it tells of the channel's quality at all: a window that ran out does not
    quality: bool = True


class SensorLine:
    """What one sensor's measurements go through, channel by channel."""

    def __init__(self, plan: SensorPlan) -> None:
        self._plan = plan
        #: whether there is something to be known again after a restart
        self.keeps_state = False
        #: whether the clock alone can bring a reading about
        self.is_timed = False

    def take(
        self, measurements: Iterable[Measurement], now: float, *, synchronized: bool
    ) -> list[Shaped]:
        """Shape what a driver returned.

        Args:
            measurements: stamped ones.
            now: monotonic seconds.
            synchronized: whether the clock they were stamped by is right; if not, they say so.
        """
        del now
        return [_shape_one(self._plan, measured, synchronized) for measured in measurements]

    def fail(self, now: float) -> list[Shaped]:
        """The sensor measured nothing: what its channels make of that."""
        del now
        return []

    def due(self) -> float:
        """Monotonic seconds at which `tick` is to be called; infinity where it need not be."""
        return float("inf")

    def tick(self, now: float, wall: float, *, synchronized: bool) -> list[Shaped]:
        """What the clock alone brings about: alarms and windows run out."""
        del now, wall, synchronized
        return []

    def state(self) -> Any:
        """What is to be known again after a restart, JSON-representable."""
        return None

    def restore(self, state: Any) -> None:
        """Know again what `state` returned before a restart; None where nothing is known."""


def marked(metadata: Mapping[str, Any], *, synchronized: bool) -> dict[str, Any]:
    """Metadata that says so if the clock was not right (no mark: it was)."""
    return dict(metadata) if synchronized else {**metadata, "clock": "unsynced"}


def _shape_one(plan: SensorPlan, measured: Measurement, synchronized: bool) -> Shaped:  # noqa: FBT001  # one caller
    default = ChannelPlan(f"{plan.name}.{measured.channel}" if measured.channel else plan.name)
    channel = plan.channels.get(measured.channel, default)
    fault = measured.fault or _fault(channel, measured.value)
    if fault or measured.timestamp is None:
        detail = measured.detail or "the value is outside what was declared valid"
        return Shaped(None, channel.public_name, fault or "no_time", detail)
    metadata = marked({**plan.metadata, **measured.metadata}, synchronized=synchronized)
    reading = SensorReading(
        channel.public_name, measured.timestamp, measured.value, measured.unit, metadata
    )
    return Shaped(reading, channel.public_name)


def _fault(channel: ChannelPlan, value: object) -> str:
    """One word if this is no believable value, else nothing."""
    if not isinstance(value, bool | int | float | str):
        return "garbage"
    if isinstance(value, bool | str):
        return ""
    if not _is_finite(value):
        return "garbage"
    too_low = channel.least is not None and value < channel.least
    too_high = channel.most is not None and value > channel.most
    return "range" if too_low or too_high else ""


def _is_finite(number: float) -> bool:
    """Whether it is a number that a float can hold: Python's integers go further."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
