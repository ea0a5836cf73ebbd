"""The queue's own figures: rates beside bare SQLite, and `dequeue` in every state it can be in.

Rates are ratios within one run; absolute times belong to the machine they were taken on.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync import CloudSyncQueue, ttl_span
from edge_agent.cloud_sync.schema import SYNC_QUEUE
from edge_agent.types import Submission

PAYLOAD = {
    "sensor_name": "temp.cold_chain",
    "timestamp": 1717000000.123,
    "value": 2.4375,
    "unit": "celsius",
    "metadata": {"zone": "A", "site": "lyon", "rack": "north-7"},
}
DAY_S = 86_400
INSERT = (
    "INSERT INTO sync_queue(payload, priority, created_at, ttl_seconds, next_retry_at)"
    " VALUES (?, ?, ?, ?, ?)"
)
#: name -> row number i of n at queue time t: priority, created_at, ttl, next_retry_at
STATES: dict[str, Callable[[int, int, float], tuple[int, float, int, float]]] = {
    "all eligible": lambda i, n, t: (3, t - n + i, 30 * DAY_S, t - n + i),
    "all backed off": lambda i, n, t: (3, t - n + i, 30 * DAY_S, t + 600),
    "half expired in front": lambda i, n, t: (
        (3, t - 40 * DAY_S + i / n, 30 * DAY_S, t - 40 * DAY_S + i / n)
        if i < n // 2
        else (3, t - n + i, 30 * DAY_S, t - n + i)
    ),
    "the same, mixed TTLs": lambda i, n, t: (
        (3, t - 3 * DAY_S + i / n, DAY_S, t - 3 * DAY_S + i / n)
        if i < n // 2
        else (3, t - DAY_S + i / n, 30 * DAY_S, t - DAY_S + i / n)
    ),
    "half critical, backed off": lambda i, n, t: (
        (1, t - n + i, 90 * DAY_S, t + 600) if i < n // 2 else (3, t - n + i, 30 * DAY_S, t - n + i)
    ),
}


def timed(act: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of several calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return taken


def p(taken: list[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return 1e3 * statistics.quantiles(taken, n=100)[percent - 1]


def bare(path: Path) -> sqlite3.Connection:
    """SQLite with the queue's table and pragmas, and nothing else."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 4096").fetchone()
    db.executescript(SYNC_QUEUE)
    return db


def rates(directory: Path, rounds: int) -> dict[str, float]:
    """Readings a second, ours and bare, one commit each and a hundred in one; taken in turn."""
    text = json.dumps(PAYLOAD, separators=(",", ":"))
    ours: dict[str, list[float]] = {"one": [], "hundred": [], "bare one": [], "bare hundred": []}
    with CloudSyncQueue(directory / "rates.db") as queue:
        db = bare(directory / "bare.db")
        hundred = [Submission(PAYLOAD)] * 100
        rows = [(text, 3, 1e9, DAY_S, 1e9)] * 100

        def bare_hundred() -> None:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(INSERT, rows)
            db.execute("COMMIT")

        for _ in range(4 * rounds):
            ours["one"] += timed(lambda: queue.enqueue(PAYLOAD), 50)
            ours["bare one"] += timed(lambda: db.execute(INSERT, rows[0]), 50)
            # As the agent's flusher does it: a log that is folded away in time is written over. One
            # that grows has the disk find new blocks in every commit, which takes twice as long.
            queue.upkeep()
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            ours["hundred"] += timed(lambda: queue.enqueue_many(hundred), 5)
            ours["bare hundred"] += timed(bare_hundred, 5)
            queue.upkeep()
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        db.close()
    return {name: 1 / statistics.median(taken) for name, taken in ours.items()}


def fill(queue_path: Path, state: str, number: int) -> None:
    """Make a queue file with so many rows of a state."""
    with CloudSyncQueue(queue_path) as queue:
        now = queue.now()
    insert(queue_path, state, number, now)


def insert(queue_path: Path, state: str, number: int, now: float, payload: Any = PAYLOAD) -> None:
    """Put so many rows of a state into a queue file, by SQL."""
    text = json.dumps(payload, separators=(",", ":"))
    rows = (STATES[state](i, number, now) for i in range(number))
    db = sqlite3.connect(queue_path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    db.executemany(INSERT, ((text, *row) for row in rows))
    # What the queue itself keeps as it inserts.
    ttl_span.keep_found(db)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    db.close()


def dequeue_figures(directory: Path, sizes: list[int], times: int) -> Iterator[dict[str, Any]]:
    """Milliseconds that the first `dequeue(50)` took, and p50 and p99 of those that follow."""
    for state in STATES:
        for number in sizes:
            path = directory / "state.db"
            fill(path, state, number)
            with CloudSyncQueue(path) as queue:
                first = timed(lambda: queue.dequeue(50), 1)
                wanted = 0 if state == "all backed off" else 50
                if len(queue.dequeue(50)) != wanted:
                    raise SystemExit(f"{state}: not the state it is meant to be")
                taken = timed(lambda: queue.dequeue(50), times)
            yield {
                "state": state,
                "rows": number,
                "p50_ms": p(taken, 50),
                "p99_ms": p(taken, 99),
                "first_ms": 1e3 * first[0],
            }
            for file in directory.glob("state.db*"):
                file.unlink()


def print_rates(directory: Path, rounds: int) -> dict[str, float]:
    """Measure and print the rates."""
    found = rates(directory, rounds)
    for title, ours, limit in (
        ("enqueue, one commit each", "one", "bare one"),
        ("enqueue_many, 100 a commit", "hundred", "bare hundred"),
    ):
        each = 100 if ours == "hundred" else 1
        ratio = found[ours] / found[limit]
        print(f"{title:28}{each * found[ours]:9.0f}/s   {ratio:.2f} x bare SQLite")
    return found


def print_dequeue(directory: Path, sizes: list[int], times: int) -> list[dict[str, Any]]:
    """Measure and print `dequeue` in every state."""
    print("\ndequeue(50)                       rows     p50 ms     p99 ms   first ms")
    table = []
    for figures in dequeue_figures(directory, sizes, times):
        table.append(figures)
        times_ms = "".join(f"{figures[name]:11.3f}" for name in ("p50_ms", "p99_ms", "first_ms"))
        print(f"{figures['state']:28}{figures['rows']:10}{times_ms}", flush=True)
    return table
