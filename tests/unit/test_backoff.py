"""Full jitter: bounds, doubling and the cap."""

from __future__ import annotations

import pytest

from edge_agent.cloud_sync.backoff import full_jitter


@pytest.mark.parametrize(
    ("failures", "ceiling_s"), [(0, 60), (1, 60), (2, 120), (4, 480), (5, 900), (10**9, 900)]
)
def test_backoff_doubles_up_to_its_cap(failures: int, ceiling_s: float) -> None:
    """The ceiling is what the greatest draw gives; no number of failures overflows it."""
    assert full_jitter(failures, base_s=60.0, cap_s=900.0, draw=1.0) == ceiling_s


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999])
def test_backoff_is_the_drawn_part_of_its_ceiling(draw: float) -> None:
    """Full jitter: anything from nothing to the ceiling."""
    assert full_jitter(3, base_s=60.0, cap_s=900.0, draw=draw) == pytest.approx(draw * 240.0)


def test_backoff_with_a_cap_below_its_base_keeps_to_the_cap() -> None:
    """A configuration may say so."""
    assert full_jitter(1, base_s=60.0, cap_s=5.0, draw=1.0) == 5.0
