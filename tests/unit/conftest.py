"""What several unit tests of one room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.crowd import MAX_BYTES, FakeDisk, Open
from fakes.drivers import DRIVERS
from fakes.rig import Rig

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.config.loader import Loaded, load
from edge_agent.errors import ConfigError

Load = Callable[..., Loaded]


@pytest.fixture
def rig(tmp_path: Path, clock: FakeClock) -> Iterator[Rig]:
    """A flusher on a real queue file, before a server without a network."""
    made = Rig(tmp_path, clock)
    yield made
    made.queue.close()


@pytest.fixture
def disk() -> FakeDisk:
    """With plenty of room, until the test says otherwise."""
    return FakeDisk()


@pytest.fixture
def open_queue(tmp_path: Path, clock: FakeClock, disk: FakeDisk) -> Iterator[Open]:
    """Opens queues that are closed in the end."""
    opened: list[CloudSyncQueue] = []

    def open_it(
        when_full: str = "thin", max_size_bytes: int = MAX_BYTES, **how: Any
    ) -> CloudSyncQueue:
        opened.append(
            CloudSyncQueue(
                tmp_path / "q.db",
                durability="normal",
                clock=clock,
                max_size_bytes=max_size_bytes,
                when_full=when_full,
                **{"free_bytes": disk, **how},
            )
        )
        return opened[-1]

    yield open_it
    for queue in opened:
        queue.close()


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
