"""Which values are out of the ordinary: a robust z-score against the values before.

Source: B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers", ASQC, 1993: the modified
z-score 0.6745 (x - median) / MAD; MAD is the median of the absolute deviations from the median.
"""

from __future__ import annotations

import dataclasses

from edge_agent.options import Number, Whole, option
from edge_agent.processing.numbers import SortedWindow, is_number, median
from edge_agent.types import Value

#: The MAD of a normal distribution, in standard deviations.
_NORMAL_MAD = 0.6745
#: What a signal that has never moved may move without being out of the ordinary.
_STILL_SHARE = 0.01
#: Of a value; less is noise of the arithmetic, such as a mean that settles.
_LEAST_SHARE = 0.000_1
#: Scores beyond it are given as this: they say no more, and infinities do not travel.
MOST_SCORE = 1e6


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """When a value counts as out of the ordinary."""

    window: int = option(
        Whole(5, 10_000),
        60,
        help="How many values before it a value is compared with. Half of them must be there "
        "before anything is told.",
    )
    deviation: float = option(
        Number(0.1, 1000),
        4.0,
        help="From which score on, in standard deviations of usual values, one is an anomaly.",
    )


class AnomalyWatch:
    """Scores the values of one channel. Not for two threads at once.

    Values out of the ordinary are remembered like all others, so that a new level becomes ordinary
    when it has lasted for half the window. Faults are not remembered, and change nothing. After a
    restart it learns anew.
    """

    def __init__(self, settings: Anomaly) -> None:
        """With nothing learnt."""
        self._deviation = settings.deviation
        self._needed = (settings.window + 1) // 2
        self._window = SortedWindow(settings.window)

    def take(self, value: Value) -> float | None:
        """Judge a value by those before it, then remember it.

        Args:
            value: finite where it is a number; switches and words are not judged.

        Returns:
            the score of an anomaly, rounded to two decimals, negative where the value is too low;
            None where it is an ordinary value, or too little is known.
        """
        if not is_number(value):
            return None
        number = float(value)
        score = self._score(number) if len(self._window) >= self._needed else 0.0
        self._window.add(number)
        return round(score, 2) if abs(score) > self._deviation else None

    def _score(self, value: float) -> float:
        middle = self._window.median()
        scale = self._scale(middle)
        if not scale:
            return 0.0
        return max(-MOST_SCORE, min((value - middle) / scale, MOST_SCORE))

    def _scale(self, middle: float) -> float:
        """What a standard deviation of usual values would be; 0 where nothing is known of it.

        A MAD of 0 means that more than half of the values are the same, as those of a coarse or a
        still sensor are. Then it is the finest step the values made; where they never moved, one
        percent of what they are; and of a signal that was always 0 nothing can be said. It is never
        less than a ten-thousandth of the value.
        """
        ordered = self._window.ordered
        mad = median(sorted(abs(value - middle) for value in ordered))
        scale = mad / _NORMAL_MAD or self._window.finest_step() or abs(middle) * _STILL_SHARE
        return max(scale, abs(middle) * _LEAST_SHARE)
