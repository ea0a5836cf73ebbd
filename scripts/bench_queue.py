"""The queue's own figures: rates beside bare SQLite, and `dequeue` in every state it can be in.

Rates are ratios within one run; absolute times belong to the machine they were taken on.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

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

        for _ in range(rounds):
            ours["one"] += timed(lambda: queue.enqueue(PAYLOAD), 200)
            ours["bare one"] += timed(lambda: db.execute(INSERT, rows[0]), 200)
            ours["hundred"] += timed(lambda: queue.enqueue_many(hundred), 20)
            ours["bare hundred"] += timed(bare_hundred, 20)
        db.close()
    return {name: 1 / statistics.median(taken) for name, taken in ours.items()}


def fill(queue_path: Path, state: str, number: int) -> None:
    """Put so many rows of a state into a queue file, by SQL."""
    with CloudSyncQueue(queue_path) as queue:
        now = queue.now()
    text = json.dumps(PAYLOAD, separators=(",", ":"))
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


def dequeue_figures(
    directory: Path, sizes: list[int], times: int
) -> Iterator[tuple[str, int, float, float]]:
    """State, rows, p50 and p99 in milliseconds of `dequeue(50)`."""
    for state in STATES:
        for number in sizes:
            path = directory / "state.db"
            fill(path, state, number)
            with CloudSyncQueue(path) as queue:
                wanted = 0 if state == "all backed off" else 50
                if len(queue.dequeue(50)) != wanted:
                    raise SystemExit(f"{state}: not the state it is meant to be")
                taken = timed(lambda: queue.dequeue(50), times)
            yield state, number, p(taken, 50), p(taken, 99)
            for file in directory.glob("state.db*"):
                file.unlink()


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller queues, under two minutes")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    args = parser.parse_args()
    sizes = [1_000, 100_000] if args.quick else [1_000, 100_000, 1_000_000]
    with tempfile.TemporaryDirectory(dir=".") as name:
        found = rates(Path(name), 2 if args.quick else 10)
        for title, ours, limit in (
            ("enqueue, one commit each", "one", "bare one"),
            ("enqueue_many, 100 a commit", "hundred", "bare hundred"),
        ):
            each = 100 if ours == "hundred" else 1
            ratio = found[ours] / found[limit]
            print(f"{title:28}{each * found[ours]:9.0f}/s   {ratio:.2f} x bare SQLite")
        print("\ndequeue(50)                       rows     p50 ms     p99 ms")
        table = []
        for state, number, p50, p99 in dequeue_figures(Path(name), sizes, 300):
            table.append({"state": state, "rows": number, "p50_ms": p50, "p99_ms": p99})
            print(f"{state:28}{number:10}{p50:11.3f}{p99:11.3f}", flush=True)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    figures = {"sqlite": sqlite3.sqlite_version, "rates": found, "dequeue": table}
    args.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
