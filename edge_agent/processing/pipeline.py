"""From what a driver measured to what goes on the wire: names, labels, the clock's mark, channels.

No I/O and no clock of its own: what depends on time is told what time it is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.processing.channel import ChannelLine, ChannelPlan, Outgoing, Quality, Shaped
from edge_agent.processing.numbers import to_millisecond
from edge_agent.types import Measurement

#: How many channels a sensor can have: each is remembered, and a driver may invent them for ever.
MOST_CHANNELS = 256


@dataclasses.dataclass(frozen=True, slots=True)
class SensorPlan:
    """What becomes of one sensor's measurements."""

    #: the sensor's configured name
    name: str
    #: by the driver's channel name
    channels: Mapping[str, ChannelPlan]
    #: labels and the sensor's own metadata, together
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def bears(self, name: str) -> bool:
        """Whether a fault of this name may be the sensor's own or one of its channels'.

        Where the channels are known only when the hardware is seen, they begin as the sensor does.
        """
        if not self.channels:
            return name == self.name or name.startswith(f"{self.name}.")
        return name in {self.name, *(channel.public_name for channel in self.channels.values())}


class SensorLine:
    """One sensor's channels at work. Not for two threads at once."""

    def __init__(self, plan: SensorPlan) -> None:
        """``plan``: as configured; nothing is remembered yet."""
        self._plan = plan
        self._lines = {name: ChannelLine(channel) for name, channel in plan.channels.items()}

    @property
    def keeps_state(self) -> bool:
        """Whether there is something to be known again after a restart."""
        return any(line.keeps_state for line in self._lines.values())

    def take(
        self, measurements: Iterable[Measurement], now: float, wall: float, *, synchronized: bool
    ) -> list[Shaped]:
        """Shape what a driver returned.

        Args:
            measurements: in the order of their times.
            now: when it returned them, monotonic seconds.
            wall: the same, Unix seconds: their time, less their age, where they have none.
            synchronized: whether the wall clock is right; if not, they say so.
        """
        mark = marked({}, synchronized=synchronized)
        told: list[Shaped] = []
        for measured in measurements:
            if measured.channel not in self._lines and len(self._lines) >= MOST_CHANNELS:
                told.append(self._too_many())
                continue
            metadata = {**self._plan.metadata, **measured.metadata, **mark}
            line = self._line(measured.channel)
            # Nothing is measured later than now; what came after it would count as that late.
            age_s = max(0.0, measured.age_s)
            told += line.take(measured, _time(measured, wall - age_s), metadata, now - age_s)
        return told

    def _too_many(self) -> Quality:
        detail = f"it has more than {MOST_CHANNELS} channels; those beyond are left out"
        return Quality(self._plan.name, "channels", detail)

    def fail(self, now: float) -> list[Outgoing]:
        """The sensor measured nothing: what its channels make of that."""
        return [told for line in self._lines.values() for told in line.fail(now)]

    def close(self, now: float) -> list[Outgoing]:
        """Tell what would be forgotten at a stop."""
        return [told for line in self._lines.values() for told in line.close(now)]

    def due(self) -> float:
        """Monotonic seconds at which `tick` is to be called; infinity where it need not be."""
        return min((line.due() for line in self._lines.values()), default=math.inf)

    def tick(self, now: float, wall: float, *, synchronized: bool) -> list[Outgoing]:
        """What the clock alone brings about: alarms and windows run out."""
        mark = marked({}, synchronized=synchronized)
        return [told for line in self._lines.values() for told in line.tick(now, wall, mark)]

    def state(self) -> Any:
        """What is to be known again after a restart, JSON-representable."""
        return {name: line.state() for name, line in self._lines.items() if line.keeps_state}

    def restore(self, state: Any, now: float, wall: float) -> None:
        """Know again what `state` returned before a restart; what it cannot have is passed over."""
        for name, kept in state.items() if isinstance(state, dict) else ():
            if name in self._lines:
                self._lines[name].restore(kept, now, wall)

    def _line(self, channel: str) -> ChannelLine:
        """The channel's; one that nobody configured gets the sensor's name before its own."""
        if channel not in self._lines:
            name = f"{self._plan.name}.{channel}" if channel else self._plan.name
            self._lines[channel] = ChannelLine(ChannelPlan(name))
        return self._lines[channel]


def _time(measured: Measurement, wall: float) -> float:
    """When it was measured: as the driver says, or ``wall``."""
    own = measured.timestamp
    return to_millisecond(wall) if own is None else own


def marked(metadata: Mapping[str, Any], *, synchronized: bool) -> dict[str, Any]:
    """Metadata that says so if the clock was not right (no mark: it was)."""
    return dict(metadata) if synchronized else {**metadata, "clock": "unsynced"}
