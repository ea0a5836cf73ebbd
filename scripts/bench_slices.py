"""What the queue's big work costs those who wait: expiry, thinning, shedding, correction, salvage.

Each case runs in a process of its own, on a file of so many rows, while another thread enqueues
every few milliseconds. Printed: how long it took, the longest time that one transaction held the
lock, the longest that an enqueue took meanwhile, and how far the peak of memory rose.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import bench_queue as bench

from edge_agent.clock import SystemClock
from edge_agent.cloud_sync import CloudSyncQueue

#: between two enqueues of the thread that stands for the poller
PAUSE_S = 0.005
DAYS_BEHIND = 3


class UnsetClock(SystemClock):
    """This machine's clock, days behind until it is set right."""

    behind_s = float(DAYS_BEHIND * bench.DAY_S)

    def wall(self) -> float:
        """Unix seconds, wrong until set."""
        return super().wall() - self.behind_s

    def synchronized(self) -> bool:
        """Whether it was set right."""
        return not self.behind_s


class Watch:
    """Times each transaction, and the enqueues of another thread."""

    def __init__(self, queue: CloudSyncQueue) -> None:
        self.held_s: list[float] = [0.0]
        self.enqueue_s: list[float] = [0.0]
        self._queue = queue
        self._write = queue._store.write
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._enqueue)
        queue._store.write = self._timed_write  # type: ignore[method-assign]

    @contextlib.contextmanager
    def _timed_write(self, *args: Any) -> Iterator[sqlite3.Connection]:
        with self._write(*args) as db:
            began = time.perf_counter()
            yield db
        self.held_s.append(time.perf_counter() - began)

    def _enqueue(self) -> None:
        while not self._stop.wait(PAUSE_S):
            began = time.perf_counter()
            self._queue.enqueue(bench.PAYLOAD, ttl_seconds=30 * bench.DAY_S)
            self.enqueue_s.append(time.perf_counter() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


def peak_kib() -> int:
    """The most memory this process had since it was last forgotten (proc(5), VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def forget_peak() -> None:
    """Let the peak begin anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def until_quiet(queue: CloudSyncQueue) -> None:
    """Upkeep, as the flusher does it, until nothing is left to do at once."""
    queue.upkeep()
    while queue.restless() or queue.bounds.crowded:
        queue.upkeep()


def opened(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """Opened once more, and looked at."""
    bench.fill(path, "all eligible", rows)

    def act() -> None:
        with CloudSyncQueue(path) as another:
            another.dequeue(50)

    return CloudSyncQueue(path), act


def expire(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """Half of the rows have expired, in front of the others."""
    bench.fill(path, "half expired in front", rows)
    queue = CloudSyncQueue(path)
    return queue, lambda: until_quiet(queue)


def expire_mixed(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """The same with two TTLs at one priority."""
    bench.fill(path, "the same, mixed TTLs", rows)
    queue = CloudSyncQueue(path)
    return queue, lambda: until_quiet(queue)


def make_room(path: Path, rows: int, when_full: str) -> CloudSyncQueue:
    """The file is a third larger than it may be."""
    bench.fill(path, "all eligible", rows)
    return CloudSyncQueue(path, max_size_bytes=path.stat().st_size * 3 // 4, when_full=when_full)


def thin(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """A third too large, thinned."""
    queue = make_room(path, rows, "thin")
    return queue, lambda: until_quiet(queue)


def shed(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """A third too large, shed."""
    queue = make_room(path, rows, "shed")
    return queue, lambda: until_quiet(queue)


def correct(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """All rows were taken before the clock was set."""
    clock = UnsetClock()
    queue = CloudSyncQueue(path, clock=clock)
    queue.enqueue(bench.PAYLOAD)
    metadata = {**bench.PAYLOAD["metadata"], "clock": "unsynced"}  # type: ignore[dict-item]
    bench.insert(path, "all eligible", rows, queue.now(), {**bench.PAYLOAD, "metadata": metadata})

    def act() -> None:
        clock.behind_s = 0.0
        queue.tick()
        until_quiet(queue)

    return queue, act


def salvage(path: Path, rows: int) -> tuple[CloudSyncQueue, Callable[[], object]]:
    """Four pages in a hundred thousand are garbage."""
    bench.fill(path, "all eligible", rows)
    draw = random.Random(7)
    with path.open("r+b") as file:
        pages = path.stat().st_size // 4096
        for _ in range(max(4, pages // 25_000)):
            file.seek(4096 * draw.randrange(pages // 10, pages))
            file.write(draw.randbytes(4096))
    queue = CloudSyncQueue(path, unattended=True)

    def act() -> None:
        with contextlib.suppress(Exception):
            queue.ledger()
        until_quiet(queue)

    return queue, act


CASES: dict[str, Callable[[Path, int], tuple[CloudSyncQueue, Callable[[], object]]]] = {
    "open and dequeue": opened,
    "expire": expire,
    "expire, mixed TTLs": expire_mixed,
    "thin": thin,
    "shed": shed,
    "correct": correct,
    "salvage": salvage,
}


def measure(case: str, path: Path, rows: int) -> dict[str, float]:
    """One case, in this process."""
    began = time.perf_counter()
    queue, act = CASES[case](path, rows)
    with queue, Watch(queue) as watch:
        prepared_s = time.perf_counter() - began
        forget_peak()
        before = peak_kib()
        began = time.perf_counter()
        act()
        lasted_s = time.perf_counter() - began
        grown_kib = peak_kib() - before
        if not queue.ledger().closes:
            raise SystemExit(f"{case}: the ledger does not close: {queue.ledger()}")
    return {
        "prepared_s": prepared_s,
        "lasted_s": lasted_s,
        "held_ms": 1e3 * max(watch.held_s),
        "enqueue_max_ms": 1e3 * max(watch.enqueue_s),
        "grown_mib": grown_kib / 1024,
    }


#: cases that are tried on the deepest queues as well
DEEP = ("open and dequeue", "expire")


def table(sizes: list[int], deep: list[int]) -> Iterator[dict[str, Any]]:
    """Every case at every size, some on deeper queues, each in a process of its own."""
    print("\nwork in slices               rows   lasted s  lock ms  enqueue max ms  memory MiB")
    for case in CASES:
        for rows in sizes + (deep if case in DEEP else []):
            with tempfile.TemporaryDirectory(dir=".") as name:
                told = subprocess.run(
                    [sys.executable, __file__, case, str(rows), f"{name}/q.db"],
                    check=True,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": "."},
                )
            found = json.loads(told.stdout)
            print(
                f"{case:23}{rows:10}{found['lasted_s']:11.2f}{found['held_ms']:9.1f}"
                f"{found['enqueue_max_ms']:16.1f}{found['grown_mib']:12.1f}",
                flush=True,
            )
            yield {"case": case, "rows": rows, **found}


def main() -> None:
    """One case; what it cost as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("rows", type=int)
    parser.add_argument("path", type=Path)
    args = parser.parse_args()
    print(json.dumps(measure(args.case, args.path, args.rows)))


if __name__ == "__main__":
    main()
