"""The schedule that readings kept, as tests judge it."""

from __future__ import annotations

import pytest
from fakes.books import Schedule


@pytest.mark.parametrize("late_s", [0.0, 0.04, 0.06, 0.085])
@pytest.mark.parametrize("which", [0, 7, 19])
def test_schedule_with_a_late_reading_misses_none(late_s: float, which: int) -> None:
    """It is its own tick's, though nearer to the next one."""
    times = [1e9 + tick * 0.1 + late_s * (tick == which) for tick in range(20)]
    assert Schedule(times, 0.1).missed == 0


@pytest.mark.parametrize("gone", [{1}, {7}, {7, 8, 12}])
def test_schedule_counts_each_tick_without_a_reading(gone: set[int]) -> None:
    """However well the others are kept."""
    times = [1e9 + tick * 0.1 + 0.001 * (tick % 3) for tick in range(20) if tick not in gone]
    assert Schedule(times, 0.1).missed == len(gone)
