"""Dead letters in a person's hands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, dead
from edge_agent.types import NEVER_S, Submission

TTL_S = 100


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", durability="normal", clock=clock) as made:
        yield made


def buried(queue: CloudSyncQueue, count: int, ttl_s: int = TTL_S) -> list[int]:
    rows = [Submission({"n": n}, Priority.ANOMALY, ttl_s) for n in range(count)]
    ids = queue.enqueue_many(rows)
    queue.dead_letter(ids, "HTTP 400")
    return ids


def test_dead_letter_replayed_has_its_time_to_live_anew(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Long after it would have expired it is sent, and lives once more for as long."""
    (number,) = buried(queue, 1)
    born = next(queue.dead_letters()).created_at
    clock.advance(10 * TTL_S)
    assert queue.replay([number]) == 1
    (item,) = queue.dequeue()
    assert (item.id, item.created_at) == (number, born)
    clock.advance(TTL_S - 1)
    assert [item.id for item in queue.dequeue()] == [number]
    clock.advance(3)
    assert queue.dequeue() == []
    assert queue.purge_expired() == 1
    assert queue.ledger().closes


def test_dead_letter_replayed_that_never_expires_does_not_overflow(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """A thousand years are the most."""
    ids = buried(queue, 1, NEVER_S)
    clock.advance(TTL_S)
    queue.replay(ids)
    assert [item.ttl_seconds for item in queue.dequeue()] == [NEVER_S]


def test_dead_letters_go_in_slices_and_are_booked(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are, each once; ids of none do no harm."""
    monkeypatch.setattr(dead, "SLICE", 2)
    ids = buried(queue, 7)
    assert [letter.id for letter in queue.dead_letters()] == ids
    assert queue.replay([*ids[:3], *ids[:3], 99]) == 3
    assert queue.drop([*ids, 99]) == 4
    books = queue.ledger()
    assert (books.queued, books.dead, books.discarded, books.closes) == (3, 0, 4, True)
    assert queue.replay([]) == queue.drop([]) == 0
    assert queue.verify().problems == ()


def test_dead_letter_replayed_is_found_also_in_its_old_place(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """A start puts nacked rows back there, further in the past than any TTL before."""
    ids = buried(queue, 1)
    clock.advance(10 * TTL_S)
    queue.replay(ids)
    queue.nack(ids, 0.0)
    assert queue.release_retries() == 1
    assert [item.id for item in queue.dequeue()] == ids
