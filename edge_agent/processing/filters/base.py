"""What a filter is: its settings, and the object that does what they say."""

from __future__ import annotations

import abc
from typing import Protocol


class Step(Protocol):
    """A filter at work on one channel, with its memory."""

    def step(self, value: float, now: float) -> float | None:
        """What comes of a value.

        Args:
            value: a finite number.
            now: when it was measured, monotonic seconds; never less than before.

        Returns:
            a number, not necessarily a finite one; None: nothing passes.

        Raises:
            OverflowError: the result is no number that a float can hold.
        """


class Filter(abc.ABC):
    """The settings of one filter; a frozen dataclass."""

    __slots__ = ()

    @abc.abstractmethod
    def begin(self) -> Step:
        """The filter at work, with nothing in its memory."""


class PlainFilter(Filter):
    """A filter that remembers nothing, so that its settings can do the work."""

    __slots__ = ()

    def begin(self) -> Step:
        """Itself."""
        return self

    @abc.abstractmethod
    def step(self, value: float, now: float) -> float | None:
        """As `Step`."""
