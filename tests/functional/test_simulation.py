"""Days of the whole agent, drawn from seeds; `scripts/simulate` plays as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.accounts import faults_of
from fakes.simulation import World, simulated

DAYS = 0.5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with simulated(2, tmp_path) as made:
        yield made


@pytest.mark.parametrize("seed", range(6))
def test_every_promise_holds_in_a_life(tmp_path: Path, seed: int) -> None:
    """Weather on the link, a server's moods, power cuts at any statement, clocks that are wrong."""
    with simulated(seed, tmp_path) as world:
        world.play(DAYS)
        assert faults_of(world) == [], world.story


def test_a_life_repeats_itself_with_its_seed(tmp_path: Path) -> None:
    """To the statement: a failure that a seed has found can be looked at."""
    lives = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        with simulated(3, tmp_path / name) as world:
            world.play(DAYS)
            lives.append((world.story, len(world.book.readings), world.agent.queue.ledger()))
    assert lives[0] == lives[1]


def test_a_reading_that_is_lost_is_found_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement of what was never sent."""
    send = world.server.send
    world.server.send = lambda batch: send(batch.only(batch.ids[1:]))  # type: ignore[method-assign]
    world.live(3600.0)
    world.agent.finish()
    assert any("stored readings are gone" in fault for fault in faults_of(world))


def test_a_wrong_time_is_found_out(world: World) -> None:
    """A clock that is an hour off and says that it is right."""
    world.book.note = lambda at, _: type(world.book).note(world.book, at - 3600.0, 0.0)  # type: ignore[method-assign]
    world.live(3600.0)
    world.agent.finish()
    assert any("farther from the truth" in fault for fault in faults_of(world))
