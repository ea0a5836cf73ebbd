"""``status``: how the agent and its queue are, running or not."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from edge_agent.cli.common import add_config_option, add_example, add_json_options, queue_to_look
from edge_agent.cli.status_schema import STATUS
from edge_agent.cli.status_text import local, render
from edge_agent.cli.status_wear import endurance, wear
from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon import process
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.daemon.runs import last_end

_WATCH_EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``status``."""
    parser = commands.add_parser("status", help="sensors, queue, link and ledger")
    add_example(parser, "status --watch")
    add_config_option(parser)
    add_json_options(parser, STATUS)
    parser.add_argument("--watch", action="store_true", help="again every two seconds")
    parser.add_argument("--history", action="store_true", help="the last 200 changes of state")
    parser.add_argument(
        "--endurance",
        type=endurance,
        metavar="SIZE",
        help="what the card's maker states can be written to it (30TB): how long it would last",
    )
    parser.set_defaults(run=status)


def status(args: argparse.Namespace) -> int:
    """Print the status; 0, also of an agent that is stopped.

    Raises:
        ConfigError: the configuration cannot be read, so nobody knows where the queue is.
        StoreError: there is no queue file yet, or it cannot be read.
    """
    path = Path(queue_to_look(args.config).path)
    directory = runtime_directory(path, os.environ)
    with CloudSyncQueue(path) as queue:
        _print(queue, directory, args)
        while args.watch:
            time.sleep(_WATCH_EVERY_S)
            sys.stdout.write(_CLEAR if sys.stdout.isatty() else "\n")
            _print(queue, directory, args)
    return 0


def _print(queue: CloudSyncQueue, directory: Path, args: argparse.Namespace) -> None:
    if args.history:
        lines = [f"{local(at)}  {line}" for at, line in queue.memory.history()]
    else:
        facts = gather(queue, directory, SystemClock(), args.endurance)
        lines = [json.dumps(facts)] if args.json else render(facts, colours=wants_colours())
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def wants_colours() -> bool:
    """Whether stdout is a terminal that shows colours, for somebody who wants them.

    Source:
        https://no-color.org: any value of NO_COLOR but an empty one says no.
    """
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not unwanted


def gather(
    queue: CloudSyncQueue, directory: Path, clock: Clock, endurance_bytes: int | None = None
) -> dict[str, Any]:
    """The status as one JSON-representable object.

    The queue's part is read from its file, now; the agent's part is what a running agent last
    wrote of itself, and empty when none runs.

    Args:
        queue: opened to look.
        directory: `edge_agent.daemon.assembly.runtime_directory`.
        clock: the machine's.
        endurance_bytes: what the card's maker states that can be written to it.
    """
    ledger, agent = queue.ledger(), running_agent(directory)
    return {
        "version": 1,
        "at": clock.wall(),
        "running": agent is not None,
        "queue": {
            "path": str(queue.path),
            "depth": ledger.queued,
            "by_priority": {p.word: depth for p, depth in queue.depths().items()},
            "oldest_s": queue.oldest_s(),
            "size_bytes": queue.size_bytes(),
            "delivered_at": queue.last_flush_time,
        },
        "wear": wear(queue.path, queue.traffic.written(), endurance_bytes),
        "ledger": dataclasses.asdict(ledger),
        "last_run": agent["previous_run"] if agent else last_end(queue.memory, clock),
        "agent": agent or {},
    }


def running_agent(directory: Path) -> dict[str, Any] | None:
    """What a running agent wrote of itself; None when none runs.

    A process that was given the number of one that has ended is none.

    Args:
        directory: `edge_agent.daemon.assembly.runtime_directory`.
    """
    try:
        text = (directory / "status.json").read_text(encoding="utf-8")
        written: dict[str, Any] = json.loads(text)
        runs = process.runs(written["pid"], written["start_ticks"])
    except (OSError, ValueError, KeyError):
        return None
    return written if runs else None
