"""The range of what a sensor can truly say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from edge_agent.options import Conflict, Number, option
from edge_agent.processing.numbers import is_number
from edge_agent.types import Value


@dataclasses.dataclass(frozen=True)
class Valid:
    """What a sensor can truly say: a value outside is a fault and is never sent as a value."""

    min: float | None = option(Number(), None, help="The least believable value.")
    max: float | None = option(Number(), None, help="The greatest believable value.")

    def holds(self, value: Value) -> bool:
        """Whether it is believable; switches and words always are."""
        if not is_number(value):
            return True
        too_low = self.min is not None and value < self.min
        return not too_low and not (self.max is not None and value > self.max)

    def __str__(self) -> str:
        """As a person would say it."""
        low = "" if self.min is None else f"from {self.min:g}"
        return f"{low}{'' if self.max is None else f' to {self.max:g}'}".strip()

    def conflicts(self) -> Iterator[Conflict]:
        """A range has room in it."""
        if self.min is not None and self.max is not None and self.min >= self.max:
            yield ("min", "max"), f"is {self.min:g}, which is not below max, {self.max:g}"
