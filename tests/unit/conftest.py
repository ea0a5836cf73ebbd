"""What several unit tests of one room share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.drivers import DRIVERS

from edge_agent.config.loader import Loaded, load
from edge_agent.errors import ConfigError

Load = Callable[..., Loaded]

#: A disk in memory, where there is one: what a disk forgets is the functional tests' affair.
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # each test gets a folder of its own there
MEMORY = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder in memory, gone with the test."""
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads a text as agent.yaml, and more texts as its fragments."""

    def load_it(text: str, environ: Mapping[str, str] | None = None, **fragments: str) -> Loaded:
        main = tmp_path / "agent.yaml"
        main.write_text(text, encoding="utf-8")
        (tmp_path / "agent.d").mkdir(exist_ok=True)
        for name, fragment in fragments.items():
            (tmp_path / "agent.d" / f"{name}.yaml").write_text(fragment, encoding="utf-8")
        return load(main, environ or {}, DRIVERS)

    return load_it


@pytest.fixture
def problems(load_text: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of a text, without the folder's name."""

    def problems_of(*args: Any, **fragments: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(*args, **fragments)
        return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return problems_of
