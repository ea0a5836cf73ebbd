"""Filters that let values through unchanged, or not at all: delta, throttle, skip_initial."""

from __future__ import annotations

import dataclasses

from edge_agent.options import Duration, Whole, option
from edge_agent.processing.filters.base import Filter, Step
from edge_agent.processing.kinds import Margin, MarginKind

_DAY_S = 86_400
#: A reading comes a little before or after its tick. Without some slack, a throttle of 60 s on a
#: sensor read every 30 s would wait for 90 s whenever a tick came a moment early.
_SLACK, _MOST_SLACK_S = 0.05, 0.5


@dataclasses.dataclass(frozen=True)
class Delta(Filter):
    """Lets a value pass that differs from the last one that passed."""

    margin: Margin = option(
        MarginKind(), help="How far from the last that passed; '2%' is a share of that."
    )

    def begin(self) -> Step:
        """The first value passes."""
        return _Delta(self.margin)


@dataclasses.dataclass(frozen=True)
class Throttle(Filter):
    """Lets a value pass when the last one that passed is long enough ago."""

    period_s: float = option(Duration(0, _DAY_S), help="The least time between two that pass.")

    def begin(self) -> Step:
        """The first value passes."""
        return _Throttle(self.period_s)


@dataclasses.dataclass(frozen=True)
class SkipInitial(Filter):
    """Drops the first values after a start or a fault, while a sensor warms up."""

    count: int = option(Whole(0, 10_000), help="How many are dropped.")

    def begin(self) -> Step:
        """With all of them still to come."""
        return _SkipInitial(self.count)


class _Delta:
    def __init__(self, margin: Margin) -> None:
        self._margin = margin
        self._last: float | None = None

    def step(self, value: float, now: float) -> float | None:  # noqa: ARG002  # as every filter
        if self._last is not None and not self._margin.passed(self._last, value):
            return None
        self._last = value
        return value


class _Throttle:
    def __init__(self, period_s: float) -> None:
        self._pause_s = period_s - min(period_s * _SLACK, _MOST_SLACK_S)
        self._next = float("-inf")

    def step(self, value: float, now: float) -> float | None:
        if now < self._next:
            return None
        self._next = now + self._pause_s
        return value


class _SkipInitial:
    def __init__(self, count: int) -> None:
        self._left = count

    def step(self, value: float, now: float) -> float | None:  # noqa: ARG002  # as every filter
        if not self._left:
            return value
        self._left -= 1
        return None
