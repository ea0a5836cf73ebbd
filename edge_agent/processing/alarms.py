"""Alarms: one transition when a value goes beyond a limit, and one when it is back.

Beyond means strictly: ``above: 8`` is entered by 8.1, and not by 8. It is cleared at once by a
value that is back by the hysteresis, without a wait: hysteresis is what flapping is met with.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

from edge_agent.options import Choice, Conflict, Duration, Number, option
from edge_agent.processing.numbers import is_finite
from edge_agent.types import Priority, Value

_DAY_S = 86_400
#: A value that comes so little before ``for`` runs out enters the alarm itself: measurements are
#: not on time to the millisecond, and else it would be told twice, by itself and by the clock.
_EARLY_S = 0.05
_PRIORITIES = (Priority.CRITICAL, Priority.ANOMALY, Priority.TELEMETRY)


@dataclasses.dataclass(frozen=True)
class Alarm:
    """A limit, and what is made of a value beyond it."""

    above: float | None = option(Number(), None, help="Entered by a value greater than this.")
    below: float | None = option(Number(), None, help="Entered by a value less than this.")
    hysteresis: float = option(
        Number(least=0), 0.0, help="How far a value must be back within the limit to clear it."
    )
    for_s: float = option(
        Duration(0, _DAY_S),
        0.0,
        help="How long values must stay beyond before it is entered; by the clock, also where no "
        "new value comes.",
    )
    priority: str = option(
        Choice(tuple(priority.word for priority in _PRIORITIES)),
        "critical",
        help="How urgent the readings are that tell of it.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """It has one limit."""
        if self.above is None and self.below is None:
            yield ("above", "below"), "is missing, and so is below; an alarm needs one of them"
        elif self.above is not None and self.below is not None:
            yield ("above", "below"), "is given together with below; make two alarms of them"

    @property
    def limit(self) -> float:
        """The value beyond which it is entered."""
        limit = self.below if self.above is None else self.above
        return math.nan if limit is None else limit

    def beyond(self, value: float) -> bool:
        """Whether the value would enter it."""
        return value > self.limit if self.above is not None else value < self.limit

    def back(self, value: float) -> bool:
        """Whether the value clears it."""
        if self.above is not None:
            return value <= self.limit - self.hysteresis
        return value >= self.limit + self.hysteresis

    def identity(self) -> dict[str, Any]:
        """What makes it the same alarm after a change of the configuration, for JSON."""
        return {"above": self.above, "below": self.below, "priority": self.priority}


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """An alarm was entered, or cleared."""

    alarm: Alarm
    #: False: it was cleared
    entered: bool
    #: the value that did it; where the clock did, the last one
    value: Value

    @property
    def priority(self) -> Priority:
        """How urgent the reading is."""
        return Priority[self.alarm.priority.upper()]

    def metadata(self) -> dict[str, Any]:
        """What the reading carries besides."""
        return {"alarm": "entered" if self.entered else "cleared", "limit": self.alarm.limit}


class Alarms:
    """The alarms of one channel. Not for two threads at once."""

    def __init__(self, alarms: Iterable[Alarm]) -> None:
        """``alarms``: as configured; none is entered."""
        self._watches = [_Watch(alarm) for alarm in alarms]
        #: entered before a restart, and no longer configured
        self._gone: list[Alarm] = []

    def take(self, value: Value, now: float) -> list[Transition]:
        """Look at a value.

        Args:
            value: a believable one; words enter no alarm, switches count as 0 and 1.
            now: when it was measured, monotonic seconds; never less than before.

        Returns:
            what it changed, and what the clock had changed by ``now``, in the order of the
            configuration. An alarm whose ``for`` is over by then is entered by this value if that
            is beyond its limit, too, and else by the last one that was.
        """
        changes = [Transition(alarm, entered=False, value=value) for alarm in self._gone]
        self._gone = []
        if isinstance(value, str) or not is_finite(value):
            return changes + self.tick(now)
        return changes + [change for watch in self._watches for change in watch.take(value, now)]

    def fault(self) -> None:
        """The value is not known for now: what was entered stays so, what was on its way is not.

        An alarm whose ``for`` was running begins anew with the first value after the fault.
        """
        for watch in self._watches:
            watch.since = None

    def due(self) -> float:
        """When `tick` is to be called next, monotonic seconds; infinity: no need."""
        return min((watch.due() for watch in self._watches), default=math.inf)

    def tick(self, now: float) -> list[Transition]:
        """Enter the alarms whose ``for`` has run out by ``now``, monotonic seconds."""
        return [change for watch in self._watches for change in watch.tick(now)]

    def state(self) -> list[dict[str, Any]]:
        """Which are entered, for JSON; kept over a restart."""
        entered = [watch.alarm for watch in self._watches if watch.entered]
        return [alarm.identity() for alarm in (*entered, *self._gone)]

    def restore(self, state: Any) -> None:
        """Go on from what `state` gave before a restart.

        One that is no longer configured with this limit and priority is cleared, with the next
        value: the far end would wait for that for ever. What `state` cannot have given is passed
        over.
        """
        for entry in state if isinstance(state, list) else []:
            same = [watch for watch in self._watches if watch.alarm.identity() == entry]
            # One entry, one alarm: another with this limit may have been waiting still.
            for watch in [watch for watch in same if not watch.entered][:1]:
                watch.entered, watch.since = True, None
            if not same:
                self._gone += _remembered(entry)


class _Watch:
    """One alarm, and where it stands."""

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm
        self.entered = False
        #: monotonic seconds since which values have been beyond the limit, while not yet entered
        self.since: float | None = None
        #: the last value beyond the limit
        self._value: float = math.nan

    def take(self, value: float, now: float) -> Iterator[Transition]:
        beyond = self.alarm.beyond(value)
        if beyond:
            self._value = value
            if not self.entered and self.since is None:
                self.since = now
        yield from self.tick(now + _EARLY_S if beyond else now)
        if self.entered and self.alarm.back(value):
            self.entered = False
            yield Transition(self.alarm, entered=False, value=value)
        elif not beyond:
            self.since = None

    def due(self) -> float:
        return math.inf if self.since is None else self.since + self.alarm.for_s

    def tick(self, now: float) -> Iterator[Transition]:
        if now >= self.due():
            self.entered, self.since = True, None
            yield Transition(self.alarm, entered=True, value=self._value)


def _remembered(entry: Any) -> Iterator[Alarm]:
    """The alarm that an identity tells of, if it is one."""
    try:
        alarm = Alarm(above=entry["above"], below=entry["below"], priority=entry["priority"])
        if alarm.priority in {p.word for p in _PRIORITIES} and is_finite(alarm.limit):
            yield alarm
    except (KeyError, TypeError):
        return
