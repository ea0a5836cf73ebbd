"""``status``: how the agent and its queue are, running or not."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any, Self

from edge_agent.cli.common import add_config_option, add_example, add_json_options, config_to_look
from edge_agent.cli.status.certificate import WITHIN_S, Asked, shown_to
from edge_agent.cli.status.schema import STATUS
from edge_agent.cli.status.text import local, render
from edge_agent.cli.status.watch import watch
from edge_agent.cli.status.wear import endurance, wear
from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon import process
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.daemon.runs import last_end
from edge_agent.errors import StoreError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``status``."""
    parser = commands.add_parser("status", help="sensors, queue, link and ledger")
    add_example(parser, "status --watch")
    add_config_option(parser)
    add_json_options(parser, STATUS)
    parser.add_argument(
        "--watch", action="store_true", help="again every two seconds, until Ctrl-C"
    )
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
    config, clock = config_to_look(args.config), SystemClock()
    upload, path = config.upload, Path(config.queue.path)
    directory = runtime_directory(path, os.environ)
    asked = Asked(lambda: shown_to(upload.endpoint or "", upload.proxy, WITHIN_S), clock)
    with _Lookout(path) as lookout:

        def look(columns: int | None) -> list[str]:
            queue = lookout.queue()
            if args.history and not args.json:
                return _changes(queue, columns)
            facts = gather(queue, directory, clock, args.endurance)
            facts["certificate"] = asked.certificate(facts["agent"])
            return _lines(facts, queue, args, columns)

        if args.watch:
            return watch(look, newest_last=args.history, stream=args.json)
        sys.stdout.write("\n".join([*look(None), ""]))
    return 0


class _Lookout:
    """The queue that is in the file now: an agent replaces one that is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def queue(self) -> CloudSyncQueue:
        """The queue, opened.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        try:
            inode = self._path.stat().st_ino
        except OSError as exc:
            raise StoreError(f"{self._path} cannot be read: {exc.strerror}") from exc
        if inode != self._inode:
            self._opened.close()
            self._inode = 0
            self._queue = self._opened.enter_context(CloudSyncQueue(self._path))
            self._inode = inode
        return self._queue


def _changes(queue: CloudSyncQueue, columns: int | None = None) -> list[str]:
    """The last changes of state, none of them wider than that."""
    return [f"{local(at)}  {line}"[:columns] for at, line in queue.memory.history()]


def _lines(
    facts: dict[str, Any], queue: CloudSyncQueue, args: argparse.Namespace, columns: int | None
) -> list[str]:
    """What is printed at once: JSON, or words for a terminal of so many columns."""
    if args.json and args.history:
        changes = queue.memory.history()
        facts["history"] = [{"at": at, "event": line} for at, line in changes]
    if args.json:
        return [json.dumps(facts)]
    return render(facts, colours=wants_colours(), columns=columns)


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
        "last_run": agent.get("previous_run") if agent else last_end(queue.memory, clock),
        "certificate": None,
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
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return written if runs else None
