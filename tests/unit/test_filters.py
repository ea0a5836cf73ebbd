"""Filters: what each makes of a row of values, and what a chain of them does."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing import filters as steps
from edge_agent.processing.filters import Chain, Filter
from edge_agent.processing.kinds import Margin
from edge_agent.types import Value

NUMBERS = st.floats(-1e6, 1e6)
CALIBRATED = ((2.8, 0.0), (1.2, 100.0))


def through(filters: Sequence[Filter] | Filter, values: Sequence[Value]) -> list[Value | None]:
    """What comes out, one value a second."""
    chain = Chain([filters] if isinstance(filters, Filter) else filters)
    return [chain.step(value, float(now)) for now, value in enumerate(values)]


@pytest.mark.parametrize(
    ("one", "values", "expected"),
    [
        (steps.Offset(-0.5), [1, 2.5], [0.5, 2.0]),
        (steps.Multiply(0.5), [3, -4.0], [1.5, -2.0]),
        (steps.Clamp(0.0, 10.0), [-1, 0, 5, 10, 10.5], [0.0, 0, 5, 10, 10.0]),
        (steps.Clamp(min_value=0.0), [-1, 99], [0.0, 99]),
        (steps.Clamp(max_value=9.0), [-1, 99], [-1, 9.0]),
        (
            steps.Clamp(0.0, 10.0, ignore_out_of_range=True),
            [-0.1, 0.0, 10.0, 10.1],
            [None, 0.0, 10.0, None],
        ),
        (steps.Round(1), [1.26, -1.24, 7], [1.3, -1.2, 7]),
        (steps.Round(0), [1.2, 2.5, 3.5], [1, 2, 4]),
        (steps.Median(window_size=3), [1, 9, 2, 3, 99], [1, 5.0, 2, 3, 3]),
        (steps.Median(window_size=2), [1, 3, 7], [1, 2.0, 5.0]),
        (steps.Median(5, 3, 1), [1, 2, 3, 4, 5, 6, 7], [1, None, None, 2.5, None, None, 5]),
        (steps.Median(5, 3, 3), [1, 2, 3, 4, 5, 6], [None, None, 2, None, None, 4]),
        (steps.MovingAverage(window_size=2), [1, 2, 4], [1.0, 1.5, 3.0]),
        (steps.MovingAverage(2, 2, 2), [1, 2, 4, 8], [None, 1.5, None, 6.0]),
        (steps.ExponentialMovingAverage(alpha=0.5), [4, 8, 8], [4.0, 6.0, 7.0]),
        (steps.ExponentialMovingAverage(0.5, 2, 1), [4, 8, 8], [4.0, None, 7.0]),
        (steps.Delta(Margin(0.5)), [1, 1.5, 1.6, 1.2, 1.0], [1, None, 1.6, None, 1.0]),
        (steps.Delta(Margin(10, percent=True)), [-10, -11, -11.5, -12], [-10, None, -11.5, None]),
        (steps.Delta(Margin(0)), [0, 0, 1, 1], [0, None, 1, None]),
        (steps.Throttle(3.0), [1, 2, 3, 4, 5], [1, None, None, 4, None]),
        (steps.Throttle(0.0), [1, 2], [1, 2]),
        (steps.SkipInitial(2), [1, 2, 3, 4], [None, None, 3, 4]),
        (steps.SkipInitial(0), [1], [1]),
        (steps.CalibrateLinear(CALIBRATED), [2.8, 1.2, 2.0, 3.6], [0.0, 100.0, 50.0, -50.0]),
    ],
)
def test_filter_makes_of_values_what_it_says(
    one: Filter, values: list[float], expected: list[float | None]
) -> None:
    """Each by itself, from its first value on; integers stay what they were where they can."""
    found = through(one, values)

    assert found == [None if value is None else pytest.approx(value) for value in expected]
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_throttle_lets_a_tick_pass_that_comes_a_moment_early() -> None:
    """Else 60 s on a sensor read every 30 s would become 90 s."""
    chain = Chain([steps.Throttle(60.0)])

    times = [0.0, 30.01, 59.99, 89.9, 119.99]

    assert [chain.step(1, now) is not None for now in times] == [True, False, True, False, True]


def test_chain_goes_through_its_filters_in_the_order_written() -> None:
    """An offset before a factor is not one after it, and what is dropped is seen by none later."""
    plus, times = steps.Offset(1.0), steps.Multiply(10.0)

    assert through([plus, times], [1]) == [20.0]
    assert through([times, plus], [1]) == [11.0]
    assert through([steps.SkipInitial(1), steps.Median(window_size=3)], [99, 1, 3]) == [None, 1, 2]


@pytest.mark.parametrize("value", [True, False, "open", ""])
def test_chain_lets_switches_and_words_pass_untouched(value: Value) -> None:
    """There is nothing to reckon with, and nothing is dropped either."""
    (found,) = through([steps.SkipInitial(3), steps.Offset(1.0)], [value])

    assert found is value


@pytest.mark.parametrize(
    ("filters", "value"),
    [
        ([], math.inf),
        ([steps.Offset(1.0)], math.nan),
        ([steps.Clamp(0, 1)], 10**400),
        ([steps.Multiply(1e10)], 1e300),
        ([steps.MovingAverage(window_size=2)], math.inf),
        ([steps.Multiply(1e10), steps.Clamp(0, 1)], 1e300),
    ],
)
def test_chain_given_or_making_no_finite_number_says_nan(
    filters: list[Filter], value: float
) -> None:
    """Which is a fault; no filter after it makes a believable value of that."""
    (found,) = through(filters, [value])

    assert isinstance(found, float)
    assert math.isnan(found)


def test_chain_whose_sums_overflow_says_nan_and_goes_on() -> None:
    """A mean of the largest numbers has no room; later values have."""
    values = [1e308, 1e308, 1.0, 3.0]

    found = through(steps.MovingAverage(window_size=2), values)

    assert found == [1e308, pytest.approx(math.nan, nan_ok=True), 5e307, 2.0]


def test_chain_after_a_garbled_value_has_a_clean_window() -> None:
    """A value that is none never enters a window."""
    assert through(steps.Median(window_size=3), [1, math.nan, 2, 3])[2:] == [1.5, 2]


def test_chain_reset_forgets_everything() -> None:
    """What was before a fault does not mix with what comes after it."""
    filters = [
        steps.SkipInitial(1),
        steps.Median(window_size=3),
        steps.ExponentialMovingAverage(alpha=0.5),
        steps.Delta(Margin(1)),
        steps.Throttle(60.0),
    ]
    chain = Chain(filters)
    fresh = [chain.step(value, 0.0) for value in (5, 7, 9)]

    chain.reset()

    assert [chain.step(value, 1.0) for value in (5, 7, 9)] == fresh == [None, 7.0, None]


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.integers(1, 9))
def test_median_is_that_of_the_last_values(values: list[float], size: int) -> None:
    """As the standard library reckons it."""
    expected = [statistics.median(values[max(0, i - size + 1) : i + 1]) for i in range(len(values))]

    assert through(steps.Median(window_size=size), values) == expected


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.integers(1, 9))
def test_moving_average_lies_within_its_window(values: list[float], size: int) -> None:
    """Whatever rounding does, it is the mean of the last values."""
    for i, found in enumerate(through(steps.MovingAverage(window_size=size), values)):
        window = values[max(0, i - size + 1) : i + 1]
        assert found == pytest.approx(statistics.fmean(window), abs=1e-6)


@given(st.lists(NUMBERS, min_size=2, max_size=40), st.floats(0, 1e6))
def test_delta_never_drops_a_larger_change(values: list[float], amount: float) -> None:
    """What is dropped is no farther from the last that passed than the margin."""
    last = values[0]
    for value, found in zip(values, through(steps.Delta(Margin(amount)), values), strict=True):
        assert found is not None or abs(value - last) <= amount
        last = value if found is not None else last


@given(
    st.lists(
        st.tuples(st.integers(-1000, 1000), NUMBERS),
        min_size=2,
        max_size=8,
        unique_by=lambda point: point[0],
    )
)
def test_exact_calibration_goes_through_its_points(points: list[tuple[int, float]]) -> None:
    """Each measured value means just what was written, and between two lies between them."""
    written = tuple((float(x), y) for x, y in points)
    one = steps.CalibrateLinear(written, "exact")
    ordered = sorted(written)

    assert through(one, [x for x, _ in written]) == [y for _, y in written]
    for (x0, y0), (x1, y1) in itertools.pairwise(ordered):
        (middle,) = through(one, [(x0 + x1) / 2])
        assert isinstance(middle, float)
        assert min(y0, y1) - 1e-6 <= middle <= max(y0, y1) + 1e-6


def test_exact_calibration_goes_on_beyond_its_ends() -> None:
    """Along the outer lines."""
    points = ((0.0, 0.0), (1.0, 10.0), (2.0, 40.0))

    found = through(steps.CalibrateLinear(points, "exact"), [-1, 0.5, 1.5, 3])

    assert found == [-10.0, 5.0, 25.0, 70.0]


@given(st.lists(st.tuples(st.integers(-50, 50), NUMBERS), min_size=3, unique_by=lambda p: p[0]))
def test_least_squares_calibration_is_linear_regression(points: list[tuple[int, float]]) -> None:
    """As the standard library reckons it."""
    written = tuple((float(x), y) for x, y in points)
    line = statistics.linear_regression(*zip(*written, strict=True))

    (found,) = through(steps.CalibrateLinear(written), [7.0])

    assert found == pytest.approx(line.slope * 7.0 + line.intercept, rel=1e-6, abs=1e-3)


def test_least_squares_calibration_of_points_close_together_has_a_line() -> None:
    """The square of such a distance is nothing."""
    points = ((0.0, 0.0), (1e-200, 1.0), (2e-200, 2.0))

    assert through(steps.CalibrateLinear(points), [1e-200]) == [pytest.approx(1.0)]
