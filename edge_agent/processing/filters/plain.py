"""Filters that look at one value alone: offset, multiply, clamp, round."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from edge_agent.options import Conflict, Flag, Number, Whole, option
from edge_agent.processing.filters.base import PlainFilter


@dataclasses.dataclass(frozen=True)
class Offset(PlainFilter):
    """Adds a number."""

    offset: float = option(Number(), help="What is added.")

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        """The sum."""
        return value + self.offset


@dataclasses.dataclass(frozen=True)
class Multiply(PlainFilter):
    """Multiplies by a number."""

    factor: float = option(Number(), help="What is multiplied by.")

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        """The product."""
        return value * self.factor


@dataclasses.dataclass(frozen=True)
class Clamp(PlainFilter):
    """Holds values within limits."""

    min_value: float | None = option(Number(), None, help="The least that leaves the filter.")
    max_value: float | None = option(Number(), None, help="The greatest that leaves the filter.")
    ignore_out_of_range: bool = option(
        Flag(), default=False, help="true: what lies outside is dropped. false: the limit is sent."
    )

    def conflicts(self) -> Iterator[Conflict]:
        """There is a limit, and there is room between two of them."""
        if self.min_value is None and self.max_value is None:
            yield ("min_value", "max_value"), "is missing, and so is max_value; clamp needs a limit"
        elif None not in (self.min_value, self.max_value) and self._low() > self._high():
            sentence = f"is {self.min_value:g}, which is above max_value, {self.max_value:g}"
            yield ("min_value", "max_value"), sentence

    def step(self, value: float, now: float) -> float | None:  # noqa: ARG002  # as every filter
        """The value where it lies within; an integer stays one."""
        held = max(self._low(), min(value, self._high()))
        if held == value:
            return value
        return None if self.ignore_out_of_range else held

    def _low(self) -> float:
        return float("-inf") if self.min_value is None else self.min_value

    def _high(self) -> float:
        return float("inf") if self.max_value is None else self.max_value


@dataclasses.dataclass(frozen=True)
class Round(PlainFilter):
    """Rounds to so many decimals; halves go to the even neighbour, as IEEE 754 has it."""

    decimals: int = option(Whole(0, 15), help="Digits after the point; 0 gives whole numbers.")

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        """The rounded value; with no decimals it is an integer."""
        return round(value, self.decimals or None)
