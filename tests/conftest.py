"""Marks each test by the folder it stands in, and hands out the fakes all of them share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from hypothesis import settings

# Every run tries a few examples; HYPOTHESIS_PROFILE=long tries thousands, for a night.
settings.register_profile(
    "quick", max_examples=15, stateful_step_count=20, deadline=None, database=None
)
settings.register_profile("long", max_examples=2_000, stateful_step_count=50, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

KINDS = ("unit", "contract", "functional", "system")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's kind is its folder: nobody can forget a marker."""
    for item in items:
        folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
        assert folder in KINDS, f"{item.path} stands in none of {KINDS}"
        item.add_marker(folder)


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """By number: a minimal system knows no name ``localhost``."""
    return "127.0.0.1", 0


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it, synchronised."""
    return FakeClock()
