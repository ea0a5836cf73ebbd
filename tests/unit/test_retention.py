"""What has outlived its TTL leaves, a slice a call, and what is on its way stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue, Priority, retention
from edge_agent.types import Submission


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


def fill(queue: CloudSyncQueue, rows: int, **kind: Any) -> list[int]:
    """So many small rows; their ids."""
    return queue.enqueue_many([Submission({"n": n}, **kind) for n in range(rows)])


def test_upkeep_spares_what_is_on_its_way(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """A frozen batch is sent again as it was, however old it has become."""
    ids = fill(queue, 4, ttl_s=10)
    clock.advance(10)
    assert queue.upkeep({ids[1], ids[2]}) == 2
    assert queue.pending_count() == 2
    assert queue.ledger().expired == 2
    assert queue.upkeep() == 2


def test_upkeep_looks_at_nothing_that_cannot_have_expired(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Younger than the shortest TTL of its priority: one look is enough, however many there are."""
    monkeypatch.setattr(retention, "LOOK_ROWS", 5)
    queue.enqueue_many([Submission({}, Priority.CRITICAL, 1_000)] * 50)
    fill(queue, 5, ttl_s=10)
    clock.advance(10)
    assert queue.upkeep() == 5


def test_upkeep_goes_through_mixed_ttls_at_once_and_then_rests(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice after slice to the end of the round, so that none stays longer than a minute."""
    monkeypatch.setattr(retention, "LOOK_ROWS", 2)
    for ttl_s in (1000, 10, 1000, 1000, 10):
        queue.enqueue({}, ttl_seconds=ttl_s)
    clock.advance(10)
    assert [(queue.upkeep(), queue.restless()) for _ in range(3)] == [
        (1, True),
        (0, True),
        (1, False),
    ]
    queue.enqueue({}, ttl_seconds=10)
    clock.advance(10)
    assert (queue.upkeep(), queue.restless()) == (0, False)
    clock.advance(20)
    assert sum(queue.upkeep() for _ in range(3)) == 1


def test_upkeep_finds_what_expired_while_it_was_put_off(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Its place in the index is in the future, and tells nothing of its age."""
    queue.nack([queue.enqueue({}, ttl_seconds=10)], 3600)
    clock.advance(10)
    assert queue.upkeep() == 1


def test_purge_expired_deletes_all_of_them_wherever_upkeep_is(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S4. In slices, and with a round of its own."""
    monkeypatch.setattr(retention, "SLICE_ROWS", 3)
    fill(queue, 8, ttl_s=10)
    keep = queue.enqueue({}, ttl_seconds=100)
    assert queue.upkeep() == 0
    clock.advance(10)
    assert queue.pending_count() == 9
    assert queue.purge_expired() == 8
    assert [item.id for item in queue.dequeue()] == [keep]
    assert queue.ledger().expired == 8
    assert queue.ledger().closes


def test_upkeep_goes_round_the_queue_a_slice_a_call(
    queue: CloudSyncQueue, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And begins again at the end."""
    monkeypatch.setattr(retention, "SLICE_ROWS", 3)
    fill(queue, 7, ttl_s=10)
    clock.advance(10)
    assert [queue.upkeep() for _ in range(5)] == [3, 3, 1, 0, 0]
    fill(queue, 1, ttl_s=10)
    clock.advance(10)
    assert queue.upkeep() == 1


def test_upkeep_folds_a_long_log_into_the_file(
    queue: CloudSyncQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is started over by the next commit, so that it does not grow on."""
    monkeypatch.setattr("edge_agent.cloud_sync.schema.LOG_LIMIT_BYTES", 50_000)
    for _ in range(20):
        fill(queue, 20)
        queue.upkeep()
    assert queue._store.log_bytes() < 200_000
    assert queue.size_bytes() >= queue._store.log_bytes()
