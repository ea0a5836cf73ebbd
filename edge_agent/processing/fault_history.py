"""How often each sensor was faulty, and when last: what is known of its past, over restarts.

Who is faulty now, and who flaps, is the business of `faults`; this one only writes down.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator
from typing import Any

#: The last faults of a sensor of which beginning, end and reason are kept, and those that go on
#: besides; all are counted.
KEPT = 5


@dataclasses.dataclass(slots=True)
class Moment:
    """A time of the wall clock."""

    unix: float
    #: whether the clock was right; if it was not, the time moves when the clock is set
    sure: bool


@dataclasses.dataclass(slots=True)
class Fault:
    """One of a sensor, or of a channel of it."""

    #: the sensor's name, or the channel's public one
    name: str
    reason: str
    began: Moment
    #: None: it goes on
    ended: Moment | None = None


@dataclasses.dataclass(slots=True)
class Past:
    """Of one sensor."""

    #: since when its faults are counted: since it was first configured
    since: Moment
    total: int = 0
    last: list[Fault] = dataclasses.field(default_factory=list)


class FaultHistory:
    """Counts faults, sensor by sensor. Written by one thread; `told` is for any."""

    def __init__(self) -> None:
        self._pasts: dict[str, Past] = {}
        #: sensors of which is known what was written down before the restart
        self.restored: set[str] = set()

    def began(self, sensor: str, name: str, reason: str, now: Moment) -> None:
        """A fault began."""
        past = self._pasts.setdefault(sensor, Past(dataclasses.replace(now)))
        past.total += 1
        past.last = _kept([*past.last, Fault(name, reason, now)])

    def ended(self, sensor: str, name: str, now: Moment) -> None:
        """It is over."""
        past = self._pasts.get(sensor)
        for fault in past.last if past else ():
            if fault.name == name and fault.ended is None:
                fault.ended = now

    def end_others(self, sensor: str, faulty: Collection[str], now: Moment) -> None:
        """Of these names alone the faults go on."""
        for fault in self._pasts[sensor].last:
            if fault.ended is None and fault.name not in faulty:
                fault.ended = now

    def correct(self, wall_step_s: float) -> None:
        """The clock was set for the first time: what it said before moves with it."""
        for moment in self._moments():
            if not moment.sure:
                moment.unix, moment.sure = moment.unix + wall_step_s, True

    def restore(self, sensor: str, state: Any, now: Moment) -> None:
        """Know again what was told before a restart; what happened since counts too.

        Args:
            sensor: its name.
            state: as `told` told it; anything else, and the count begins now.
            now: the present time.
        """
        noted = self._pasts.get(sensor, Past(now))
        with contextlib.suppress(KeyError, TypeError):
            past = _past(state)
            past.total += noted.total
            past.last = _kept([*past.last, *noted.last])
            noted = past
        self._pasts[sensor] = noted
        self.restored.add(sensor)

    def told(self, sensor: str) -> dict[str, Any]:
        """A sensor's past, JSON-representable: how many faults since when, and the last of them."""
        past = self._pasts.get(sensor)
        if past is None:
            return {"since": None, "total": 0, "last": []}
        last = [
            {
                "name": fault.name,
                "reason": fault.reason,
                "from": fault.began.unix,
                "to": fault.ended and fault.ended.unix,
            }
            for fault in past.last
        ]
        return {"since": past.since.unix, "total": past.total, "last": last}

    def _moments(self) -> Iterator[Moment]:
        for past in self._pasts.values():
            yield past.since
            for fault in past.last:
                yield fault.began
                if fault.ended is not None:
                    yield fault.ended


def _kept(faults: list[Fault]) -> list[Fault]:
    """The last ones, and those that go on."""
    surplus = len(faults) - KEPT
    old = [number for number, fault in enumerate(faults) if fault.ended][: max(surplus, 0)]
    return [fault for number, fault in enumerate(faults) if number not in old]


def _past(told: Any) -> Past:
    """Of one sensor, as `FaultHistory.told` told it; its times cannot be corrected any more."""
    last = [
        Fault(
            fault["name"],
            fault["reason"],
            Moment(fault["from"], sure=True),
            None if fault["to"] is None else Moment(fault["to"], sure=True),
        )
        for fault in told["last"]
    ]
    return Past(Moment(told["since"], sure=True), told["total"], last)
