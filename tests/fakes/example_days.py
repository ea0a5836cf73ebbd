"""What the sensors of the shipped examples show: a quiet day, and then the trouble they are for."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

from edge_agent.types import Value
from fakes.played import Script

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0

#: A value at a time, in seconds since the start, which is a midnight.
Course = Callable[[float], float]


class Contact:
    """A contact that changes at given times, told as its driver tells it."""

    def __init__(self, *changes: float, repeat_s: float) -> None:
        """``changes``: when it goes from 0 to 1 and back, in turns."""
        self.changes = changes
        self._repeat_s = repeat_s
        self._said: int | None = None
        self._said_at = -math.inf

    def __call__(self, seconds: float) -> Mapping[str, Value]:
        state = sum(change <= seconds for change in self.changes) % 2
        if state == self._said and seconds - self._said_at < self._repeat_s:
            return {}
        self._said, self._said_at = state, seconds
        return {"": state}


class Meter:
    """A meter whose total grows by a rate."""

    def __init__(self, rate: Course, per_s: float) -> None:
        """``rate``: units in ``per_s`` seconds."""
        self._rate, self._per_s = rate, per_s
        self._total = self._then = 0.0

    def __call__(self, seconds: float) -> Mapping[str, Value]:
        passed_s, self._then = seconds - self._then, seconds
        rate = self._rate(seconds)
        self._total += rate * passed_s / self._per_s
        told = {"total": round(self._total, 3)}
        return {**told, "rate": round(rate, 3)} if passed_s else told


def values(noise: float = 0.0, digits: int = 3, **courses: Course) -> Script:
    """Channels that follow their courses, each with some noise; ``_`` is the only one's."""
    chance = random.Random(1)
    named = {name.strip("_"): course for name, course in courses.items()}
    return lambda seconds: {
        name: round(course(seconds) + chance.gauss(0.0, noise), digits)
        for name, course in named.items()
    }


def wave(middle: float, amplitude: float, period_s: float = DAY_S, phase: float = 0.0) -> Course:
    """Up and down; over a day it is lowest at six and highest at eighteen o'clock."""
    return lambda seconds: middle - amplitude * math.sin(math.tau * (seconds / period_s - phase))


def then(usual: Course, *troubles: tuple[float, float, float]) -> Course:
    """A course, but for stretches from and to in seconds, in which it is at another value."""

    def course(seconds: float) -> float:
        for begins, ends, value in troubles:
            if begins <= seconds < ends:
                return value
        return usual(seconds)

    return course


def at(value: float) -> Course:
    """Always the same."""
    return lambda _seconds: value


def sun(most: float) -> Course:
    """Dark from eighteen to six o'clock, brightest at noon."""
    return lambda seconds: most * max(0.0, -math.cos(math.tau * seconds / DAY_S))


def fridge_and_door() -> Mapping[str, Script]:
    """Too warm an hour after the second midnight, frost at two; the door opens often."""
    opened = [hour * HOUR_S + minute for hour in range(8, 18) for minute in (0.0, 45.0)]
    long = [DAY_S + 4 * HOUR_S, DAY_S + 4 * HOUR_S + 180.0]
    fridge = then(
        wave(4.5, 0.7, 40 * MINUTE_S),
        (DAY_S + HOUR_S, DAY_S + HOUR_S + 4 * MINUTE_S, 8.6),
        (DAY_S + 2 * HOUR_S, DAY_S + 2.5 * HOUR_S, 9.0),
        (DAY_S + 3 * HOUR_S, DAY_S + 3.2 * HOUR_S, 1.0),
    )
    thaws = ((n * 12 * HOUR_S, n * 12 * HOUR_S + 900.0, -14.0) for n in (0.3, 1.3))
    return {
        "temp.fridge": values(0.05, _=fridge),
        "temp.freezer": values(0.05, _=then(wave(-19.0, 1.0, HOUR_S), *thaws)),
        "door.fridge": Contact(*opened, *long, repeat_s=HOUR_S),
    }


