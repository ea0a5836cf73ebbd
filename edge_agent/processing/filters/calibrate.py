"""calibrate_linear: what is measured becomes what it means, by points that are known."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from edge_agent.options import Choice, Conflict, option
from edge_agent.processing.filters.base import Filter, Step
from edge_agent.processing.kinds import Point, Several

#: The two points that a straight line goes through.
Line = tuple[tuple[float, float], tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class CalibrateLinear(Filter):
    """Maps what is measured to what it means, along one line or from point to point."""

    datapoints: tuple[tuple[float, float], ...] = option(
        Several(Point(), least=2), help="What is measured, and what it means, in any order."
    )
    method: str = option(
        Choice(("least_squares", "exact")),
        "least_squares",
        help="least_squares: the one line nearest to all points. exact: from point to point; "
        "beyond the ends the outer lines go on. With two points they are the same.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """One measured value cannot mean two things."""
        measured = sorted(point[0] for point in self.datapoints)
        for one, other in itertools.pairwise(measured):
            if one == other:
                yield ("datapoints",), f"says twice what {one:g} means; keep one"
                return

    def begin(self) -> Step:
        """The line, or the lines."""
        points = sorted(self.datapoints)
        exact = self.method == "exact" or len(points) == 2  # noqa: PLR2004  # two points, one line
        lines = list(itertools.pairwise(points)) if exact else [nearest_line(points)]
        return _Lines(lines)


def nearest_line(points: Sequence[tuple[float, float]]) -> Line:
    """Two points of the straight line with the least squared error.

    Args:
        points: at least two, with different measured values, in ascending order.

    Source: linear regression, as in Python's ``statistics.linear_regression``; kept as points, so
    that no large intercept takes digits away.
    """
    first, last = points[0][0], points[-1][0]
    # From 0 to 1, so that no square of a small distance comes to nothing.
    shares = [(x - first) / (last - first) for x, _ in points]
    mean_x = math.fsum(shares) / len(points)
    mean_y = math.fsum(y for _, y in points) / len(points)
    spread = math.fsum((x - mean_x) ** 2 for x in shares)
    pairs = zip(shares, points, strict=True)
    rise = math.fsum((x - mean_x) * (y - mean_y) for x, (_, y) in pairs) / spread
    return (first, mean_y - rise * mean_x), (last, mean_y + rise * (1 - mean_x))


class _Lines:
    """From point to point, each line with its two ends."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._bends = [end[0] for _, end in lines[:-1]]

    def step(self, value: float, now: float) -> float:  # noqa: ARG002  # as every filter
        (x0, y0), (x1, y1) = self._lines[bisect.bisect_left(self._bends, value)]
        share = (value - x0) / (x1 - x0)
        # From either end, so that both points are met to the last digit.
        return y0 + share * (y1 - y0) if share <= 1 / 2 else y1 - (1 - share) * (y1 - y0)
