"""Windows in time: many readings become a few that tell of them all.

Windows are aligned to the epoch, by the readings' own timestamps, and follow each other without
overlap. One is cut short where its readings would not belong together: by a fault, a step of the
clock, a stop; ``from`` and ``to`` then say what it covers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from edge_agent.processing.numbers import tidy
from edge_agent.types import SensorReading, Value

#: How long after its end a window waits for a reading measured in it: conversions and retries take
#: their time. A reading of a later window closes it at once.
LATE_S = 5.0
STATS = ("mean", "min", "max", "count", "last")
#: What can be told of words.
_OF_WORDS = ("count", "last")


class Statistics:
    """Gathers values in little memory, however many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = 0.0
        self._least: float = math.inf
        self._greatest: float = -math.inf
        self._last: Value = 0
        self._words = False

    def add(self, value: Value) -> None:
        """Take in a finite number, a switch (as 0 or 1) or a word."""
        self.count += 1
        self._last = value
        if isinstance(value, str):
            self._words = True
            return
        # Each is divided before they are subtracted, so nothing finite can overflow.
        self._mean += value / self.count - self._mean / self.count
        self._least = min(self._least, value)
        self._greatest = max(self._greatest, value)

    def told(self, stats: Sequence[str]) -> Mapping[str, Value]:
        """The statistics of these names; of words ``count`` and ``last``, or ``last`` at least."""
        values: dict[str, Value] = {
            # Between the least and the greatest, whatever rounding does.
            "mean": max(self._least, min(tidy(self._mean), self._greatest)),
            "min": self._least,
            "max": self._greatest,
            "count": self.count,
            "last": self._last,
        }
        if self._words:
            stats = [name for name in stats if name in _OF_WORDS] or ["last"]
        return {name: values[name] for name in stats}


@dataclasses.dataclass(slots=True)
class _Open:
    """A window that readings still go into."""

    #: how many such stretches have passed since the epoch
    number: int
    #: Unix seconds; the end is not part of it
    begins: float
    ends: float
    #: its end, monotonic seconds
    ends_at: float
    values: Statistics
    last: SensorReading


class Windows:
    """The windows of one channel, one open at a time. Not for two threads at once.

    Warning:
        The open window is in memory alone: `close` it before a stop. A power cut takes it.
    """

    def __init__(self, every_s: float, stats: Sequence[str]) -> None:
        """``every_s``: their length in seconds; ``stats``: what is told, of `STATS`."""
        self._every_s = every_s
        self._stats = stats
        self._open: _Open | None = None
        #: Unix seconds up to which windows have closed in time; the next one begins there
        self._covered: float | None = None

    def take(self, reading: SensorReading, now: float) -> list[SensorReading]:
        """Put a reading into its window.

        Args:
            reading: stamped, with a finite value.
            now: when it was measured, monotonic seconds.

        Returns:
            what is told of the window before, if this reading closes it; in the order configured.
        """
        told: list[SensorReading] = []
        number = math.floor(reading.timestamp / self._every_s)
        if self._open is not None:
            told = self._left(self._open, number, _clock(reading))
        if self._open is None:
            self._open = self._opened(number, reading, now)
        self._open.values.add(reading.value)
        self._open.last = reading
        return told

    def close(self, now: float) -> list[SensorReading]:
        """Tell of the open window, if there is one, as far as it has come by ``now``."""
        told = self._closed(in_time=self._open is not None and now >= self._open.ends_at)
        self._covered = None
        return told

    def due(self) -> float:
        """When the open window closes without another reading, monotonic seconds, or infinity."""
        return math.inf if self._open is None else self._open.ends_at + LATE_S

    def tick(self, now: float) -> list[SensorReading]:
        """Close the window by the clock, if it is `due`."""
        return self._closed(in_time=True) if now >= self.due() else []

    def _left(self, window: _Open, number: int, clock: object) -> list[SensorReading]:
        """Close the window if it is not the one of this number, or the clock's mark is another."""
        if _clock(window.last) != clock:
            return self._closed(in_time=False)
        if window.number != number:
            # To an earlier window it was the clock that went back.
            return self._closed(in_time=number > window.number)
        return []

    def _opened(self, number: int, reading: SensorReading, now: float) -> _Open:
        """A new window; after one that closed in time it is a whole one."""
        begins, ends = number * self._every_s, (number + 1) * self._every_s
        whole = self._covered is not None and begins >= self._covered
        since = begins if whole else reading.timestamp
        return _Open(number, since, ends, now + ends - reading.timestamp, Statistics(), reading)

    def _closed(self, *, in_time: bool) -> list[SensorReading]:
        window, self._open = self._open, None
        if window is None:
            return []
        to = window.ends if in_time else window.last.timestamp
        self._covered = to if in_time else None
        covered = {"from": window.begins, "to": to, "count": window.values.count}
        metadata = {**window.last.metadata, **covered}
        return [
            dataclasses.replace(
                window.last,
                sensor_name=f"{window.last.sensor_name}.{name}",
                timestamp=to,
                value=value,
                unit="count" if name == "count" else window.last.unit,
                metadata=metadata,
            )
            for name, value in window.values.told(self._stats).items()
        ]


def _clock(reading: SensorReading) -> object:
    """The mark of the clock it was stamped by."""
    return reading.metadata.get("clock")
