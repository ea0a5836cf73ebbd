"""How fast the queue grows, and for how long what comes still fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.crowd import FakeDisk, Open

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.growth import LOOK_EVERY_S, Growth, drain_s, hours_left
from edge_agent.types import Submission

MIB = 1 << 20


@pytest.fixture
def clock() -> FakeClock:
    """SQLite stores whole seconds in fewer bytes than the times that clocks tell."""
    return FakeClock(1_750_000_000.25)


@pytest.fixture
def queue(open_queue: Open) -> CloudSyncQueue:
    """Of half a GiB, on a disk with plenty of room."""
    return open_queue(max_size_bytes=512 * MIB)


def looked(*rows: int, every_s: float = LOOK_EVERY_S) -> Growth:
    growth = Growth()
    for number, count in enumerate(rows):
        growth.look(count, number * every_s)
    return growth


def test_growth_of_one_look_is_not_known() -> None:
    """Nor of two that are too near to each other."""
    assert looked(5).rows_per_s() is None
    assert looked(5, 50, every_s=LOOK_EVERY_S / 2).rows_per_s() is None


def test_growth_is_of_the_last_half_hour() -> None:
    """An hour of quiet before it does not count."""
    quiet, busy = [10] * 60, [10 + 60 * n for n in range(31)]
    assert looked(*quiet, *busy).rows_per_s() == 1.0


def test_growth_of_a_queue_that_drains_is_below_zero() -> None:
    """It says how fast."""
    assert looked(*range(6000, 3000, -120)).rows_per_s() == -2.0


def test_growth_of_a_queue_that_fills_and_empties_is_none() -> None:
    """Batches that wait for their time are no backlog, whenever one looks."""
    saw = [0, 12, 25, 38, 3] * 6
    assert {looked(*saw[:length]).rows_per_s() for length in range(10, 31, 5)} == {0.0}


@pytest.mark.parametrize(
    ("left", "row", "rate", "hours"),
    [
        (720_000, 200.0, 1.0, 1),
        (719_999, 200.0, 1.0, 0),
        (720_000, 200.0, 0.0, None),
        (720_000, 200.0, -1.0, None),
        (720_000, 200.0, None, None),
        (720_000, 0.0, 1.0, None),
        (200, 200.0, None, 0),
        (0, 0.0, -1.0, 0),
    ],
)
def test_hours_left_of_room_and_rate(
    left: int, row: float, rate: float | None, hours: int | None
) -> None:
    """0 where there is no room, whatever the rate; else nothing where nothing grows."""
    assert hours_left(left, row, rate) == hours


@pytest.mark.parametrize("payload_bytes", [60, 166, 1000])
def test_row_bytes_is_what_rows_take(queue: CloudSyncQueue, payload_bytes: int) -> None:
    """Within a twentieth, from the first row on."""
    assert queue.row_bytes() == 0.0
    rows = [Submission({"v": "x" * (payload_bytes - 9)})] * 200
    before = queue.bounds.vacancy().left_bytes
    for _ in range(15):
        queue.enqueue_many(rows)
    taken = before - queue.bounds.vacancy().left_bytes
    assert queue.row_bytes() == pytest.approx(taken / 3000, rel=0.05)


def test_vacancy_is_the_less_of_what_queue_and_disk_have(
    queue: CloudSyncQueue, disk: FakeDisk
) -> None:
    """Far from full, near the disk's limit, below it, and where nobody can say."""
    free, left = queue.bounds.vacancy()
    assert (free, 450 * MIB < left < 512 * MIB) == (disk.free, True)
    disk.free = 130 * MIB
    assert queue.bounds.vacancy().left_bytes == pytest.approx(30 * MIB, abs=MIB / 10)
    disk.free = 90 * MIB
    assert queue.bounds.vacancy() == (90 * MIB, 0)


def test_vacancy_of_an_unknown_disk_goes_by_the_queue(open_queue: Open) -> None:
    """Nothing is made up for what nobody knows."""

    def unknown(_: Path) -> int:
        raise OSError

    free, left = open_queue(max_size_bytes=512 * MIB, free_bytes=unknown).bounds.vacancy()
    assert free is None
    assert left > 450 * MIB


@pytest.mark.parametrize(("rate", "seconds"), [(-2.0, 300), (0.0, None), (2.0, None), (None, None)])
def test_drain_is_told_where_it_drains(rate: float | None, seconds: int | None) -> None:
    """For ever is no number."""
    assert drain_s(600, rate) == seconds
