"""What tests with real processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.processes import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A place for an agent; whatever runs there is killed at the end."""
    place = Site(tmp_path)
    yield place
    place.close()
