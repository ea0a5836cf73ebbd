"""The picture of a probe's day: what it measured, what left, and what was told of it."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Times in seconds of the day, and values.
Points = Sequence[tuple[float, float]]
Stretch = tuple[float, float]

_DAY = (0.0, 86_400.0)

_MEASURED, _LEFT, _BAND, _WARM, _COLD, _FAULT = (
    "#9aa5b1",
    "#1f5fa8",
    "#bcd6f2",
    "#c0392b",
    "#6c3fa0",
    "#f3d9a4",
)


@dataclasses.dataclass(frozen=True)
class Limit:
    """An alarm's limit, and when it was entered and cleared."""

    value: float
    label: str
    times: Sequence[Stretch]
    warm: bool

    @property
    def color(self) -> str:
        return _WARM if self.warm else _COLD


@dataclasses.dataclass(frozen=True)
class Detail:
    """A stretch of the day in a panel of its own."""

    title: str
    span: Stretch
    tick_s: float
    #: the least and the greatest value to be seen; None: all
    heights: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Chart:
    """What is to be seen."""

    title: str
    measured: Points
    left: Points
    #: those of them that went out as anomalies
    anomalies: Points
    deadband: float
    limits: Sequence[Limit]
    faults: Sequence[Stretch]
    closely: Sequence[Detail]

    def save(self, path: Path) -> None:
        """Draw it into a PNG."""
        # It is a large import, and only who draws pays for it. What it deprecates in itself or in
        # what it imports is no defect of ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from matplotlib.figure import Figure  # noqa: PLC0415  # see above

            figure = Figure(figsize=(14, 9), dpi=110, layout="constrained")
            figure.suptitle(self.title, fontsize=14, fontweight="bold")
            upper, lower = figure.subfigures(2, 1, height_ratios=[3, 2])
            day, details = upper.subplots(), lower.subplots(1, len(self.closely))
            self._panel(day, Detail("the whole day", _DAY, 2 * 3600), closely=False)
            for axes, detail in zip(details, self.closely, strict=True):
                self._panel(axes, detail, closely=True)
            handles, labels = _once(day, *details)
            figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
            figure.savefig(path)

    def _panel(self, axes: Any, detail: Detail, *, closely: bool) -> None:
        """One stretch of the day."""
        span = detail.span
        axes.set_title(detail.title, loc="left", fontsize=10)
        measured = _broken(_within(self.measured, span), self.faults)
        axes.plot(*_xy(measured), color=_MEASURED, lw=0.9 if closely else 0.5, label="measured")
        self._told(axes, span, closely=closely)
        for limit in self.limits:
            if detail.heights is None or detail.heights[0] <= limit.value <= detail.heights[1]:
                self._limit(axes, limit, span, labelled=not closely)
        for begins, ends in self.faults:
            if begins < span[1] and ends > span[0]:
                axes.axvspan(begins, ends, color=_FAULT, lw=0, label="sensor fault")
        _scale(axes, detail)

    def _told(self, axes: Any, span: Stretch, *, closely: bool) -> None:
        """What left, as points; between them what the far end takes for true, give or take."""
        left = _broken(_within(self.left, span), self.faults)
        x, y = _xy(left)
        low, high = [v - self.deadband for v in y], [v + self.deadband for v in y]
        label = f"last sent ± deadband ({self.deadband:g} °C)"
        axes.fill_between(x, low, high, step="post", color=_BAND, lw=0, label=label)
        size = 22 if closely else 4
        axes.scatter(x, y, s=size, color=_LEFT, lw=0, zorder=3, label="sent")
        odd = _xy(_within(self.anomalies, span))
        axes.scatter(
            *odd, s=size * 2.5, facecolors="none", edgecolors="#d98200", lw=0.9, zorder=4,
            label="sent as anomaly",
        )  # fmt: skip

    def _limit(self, axes: Any, limit: Limit, span: Stretch, *, labelled: bool) -> None:
        """Its line, and a mark where it was entered and where it was cleared."""
        axes.axhline(limit.value, color=limit.color, lw=0.9, ls="--")
        if labelled:
            axes.annotate(
                limit.label, (1.0, limit.value), xycoords=("axes fraction", "data"), va="center",
                xytext=(6, 0), textcoords="offset points", fontsize=9, color=limit.color,
            )  # fmt: skip
        shown = [times for times in limit.times if span[0] <= times[0] <= span[1]]
        for marker, place, label in (("^", 0, "alarm entered"), ("v", 1, "alarm cleared")):
            at = [times[place] for times in shown]
            heights = [_height(self.left, time) for time in at]
            axes.scatter(
                at, heights, marker=marker, s=90, zorder=5, edgecolors="white", lw=0.8,
                color=limit.color, label=label if limit.warm else None,
            )  # fmt: skip


def _scale(axes: Any, detail: Detail) -> None:
    """Hours and minutes below, degrees at the side."""
    (begins, ends), tick_s = detail.span, detail.tick_s
    ticks = [n * tick_s for n in range(math.ceil(begins / tick_s), int(ends / tick_s) + 1)]
    axes.set_xticks(ticks, [f"{t // 3600:02.0f}:{t % 3600 // 60:02.0f}" for t in ticks])
    axes.set_xlim(detail.span)
    axes.set_ylim(detail.heights)
    axes.set_xlabel("time of day")
    axes.set_ylabel("temperature in °C")
    axes.grid(color="#e6e9ed", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _within(points: Points, span: Stretch) -> Points:
    return [point for point in points if span[0] <= point[0] <= span[1]]


def _broken(points: Points, faults: Sequence[Stretch]) -> Points:
    """With a hole for each fault: no line leads over what nobody knows."""
    holes = [(begins, math.nan) for begins, _ in faults]
    return sorted([*points, *holes])


def _xy(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _height(points: Points, time: float) -> float:
    """The value that was sent at a time."""
    return min(points, key=lambda point: abs(point[0] - time))[1]


def _once(*panels: Any) -> tuple[list[Any], list[str]]:
    """The legend's entries, each once."""
    entries = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)
