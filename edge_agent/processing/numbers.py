"""What can be reckoned with, and the sums that filters, windows and anomalies share."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import TypeGuard

from edge_agent.types import Value


def is_number(value: Value) -> TypeGuard[float]:
    """Whether it is a number to reckon with: a switch and a word are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(number: float) -> bool:
    """Whether it is a number that a float can hold: Python's integers go further."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def to_millisecond(timestamp: float) -> float:
    """A time; more digits would be noise, and bytes on a metered link."""
    return round(timestamp, 3)


def tidy(value: float) -> float:
    """A float without the noise of the last digits, which costs bytes and says nothing: 2.4.

    Twelve significant digits are kept: more than any sensor has, and enough for any counter.
    """
    return float(f"{value:.12g}")


def median(ordered: Sequence[float]) -> float:
    """The middle of values in ascending order, or between the two in the middle.

    Args:
        ordered: one at least, all finite.
    """
    high = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[high]
    # Halved before they are added: the sum of two large numbers has no room.
    below, above = ordered[high - 1], ordered[high]
    middle = (below + above) / 2
    return middle if math.isfinite(middle) else below / 2 + above / 2


class SortedWindow:
    """The last values, in ascending order; taking one in costs a search and a shift."""

    def __init__(self, size: int) -> None:
        """``size``: how many are kept, 1 at least."""
        self.ordered: list[float] = []
        self._by_age: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self.ordered)

    def add(self, value: float) -> None:
        """Take one in; the oldest goes where there is no room."""
        if len(self._by_age) == self._by_age.maxlen:
            del self.ordered[bisect.bisect_left(self.ordered, self._by_age[0])]
        self._by_age.append(value)
        bisect.insort(self.ordered, value)

    def median(self) -> float:
        """The middle of what is there: one value at least."""
        return median(self.ordered)

    def finest_step(self) -> float:
        """The smallest distance between two different values; 0 where all are the same."""
        steps = (after - before for before, after in itertools.pairwise(self.ordered))
        return min((step for step in steps if step), default=0.0)
