"""What the agent writes to the card in a day: over restarts and midnights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.runs import Run
from edge_agent.daemon.wear import Wear, written_bytes

DAY_S = 86_400.0
IO = "rchar: 1\nwchar: 70000\nsyscr: 1\nsyscw: 1\nread_bytes: 0\nwrite_bytes: 8192\n"


class Kernel:
    """Counts what a process wrote."""

    def __init__(self) -> None:
        self.written = 0

    def __call__(self) -> int:
        return self.written


@pytest.fixture
def clock() -> FakeClock:
    noon = dt.datetime(2026, 1, 30, 12).astimezone()  # of the day that this machine's zone has
    return FakeClock(wall=noon.timestamp())


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[CloudSyncQueue]:
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        yield queue


def test_wear_reads_what_the_kernel_counted(tmp_path: Path) -> None:
    """Bytes for the disk, not those for pipes and memory; and nothing where there is no count."""
    io = tmp_path / "io"
    assert written_bytes(io) is None
    io.write_text("rchar: 1\n")
    assert written_bytes(io) is None
    io.write_text(f"{IO}cancelled_write_bytes: 4096\n")
    assert written_bytes(io) == 8192


def test_wear_of_this_process_is_counted() -> None:
    """The kernel's file has the field that is looked for."""
    assert written_bytes() is not None


def test_wear_of_a_day_outlives_a_restart(queue: CloudSyncQueue) -> None:
    """What was kept stays, and the next process begins at 0."""
    kernel = Kernel()
    wear = Wear(queue.traffic, kernel)
    kernel.written = 1000
    assert wear.today() == 1000
    wear.keep(60, {"agent.test": 1})
    assert (wear.today(), queue.memory.load("agent.test")) == (1000, 1)
    kernel.written = 1500
    wear.keep(120, {})
    kernel.written = 300
    again = Wear(queue.traffic, kernel)
    assert again.today() == 1800


def test_wear_begins_anew_at_midnight(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """What was not kept by then belongs to the new day."""
    kernel = Kernel()
    wear = Wear(queue.traffic, kernel)
    kernel.written = 1000
    wear.keep(120, {})
    clock.advance(DAY_S)
    assert wear.today() == 0
    kernel.written = 1200
    assert wear.today() == 200
    wear.keep(120, {})
    assert (wear.today(), queue.traffic.written_today()) == (200, 200)


def test_wear_is_kept_with_the_record_of_the_run(queue: CloudSyncQueue, clock: FakeClock) -> None:
    """One commit for both."""
    kernel = Kernel()
    run = Run(queue, clock)
    run.wear = Wear(queue.traffic, kernel)
    kernel.written = 5000
    run.note("stopped")
    assert queue.traffic.written_today() == 5000


def test_wear_that_nobody_counts_keeps_the_record_all_the_same(queue: CloudSyncQueue) -> None:
    """A sandbox may hide the kernel's file."""
    wear = Wear(queue.traffic, lambda: None)
    wear.keep(60, {"agent.test": 2})
    assert wear.today() is None
    assert queue.memory.load("agent.test") == 2
    assert queue.traffic.written() == (0, 0)


def test_wear_of_a_day_on_average_is_that_of_running_time(
    queue: CloudSyncQueue, clock: FakeClock
) -> None:
    """Over restarts; neither a clock that is set nor a week in a cupboard has a part in it."""
    kernel = Kernel()
    for _ in range(2):
        run = Run(queue, clock)
        run.wear = Wear(queue.traffic, kernel)
        run.begin()
        clock.advance(1800)
        kernel.written = 5000
        run.note()
        clock.step(7 * DAY_S)
        clock.advance(1800)
        kernel.written = 7000
        run.note("stopped")
        kernel.written = 0
        clock.advance(7 * DAY_S)
    assert queue.traffic.written() == (14_000, 7200)


def test_wear_of_long_ago_counts_for_less(queue: CloudSyncQueue) -> None:
    """Settings change: the average is that of one to two months."""
    for _ in range(61):
        queue.traffic.keep_written(1000, 86_400, {})
    assert queue.traffic.written() == (30_500, 61 * 43_200)
    for _ in range(29):
        queue.traffic.keep_written(10, 86_400, {})
    assert queue.traffic.written() == (30_790, 61 * 43_200 + 29 * 86_400)
