"""Anomalies: which values stand out from those before them, and by how much."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.anomaly import MOST_SCORE, Anomaly, AnomalyWatch
from edge_agent.processing.numbers import SortedWindow
from edge_agent.types import Value

#: Median 21, and half of the values are farther from it than 0.1.
USUAL = (20.8, 20.9, 21.0, 21.1, 21.2)


def watch_after(values: list[float], window: int = 60, deviation: float = 4.0) -> AnomalyWatch:
    watch = AnomalyWatch(Anomaly(window, deviation))
    for value in values:
        watch.take(value)
    return watch


@pytest.mark.parametrize(
    ("value", "score"),
    [(21.0, None), (21.5, None), (20.5, None), (21.6, 4.05), (20.4, -4.05), (31.0, 67.45)],
)
def test_value_far_from_the_usual_has_a_score(value: float, score: float | None) -> None:
    """0.6745 times its distance from the median, in MADs; negative below."""
    assert watch_after([*USUAL] * 6).take(value) == score


def test_deviation_says_from_where_on_a_value_stands_out() -> None:
    """In standard deviations."""
    assert watch_after([*USUAL] * 6, deviation=5.0).take(21.6) is None
    assert watch_after([*USUAL] * 6, deviation=2.0).take(21.4) == 2.7


def test_watch_says_nothing_before_half_its_window_is_there() -> None:
    """Of a few values nobody knows what is usual."""
    assert watch_after([*USUAL] * 5, window=52).take(99.0) is None
    assert watch_after([*USUAL] * 5, window=50).take(99.0) is not None


def test_new_level_becomes_usual() -> None:
    """What stands out is remembered like all else, and at last it is the old level that does."""
    watch = watch_after([*USUAL] * 12)

    scores = [watch.take(value + 10) for value in USUAL * 12]

    assert scores[0] is not None
    assert scores[-1] is None
    assert watch.take(21.0) is not None


def test_single_spikes_do_not_hide_each_other() -> None:
    """As they would if the scale were a standard deviation."""
    watch = watch_after([*USUAL] * 12)

    assert [watch.take(value) is not None for value in (85.0, 85.0, 21.0, 85.0)] == [
        *(True, True, False, True)
    ]


@pytest.mark.parametrize(
    ("values", "value", "found"),
    [
        # A coarse sensor in a quiet room: single steps are usual, five at once are not.
        ([21.0] * 29 + [21.1], 21.4, False),
        ([21.0] * 29 + [21.1], 21.5, True),
        # One that never moved: within a few percent nothing is known.
        ([21.0] * 30, 21.8, False),
        ([21.0] * 30, 22.0, True),
        # Always nothing: no telling.
        ([0.0] * 30, 1000.0, False),
        # A mean that settles differs by less than anybody measures.
        ([21.0] * 29 + [20.999999999], 21.005, False),
        ([21.0 - 1e-12 * i for i in range(30)], 21.005, False),
    ],
)
def test_still_signal_has_a_scale_that_makes_sense(
    values: list[float], value: float, found: bool
) -> None:
    """The MAD is nothing, and everything else would be infinitely far away."""
    assert (watch_after(values).take(value) is not None) is found


@pytest.mark.parametrize("value", ["open", True])
def test_switches_and_words_are_not_judged(value: Value) -> None:
    """Nor remembered."""
    watch = watch_after([*USUAL] * 6)

    assert watch.take(value) is None
    assert watch.take(21.6) == 4.05


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=6, max_size=40))
def test_score_is_always_a_number_that_json_has(values: list[float]) -> None:
    """Whatever was measured."""
    watch = AnomalyWatch(Anomaly(window=5, deviation=0.1))

    scores = [watch.take(value) for value in values]

    assert all(score is None or abs(score) <= MOST_SCORE for score in scores)


def test_median_between_the_largest_numbers_is_finite() -> None:
    """Their sum would not be."""
    window = SortedWindow(2)
    window.add(1.6e308)
    window.add(1.4e308)

    assert window.median() == 1.5e308


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_sorted_window_has_the_last_values_in_order(values: list[float], size: int) -> None:
    """However they come; and its median is the middle one of them."""
    window = SortedWindow(size)
    for value in values:
        window.add(value)

    assert window.ordered == sorted(values[-size:])
    assert len(window) == min(len(values), size)
    assert math.isfinite(window.median())
    middle = [v / 4 for v in values[-size:]]
    assert window.median() / 4 == pytest.approx(statistics.median(middle))
