"""Marks each test by the folder it stands in, and hands out the fakes all of them share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes.clock import FakeClock
from fakes.crowd import MAX_BYTES, FakeDisk, Open
from fakes.rig import Rig
from hypothesis import settings

from edge_agent.cloud_sync import CloudSyncQueue

if TYPE_CHECKING:
    from fakes.gpio import MockPins

# Every run tries a few examples; HYPOTHESIS_PROFILE=long tries thousands, for a night.
settings.register_profile(
    "quick", max_examples=15, stateful_step_count=20, deadline=None, database=None
)
settings.register_profile("long", max_examples=2_000, stateful_step_count=50, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

KINDS = ("unit", "contract", "functional", "system", "hardware")


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
def tell(
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Callable[[str], None]:
    """Says what was measured, also where the test passes, and in the report."""

    def say(text: str) -> None:
        record_property("measured", text)
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {text}\n")

    return say


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it, synchronised."""
    return FakeClock()


@pytest.fixture
def pins(clock: FakeClock) -> Iterator[MockPins]:
    """The pins of a Pi, without a Pi."""
    from fakes.gpio import MockPins  # noqa: PLC0415  # the other tests need no gpiozero

    with MockPins.plugged(clock) as plugged:
        yield plugged


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
