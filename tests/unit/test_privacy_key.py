"""The key's file: made when it is needed, kept over restarts, and no field passes without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.told import Told

from edge_agent.config.loader import Loaded
from edge_agent.daemon.privacy_key import make_shield
from edge_agent.types import SensorReading

Load = Callable[..., Loaded]
Hash = Callable[..., Any]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def hashed(load_text: Load, tmp_path: Path, clock: FakeClock, told: Told) -> Callable[..., Hash]:
    """An agent's start: gives what makes of a badge what is stored; None where it is dropped."""

    def start(privacy: str = "") -> Hash:
        text = f"queue: {{path: {tmp_path}/q.db}}\nprivacy: {{hash: [metadata.id], {privacy}}}\n"
        shield = make_shield(load_text(text).config, clock, say=told)

        def badge(number: int = 7) -> Any:
            reading = SensorReading("door", 1.0, 1, "", {"id": number})
            return shield.apply(reading).metadata.get("id")

        return badge

    return start


def test_key_is_made_where_there_is_none_for_the_owner_alone(
    hashed: Callable[..., Hash], tmp_path: Path
) -> None:
    """32 random bytes, beside the queue."""
    assert len(hashed()()) == 64
    file = tmp_path / "privacy.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(file.read_text())) == 32
    assert not list(tmp_path.glob(".privacy*"))


def test_key_outlasts_restarts_and_no_two_are_alike(
    hashed: Callable[..., Hash], tmp_path: Path, told: Told
) -> None:
    """The same badge, the same hash; another machine's key, another hash; and no word of it."""
    before = hashed()()
    assert hashed()() == before
    (tmp_path / "privacy.key").unlink()
    assert hashed()() != before
    assert told.events == []


def test_key_of_a_fleet_gives_one_hash_on_every_machine(
    hashed: Callable[..., Hash], tmp_path: Path
) -> None:
    """White space at its ends does not count: editors leave a newline."""
    (tmp_path / "a").write_text("a key for the whole fleet")
    (tmp_path / "b").write_text("a key for the whole fleet\n")
    assert hashed(f"key_file: {tmp_path}/a")() == hashed(f"key_file: {tmp_path}/b")()
    assert not (tmp_path / "privacy.key").exists()


@pytest.mark.parametrize("content", [None, b"", b"15 bytes of key", b"x" * 5000])
def test_key_that_cannot_be_used_drops_the_field_and_is_told_once(
    hashed: Callable[..., Hash], tmp_path: Path, clock: FakeClock, told: Told, content: bytes | None
) -> None:
    """A named file is never made; it is looked for again, once a minute, and its coming is told."""
    file = tmp_path / "fleet.key"
    if content is not None:
        file.write_bytes(content)
    badge = hashed(f"key_file: {file}")
    for _ in range(3):
        assert badge() is None
        clock.advance(61)
    file.write_text("a key for the whole fleet")
    assert len(badge()) == 64
    assert told.events == ["privacy_key_missing", "privacy_key_found"]
    assert told.lines[0][0] == logging.WARNING
    assert str(file) in told.lines[0][1]
    assert not [line for _, line in told.lines if "of key" in line or "fleet " in line]


def test_key_that_is_missing_is_not_looked_for_at_every_reading(
    hashed: Callable[..., Hash], tmp_path: Path, clock: FakeClock
) -> None:
    """A disk is asked once a minute."""
    file = tmp_path / "fleet.key"
    badge = hashed(f"key_file: {file}")
    badge()
    file.write_text("a key for the whole fleet")
    clock.advance(59)
    assert badge() is None
    clock.advance(1)
    assert badge() is not None


def test_key_that_cannot_be_made_drops_the_field(
    hashed: Callable[..., Hash], tmp_path: Path, told: Told
) -> None:
    """The directory in the way stands for a card that takes nothing."""
    (tmp_path / ".privacy.key.new").mkdir()
    assert hashed()() is None
    assert told.events == ["privacy_key_missing"]


def test_key_file_that_is_damaged_is_not_overwritten(
    hashed: Callable[..., Hash], tmp_path: Path
) -> None:
    """A person may still have the rest of it."""
    (tmp_path / "privacy.key").write_text("cut")
    assert hashed()() is None
    assert (tmp_path / "privacy.key").read_text() == "cut"