def van_lte() -> Mapping[str, Script]:
    """A stop of six minutes with a warm door, then the cooling fails; the battery goes flat."""
    stops = [hour * HOUR_S + minute for hour in range(7, 17) for minute in (0.0, 240.0)]
    cargo = then(
        wave(4.0, 0.5, HOUR_S),
        (DAY_S + HOUR_S, DAY_S + HOUR_S + 6 * MINUTE_S, 9.0),
        (DAY_S + 2 * HOUR_S, DAY_S + 3 * HOUR_S, 9.0),
    )
    battery = then(
        wave(13.2, 0.6),
        (DAY_S + HOUR_S, DAY_S + HOUR_S + 60.0, 9.5),
        (DAY_S + 2 * HOUR_S, DAY_S + 3 * HOUR_S, 11.2),
    )
    names = ("load", "cpu_busy", "cpu_temperature", "memory_used")
    more = ("disk_used", "uptime", "network_received", "network_sent")
    return {
        "cargo": values(0.05, temperature=cargo, humidity=wave(60.0, 8.0)),
        "battery": values(0.02, voltage=battery, current=wave(1.2, 0.5), power=wave(15.0, 5.0)),
        "door.rear": Contact(*stops, repeat_s=2 * HOUR_S),
        "modem": values(0.1, **{name: at(40.0) for name in (*names, *more)}),
    }


def greenhouse() -> Mapping[str, Script]:
    """Frost, a dry bed, and a hose that comes off; it is watered for half an hour each day."""
    warm = then(wave(21.0, 8.0), (DAY_S + HOUR_S, DAY_S + 2 * HOUR_S, 1.5))
    damp = wave(72.0, -15.0)
    tomatoes = then(wave(2.0, 0.05), (DAY_S + HOUR_S, DAY_S + 4 * HOUR_S, 2.5))
    flow = then(
        at(0.0), (7 * HOUR_S, 7.5 * HOUR_S, 8.0), (DAY_S + HOUR_S, DAY_S + 4 * HOUR_S, 12.0)
    )
    return {
        "climate": values(0.05, temperature=warm, humidity=damp, pressure=wave(1013.0, 3.0)),
        "beds": values(0.05, temperature=wave(19.0, 6.0), humidity=damp),
        "soil": values(0.004, 5, a0=tomatoes, a1=wave(1.9, 0.05)),
        "light": values(0.0, 2, _=sun(80_000.0)),
        "water": Meter(flow, 60.0),
    }


def solar_mast_2g() -> Mapping[str, Script]:
    """A flat battery, and a storm; on a quiet day it charges at noon and the wind blows."""
    battery = then(wave(13.0, 0.7), (DAY_S + HOUR_S, DAY_S + 2 * HOUR_S, 11.2))
    chance = random.Random(2)
    breeze = then(
        lambda seconds: max(0.0, 6.0 + 3.0 * math.sin(seconds / 700.0) + chance.gauss(0.0, 2.0)),
        (DAY_S + HOUR_S, DAY_S + HOUR_S + 20.0, 33.0),
        (DAY_S + 2 * HOUR_S, DAY_S + 3 * HOUR_S, 33.0),
    )
    return {
        "battery": values(0.02, voltage=battery, current=wave(0.4, 0.9), power=wave(5.0, 12.0)),
        "temp.battery": values(0.06, _=wave(18.0, 9.0)),
        "wind": Meter(breeze, 1.0),
    }


def classroom_air() -> Mapping[str, Script]:
    """A quiet day is one with an open window; on the next one it stays shut for three hours."""
    stale = (
        (DAY_S + HOUR_S, DAY_S + 3 * HOUR_S, 1500.0),
        (DAY_S + 3 * HOUR_S, DAY_S + 4 * HOUR_S, 2300.0),
    )
    co2 = then(wave(650.0, 200.0, 2 * HOUR_S), *stale)
    return {"air": values(3.0, 0, co2=co2, temperature=wave(21.0, 2.0), humidity=wave(45.0, 5.0))}


DAYS: Mapping[str, Callable[[], Mapping[str, Script]]] = {
    "classroom_air": classroom_air,
    "fridge_and_door": fridge_and_door,
    "greenhouse": greenhouse,
    "solar_mast_2g": solar_mast_2g,
    "van_lte": van_lte,
}


def edges(scripts: Mapping[str, Script]) -> Sequence[tuple[str, float]]:
    """Whose contact changes when."""
    return [
        (name, change)
        for name, script in scripts.items()
        if isinstance(script, Contact)
        for change in script.changes
    ]
