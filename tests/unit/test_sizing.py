"""The size of a request: halved by what was too much, doubled by what passed."""

from __future__ import annotations

from edge_agent.daemon.sizing import GROWS_AFTER, Sizing


def test_sizing_halves_at_once_and_doubles_after_a_while() -> None:
    """Back up to what is configured, never beyond."""
    sizing = Sizing(50, 1 << 20)
    sizing.too_slow(50)
    assert sizing.items == 25
    sizing.too_slow(25)
    assert sizing.items == 12
    for expected in (24, 48, 50, 50):
        for _ in range(GROWS_AFTER):
            sizing.passed(sizing.items)
        assert sizing.items == expected
    assert sizing.max_bytes == 1 << 20


def test_sizing_learns_nothing_from_requests_that_were_not_full() -> None:
    """They say nothing of a larger one; and one that failed begins the count anew."""
    sizing = Sizing(10, 1 << 20)
    sizing.too_slow(10)
    for _ in range(3 * GROWS_AFTER):
        sizing.passed(4)
    assert sizing.items == 5
    for _ in range(GROWS_AFTER - 1):
        sizing.passed(5)
    sizing.too_slow(5)
    sizing.passed(2)
    assert sizing.items == 2


def test_sizing_keeps_the_byte_limit_that_a_server_taught_it() -> None:
    """Only items grow back; and an item at least always goes."""
    sizing = Sizing(50, 1 << 20)
    sizing.too_large(50, 10_000)
    assert (sizing.items, sizing.max_bytes) == (25, 5_000)
    for _ in range(9 * GROWS_AFTER):
        sizing.passed(50)
    assert (sizing.items, sizing.max_bytes) == (50, 5_000)
    for _ in range(9):
        sizing.too_large(2, 10)
    assert (sizing.items, sizing.max_bytes) == (1, 1024)


def test_sizing_forgets_what_a_single_item_too_large_taught_it() -> None:
    """It was the item and not the request: the others travel as they did."""
    sizing = Sizing(8, 10_000)
    sizing.too_large(1, 500)
    assert (sizing.items, sizing.max_bytes) == (8, 10_000)
    sizing.too_large(8, 8_000)
    sizing.passed(4, splitting=True)
    sizing.too_large(4, 4_000)
    sizing.too_large(2, 2_000)
    assert (sizing.items, sizing.max_bytes) == (1, 1_024)
    sizing.too_large(1, 1_000)
    assert (sizing.items, sizing.max_bytes) == (8, 10_000)
    sizing.too_large(8, 8_000)
    sizing.passed(4, splitting=True)
    sizing.passed(4)
    sizing.too_large(1, 900)
    assert (sizing.items, sizing.max_bytes) == (4, 4_000)
