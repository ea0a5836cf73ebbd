"""The page of the faults is what the table, the markers and the tests' results make of it."""

from __future__ import annotations

from faults import page
from faults.table import ROWS

ITEMS = {(row.key, item) for row in ROWS for item in row.items}


def test_fault_page_is_made_from_the_results_and_not_by_hand() -> None:
    """If this fails: `python tests/faults/page.py` makes it; `scripts/test-faults` runs tests."""
    assert page.PAGE.read_text("utf-8") == page.render(page.load())


def test_fault_results_are_of_tests_that_there_are() -> None:
    """What was renamed or lost its marker is run anew."""
    assert page.load().keys() <= {mark.test for mark in page.marks()}


def test_fault_markers_name_rows_and_items_of_the_table() -> None:
    """A misspelt one would show nothing."""
    named = {(mark.row, item) for mark in page.marks() for item in mark.items}
    assert named - ITEMS == set()
    assert all(mark.items and mark.how for mark in page.marks())


def test_fault_without_a_test_that_passed_is_open() -> None:
    """Not run, failed, or of a part where the whole is asked for: the page does not flatter."""
    row = next(row for row in ROWS if row.is_whole)
    item = row.items[0]
    whole = page.Mark("t", row.key, (item,), "so")
    part = page.Mark("t", row.key, (item,), "so", "the queue")

    def state(mark: page.Mark, *outcomes: str) -> str:
        cases = [page.Case("", outcome, 0.0, []) for outcome in outcomes]
        return page.state(item, row, [mark], {"t": page.Result("2026-01-01", cases)})

    assert page.state(item, row, [], {}) == page.state(item, row, [whole], {}) == "open"
    assert state(whole, "passed", "failed") == state(whole, "skipped") == state(whole) == "open"
    assert state(part, "passed") == "in part"
    assert state(whole, "passed") == "shown"
    assert state(page.Mark("t", row.key, row.items[1:], "so"), "passed") == "open"
