"""Plays seeds of `tests/fakes/simulation.py`, and names those in which a promise does not hold."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from fakes.accounts import faults_of
from fakes.simulation import simulated

#: On a disk of memory where there is one: the simulated power cuts flush nothing anyway.
_PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # only sought here


def main() -> int:
    """0 when every promise held in every life."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=range(20), metavar="N|FIRST-LAST")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tell", action="store_true", help="what happened, hour by hour")
    args = parser.parse_args()
    began, failed = time.monotonic(), 0
    with ProcessPoolExecutor(args.jobs) as pool:
        for seed, (faults, story) in zip(
            args.seeds, pool.map(partial(_life, days=args.days), args.seeds), strict=True
        ):
            failed += bool(faults)
            told = [f"seed {seed}: {fault}" for fault in faults]
            sys.stdout.write(
                "".join(f"{line}\n" for line in (*told, *(story if args.tell else ())))
            )
            sys.stdout.flush()
    days = len(args.seeds) * args.days
    pace = days / (time.monotonic() - began)
    sys.stdout.write(
        f"{len(args.seeds)} seeds of {args.days:g} days: {failed} failed; "
        f"{pace:.2f} simulated days a second\n"
    )
    return int(failed > 0)


def _seeds(text: str) -> range:
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def _life(seed: int, days: float) -> tuple[list[str], list[str]]:
    """What did not hold in it, and what happened."""
    with tempfile.TemporaryDirectory(dir=_PLACE) as folder, simulated(seed, Path(folder)) as world:
        world.play(days)
        story = [f"  {at / 3600:8.2f} h  {words}" for at, words in world.story]
        return faults_of(world), story


if __name__ == "__main__":
    sys.exit(main())
