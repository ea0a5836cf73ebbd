"""Kinds of value that what becomes of a reading is written with: margins, points, lists."""

from __future__ import annotations

import dataclasses
from typing import Any

from edge_agent.kinds import Kind, Number, Text

_NUMBER = r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][-+]?[0-9]{1,2})?"
_PERCENT = Text(rf"{_NUMBER} ?%", "a number like 0.5, or percent like '2%'")
_POINT = Text(rf" *{_NUMBER} *-> *{_NUMBER} *", "a point like '2.8 -> 0', what is measured first")
_AMOUNT = Number(least=0)
#: Far enough from what a float can hold that a line through two of them can be reckoned.
_COORDINATE = Number(-1e15, 1e15)


@dataclasses.dataclass(frozen=True, slots=True)
class Margin:
    """How far a value may move before it counts as another one."""

    #: in the value's unit, or in percent of the value before
    amount: float
    percent: bool = False

    def passed(self, before: float, value: float) -> bool:
        """Whether ``value`` is farther from ``before`` than this; just as far is not."""
        least = abs(before) * (self.amount / 100) if self.percent else self.amount
        return abs(value - before) > least

    def __str__(self) -> str:
        """As people write it."""
        text = Number().write(self.amount)
        return f"{text}%" if self.percent else text


@dataclasses.dataclass(frozen=True)
class MarginKind(Kind):
    """A `Margin`: ``0.5``, or ``"2%"`` of the value before."""

    noun = "a number, or percent as '2%'"

    def parse(self, written: Any) -> Margin:
        """The margin; it is not negative."""
        if not isinstance(written, str):
            return Margin(_AMOUNT.parse(written))
        return Margin(_AMOUNT.parse(float(_PERCENT.parse(written).rstrip(" %"))), percent=True)

    def schema(self) -> dict[str, Any]:
        """A number, or a text with a percent sign."""
        return {"anyOf": [_AMOUNT.schema(), _PERCENT.schema()]}

    def limits(self) -> str:
        """From nothing on."""
        return "from 0"


@dataclasses.dataclass(frozen=True)
class Point(Kind):
    """What is measured and what it means: ``2.8 -> 0``."""

    noun = "a text like '2.8 -> 0'"

    def parse(self, written: Any) -> tuple[float, float]:
        """Both numbers."""
        if not isinstance(written, str):
            raise ValueError(f"is not {_POINT.meaning}")
        measured, meant = map(float, _POINT.parse(written).split("->"))
        return _COORDINATE.parse(measured), _COORDINATE.parse(meant)

    def schema(self) -> dict[str, Any]:
        """A text with an arrow in it."""
        return _POINT.schema()

    def write(self, value: Any) -> str:
        """As people write it."""
        return " -> ".join(map(Number().write, value))


@dataclasses.dataclass(frozen=True)
class Several(Kind):
    """A list of one kind; where ``alone`` is set, a mapping stands for a list of just that."""

    of: Kind
    #: how many there are at least
    least: int = 0
    #: whether one may be written without a list around it
    alone: bool = False

    @property
    def noun(self) -> str:  # type: ignore[override]  # a plain text in most kinds, made up here
        """With the noun of what stands in it."""
        return (
            f"{self.of.noun}, or a list of such" if self.alone else f"a list, each {self.of.noun}"
        )

    def items(self, written: Any) -> list[Any]:
        """What stands in the list, as it was written.

        Raises:
            ValueError: it is no list, or too short a one.
        """
        listed = [written] if self.alone and isinstance(written, dict) else written
        if not isinstance(listed, list):
            raise ValueError("is no list; begin each item with '- '")
        if len(listed) < self.least:
            raise ValueError(f"has {len(listed)} items; {self.least} are needed at least")
        return listed

    def parse(self, written: Any) -> tuple[Any, ...]:
        """The values; the sentence is that of the first which is wrong."""
        return tuple(self.of.parse(item) for item in self.items(written))

    def schema(self) -> dict[str, Any]:
        """An array, or one that stands alone."""
        array = {"type": "array", "items": self.of.schema(), "minItems": self.least}
        return {"anyOf": [array, self.of.schema()]} if self.alone else array

    def write(self, value: Any) -> str:
        """As an inline YAML list."""
        return "[" + ", ".join(map(self.of.write, value)) + "]"

    def limits(self) -> str:
        """Those of what stands in it."""
        return self.of.limits()
