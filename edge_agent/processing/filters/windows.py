"""Filters over the last values: median, moving_average, exponential_moving_average.

ESPHome sends every fifth value of a median unless it is told otherwise. Here ``send_every`` is 1: a
filter that smooths must not drop readings that nobody asked it to drop.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator

from edge_agent.options import Conflict, Number, Whole, option
from edge_agent.processing.filters.base import Filter, Step
from edge_agent.processing.numbers import SortedWindow

_SIZE = Whole(1, 1000)
_SIZE_HELP = "How many values it looks back over, the newest included."


@dataclasses.dataclass(frozen=True)
class _Window(Filter):
    """How many values a filter looks at."""

    window_size: int = option(_SIZE, 5, help=_SIZE_HELP)


@dataclasses.dataclass(frozen=True)
class _Weight(Filter):
    """How much the newest value weighs."""

    alpha: float = option(
        Number(0.000_001, 1), 0.1, help="The weight of the newest value; the rest has the others."
    )


@dataclasses.dataclass(frozen=True)
class _Sending(Filter):
    """How many of the results pass."""

    send_every: int = option(
        Whole(1, 10_000), 1, help="Only every so many-th result passes; 1: each."
    )
    send_first_at: int = option(
        Whole(1, 10_000), 1, help="Which result passes first; not above send_every."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """The first passes no later than the others follow each other."""
        if self.send_first_at > self.send_every:
            sentence = f"is {self.send_first_at}, which is above send_every, {self.send_every}"
            yield ("send_first_at", "send_every"), sentence


@dataclasses.dataclass(frozen=True)
class Median(_Sending, _Window):
    """The median of the last values: single outliers vanish."""

    def begin(self) -> Step:
        """With an empty window."""
        return _Sent(self, _Median(self.window_size))


@dataclasses.dataclass(frozen=True)
class MovingAverage(_Sending, _Window):
    """The mean of the last values (ESPHome: sliding_window_moving_average)."""

    window_size: int = option(_SIZE, 15, help=_SIZE_HELP)

    def begin(self) -> Step:
        """With an empty window."""
        return _Sent(self, _Mean(self.window_size))


@dataclasses.dataclass(frozen=True)
class ExponentialMovingAverage(_Sending, _Weight):
    """The mean of all values, older ones weighing less and less."""

    def begin(self) -> Step:
        """The first value is the first mean."""
        return _Sent(self, _Exponential(self.alpha))


class _Sent:
    """Lets pass what is due of another filter's results."""

    def __init__(self, sending: _Sending, inner: Step) -> None:
        self._every = sending.send_every
        self._missing = sending.send_first_at
        self._inner = inner

    def step(self, value: float, now: float) -> float | None:
        result = self._inner.step(value, now)
        self._missing -= 1
        if self._missing:
            return None
        self._missing = self._every
        return result


class _Median:
    def __init__(self, size: int) -> None:
        self._window = SortedWindow(size)

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        self._window.add(value)
        return self._window.median()


class _Mean:
    def __init__(self, size: int) -> None:
        self._window: deque[float] = deque(maxlen=size)

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        self._window.append(value)
        return math.fsum(self._window) / len(self._window)


class _Exponential:
    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._mean: float | None = None

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        before = value if self._mean is None else self._mean
        self._mean = self._alpha * value + (1 - self._alpha) * before
        return self._mean
