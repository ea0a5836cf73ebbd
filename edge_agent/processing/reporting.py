"""Which readings are reported: those that say something new, or windows in place of them.

``deadband`` and ``heartbeat`` report single readings by exception, ``every`` statistics of windows.
Source: OPC 10000-4 (OPC UA, Services), 7.22.2, DataChangeFilter: against the last value that was
queued, strictly greater, and bypassed by a change of quality.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from edge_agent.options import Choice, Conflict, Duration, option
from edge_agent.processing.kinds import Margin, MarginKind, Several
from edge_agent.processing.numbers import is_finite, is_number
from edge_agent.processing.windows import STATS, Windows
from edge_agent.types import SensorReading, Value

_DAY_S = 86_400


@dataclasses.dataclass(frozen=True)
class Report:
    """What is reported of a channel's readings: all of them, if nothing is said."""

    deadband: Margin | None = option(
        MarginKind(),
        None,
        help="Reports a value that is farther than this from the last reported one ('2%' is a "
        "share of that; 0: any change), and the first good one after a fault.",
    )
    heartbeat_s: float | None = option(
        Duration(1, 7 * _DAY_S),
        None,
        help="With deadband: reports a value also when the last report is so long ago.",
    )
    every_s: float | None = option(
        Duration(1, _DAY_S),
        None,
        help="In place of the values statistics of each stretch of this length, counted from the "
        "epoch: 1min goes from full minute to full minute.",
    )
    stats: tuple[str, ...] = option(
        Several(Choice(STATS), least=1),
        (),
        help="With every: which statistics; absent: mean, min and max. Each is a reading of its "
        "own, NAME.mean and so on; of words there are last and count.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """What would have no effect."""
        if self.every_s is not None and self.deadband is not None:
            yield ("deadband", "every"), "is for single values, and every sends none; keep one"
        elif self.heartbeat_s is not None and self.deadband is None:
            yield ("heartbeat", "deadband"), "needs deadband beside it"
        if self.every_s is None and self.stats:
            yield ("stats", "every"), "needs every beside it"
        if len(set(self.stats)) < len(self.stats):
            yield ("stats",), "names one of them twice"

    def told_of_windows(self) -> tuple[str, ...]:
        """Which statistics there are of each window; none where values are reported."""
        return () if self.every_s is None else self.stats or ("mean", "min", "max")


class Reporter:
    """Decides what is reported of one channel. Not for two threads at once."""

    def __init__(self, settings: Report, interval_s: float) -> None:
        """Put it together, with nothing reported yet.

        Args:
            settings: as configured.
            interval_s: seconds between two readings; half of that early, a heartbeat is on time.
        """
        self._deadband = settings.deadband
        heartbeat_s = math.inf if settings.heartbeat_s is None else settings.heartbeat_s
        self._heartbeat_s = heartbeat_s - interval_s / 2
        every_s = settings.every_s
        self._windows = None if every_s is None else Windows(every_s, settings.told_of_windows())
        #: what was queued last, and when: Unix and monotonic seconds; None after a fault
        self._last: Value | None = None
        self._timestamp = 0.0
        self._queued_at = -math.inf
        #: whether what was queued before a restart is still what was queued last
        self._restorable = True

    def take(
        self, reading: SensorReading, now: float, *, queued: bool = False
    ) -> list[SensorReading]:
        """Take in a good reading.

        Args:
            reading: with its labels and its clock's mark.
            now: when it was measured, monotonic seconds; never less than before.
            queued: whether it is sent anyhow, for an alarm or as an anomaly: then it is no news
                any more, and is not among what is returned.

        Returns:
            what is to be sent, in this order: the reading, or what is told of a window it closed.
        """
        if self._windows:
            return self._windows.take(reading, now)
        if not (queued or self._is_news(reading.value, now)):
            return []
        self.note(reading, now)
        return [] if queued else [reading]

    def note(self, reading: SensorReading, now: float) -> None:
        """Take note of a reading that is sent although nobody measured it: the clock's."""
        self._restorable = False
        self._last, self._timestamp, self._queued_at = reading.value, reading.timestamp, now

    def fault(self, now: float) -> list[SensorReading]:
        """The channel is faulty: the next good reading is news, and no window holds both.

        Returns:
            what is told of the window that the fault cuts short.
        """
        self._restorable, self._last = False, None
        return self.close(now)

    def close(self, now: float) -> list[SensorReading]:
        """Cut the open window short, before a stop and at a step of the wall clock."""
        return self._windows.close(now) if self._windows else []

    def due(self) -> float:
        """When `tick` is to be called next, monotonic seconds; infinity: no need."""
        return self._windows.due() if self._windows else math.inf

    def tick(self, now: float) -> list[SensorReading]:
        """What is told of a window whose time is over by ``now``, monotonic seconds."""
        return self._windows.tick(now) if self._windows else []

    def state(self) -> dict[str, Any] | None:
        """What was queued last, for JSON; None: nothing that the next reading depends on."""
        if self._deadband is None or self._last is None:
            return None
        return {"value": self._last, "timestamp": self._timestamp}

    def restore(self, state: Any, now: float, wall: float) -> None:
        """Go on from what `state` gave before a restart, unless something came since.

        Args:
            state: anything; what `state` cannot have given is passed over.
            now: monotonic seconds.
            wall: Unix seconds; if they are not right yet, a heartbeat may come early, or late by
                no more than its length.
        """
        match state:
            case {"value": int() | float() | str() as value, "timestamp": int() | float() as then}:
                if (
                    self._restorable
                    and is_finite(then)
                    and (isinstance(value, str) or is_finite(value))
                ):
                    ago_s = wall - then
                    self._last, self._timestamp = value, then
                    self._queued_at = now - ago_s if ago_s >= 0 else -math.inf

    def _is_news(self, value: Value, now: float) -> bool:
        if self._deadband is None or self._last is None:
            return True
        if now - self._queued_at >= self._heartbeat_s:
            return True
        # (Said of the values, so that the checker knows it of them, too.)
        if not is_number(self._last) or not is_number(value):
            return type(value) is not type(self._last) or value != self._last
        return self._deadband.passed(self._last, value)
