"""A channel's filters, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_agent.processing.filters.base import Filter, Step
from edge_agent.processing.numbers import is_finite, is_number
from edge_agent.types import Value


class Chain:
    """The filters of one channel, with their memory. Not for two threads at once."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        """``filters``: in the order in which a value goes through them."""
        self._filters = filters
        self._steps: list[Step] = []
        self.reset()

    def step(self, value: Value, now: float) -> Value | None:
        """What comes out.

        Switches and words are no numbers to reckon with, and pass untouched. Integers stay integers
        in ``clamp``, ``delta``, ``throttle``, ``skip_initial``, ``round`` and a ``median`` of odd
        size; the others make floats of them.

        Args:
            value: what was measured.
            now: when it was measured, monotonic seconds; never less than before.

        Returns:
            a finite number, or None where a filter lets nothing pass; NaN where the value or a
            result is no finite number: a fault, which no later filter has seen.
        """
        if not is_number(value):
            return value
        return self._through(value, now)

    def reset(self) -> None:
        """Forget what was: after a fault, old and new values are not to be mixed."""
        self._steps = [each.begin() for each in self._filters]

    def _through(self, value: float, now: float) -> float | None:
        result: float | None = value if is_finite(value) else math.nan
        for step in self._steps:
            if result is None or math.isnan(result):
                break
            result = _finite(step, result, now)
        return result


def _finite(step: Step, value: float, now: float) -> float | None:
    """What a filter makes of a value; NaN where that is no finite number."""
    try:
        result = step.step(value, now)
    except OverflowError:
        return math.nan
    return result if result is None or is_finite(result) else math.nan
