"""A cold store on a day when much happens: what its probe would show, second for second."""

from __future__ import annotations

import random
from collections.abc import Iterable

from edge_agent.errors import SensorError
from edge_agent.types import Value

MINUTE_S, HOUR_S = 60.0, 3600.0
#: What the thermostat keeps it between, in degrees Celsius.
_COLDEST, _WARMEST = 3.0, 5.0
#: Where the temperature goes, and how soon in seconds: at an open door, with the compressor on,
#: off, and at night.
_OPEN, _COOLING, _IDLE, _HELD = (22.0, 360.0), (-6.0, 4200.0), (12.0, 4200.0), (4.0, 600.0)
#: The steps of the probe.
_STEP = 1 / 16

#: When the door stands open, from and to.
OPENINGS = [
    (6.50 * HOUR_S, 6.50 * HOUR_S + 45),
    (8.25 * HOUR_S, 8.25 * HOUR_S + 6 * MINUTE_S),
    (11.0 * HOUR_S, 11.0 * HOUR_S + 60),
    (14.25 * HOUR_S - 125, 14.25 * HOUR_S + 3 * MINUTE_S),
    (16.75 * HOUR_S, 16.75 * HOUR_S + 3 * MINUTE_S),
]
#: The night, in which a small compressor holds it where it is.
STILL = (0.0, 3.0 * HOUR_S)
#: When the thermostat sticks and the compressor runs on.
STUCK = (20.0 * HOUR_S, 20.9 * HOUR_S)
#: When the probe's cable is off: pulled just as an open door has made it too warm.
FAULT = (14.25 * HOUR_S, 15.0 * HOUR_S)
#: A warm hand is at the probe for three readings in four: beyond 8 degrees, and not for 30 s.
HAND = 12.5 * HOUR_S
#: Single readings that a radio nearby spoils.
SPIKES = {n * 2_290.0: 9.0 if n % 2 else -7.0 for n in range(5, 40)}


class ColdStore:
    """Its temperature over a day, and the probe in it. The same seed gives the same day."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._time = 0.0
        self._celsius = 4.0
        self._cooling = False

    def script(self, seconds: float) -> dict[str, Value] | SensorError:
        """What the probe shows at a time; asked in order of time."""
        self._pass_time(seconds)
        if FAULT[0] <= seconds < FAULT[1]:
            return SensorError("no answer", reason="nack")
        shown = self._celsius + self._random.gauss(0.0, 0.06) + _disturbed(seconds)
        return {"": round(shown / _STEP) * _STEP}

    def _pass_time(self, until: float) -> None:
        """A second at a time: each thing pulls the temperature towards its own."""
        while self._time < until:
            self._time += 1.0
            goal, time_constant_s = self._pull()
            self._celsius += (goal - self._celsius) / time_constant_s

    def _pull(self) -> tuple[float, float]:
        if _within(self._time, [STILL]):
            return _HELD
        if _within(self._time, OPENINGS):
            return _OPEN
        if self._celsius > _WARMEST or _within(self._time, [STUCK]):
            self._cooling = True
        elif self._celsius < _COLDEST:
            self._cooling = False
        return _COOLING if self._cooling else _IDLE


def _within(seconds: float, stretches: Iterable[tuple[float, float]]) -> bool:
    return any(begins <= seconds < ends for begins, ends in stretches)


def _disturbed(seconds: float) -> float:
    """What is not the air: a hand, a radio."""
    tick = round(seconds / 10.0) * 10.0
    hand = 6.0 if tick - HAND in (0.0, 10.0, 30.0) else 0.0
    return hand + SPIKES.get(tick, 0.0)
