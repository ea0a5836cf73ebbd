"""Every figure in one run: tables to read, JSON to compare with another run's."""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from pathlib import Path

import bench_queue
import bench_schedule
import bench_slices


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller queues, under two minutes")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    args = parser.parse_args()
    sizes = [1_000, 100_000] if args.quick else [1_000, 100_000, 1_000_000]
    figures: dict[str, object] = {"sqlite": sqlite3.sqlite_version}
    with tempfile.TemporaryDirectory(dir=".") as name:
        directory = Path(name)
        figures["rates"] = bench_queue.print_rates(directory, 2 if args.quick else 10)
        figures["dequeue"] = bench_queue.print_dequeue(directory, sizes, 300)
        figures["schedule"] = bench_schedule.print_errors(directory, 12 if args.quick else 60)
    figures["slices"] = list(bench_slices.table(sizes[1:], [] if args.quick else [10_000_000]))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
