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

from edge_agent.cli.common import add_config_option, become_owner, load_to_look
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.errors import StoreError

_WATCH_EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``status``."""
    parser = commands.add_parser("status", help="sensors, queue, link and ledger")
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--watch", action="store_true", help="again every two seconds")
    parser.add_argument("--history", action="store_true", help="the last 200 changes of state")
    parser.set_defaults(run=status)


def status(args: argparse.Namespace) -> int:
    """Print the status; 0, also of an agent that is stopped.

    Raises:
        ConfigError: the configuration cannot be read, so nobody knows where the queue is.
        StoreError: there is no queue file yet, or it cannot be read.
    """
    path = Path(load_to_look(args.config).queue.path)
    if not path.exists():
        raise StoreError(f"{path} does not exist yet; start the agent first")
    directory = runtime_directory(path, os.environ)
    become_owner(path)
    with CloudSyncQueue(path) as queue:
        _print(queue, directory, args)
        while args.watch:
            time.sleep(_WATCH_EVERY_S)
            sys.stdout.write(_CLEAR if sys.stdout.isatty() else "\n")
            _print(queue, directory, args)
    return 0


def _print(queue: CloudSyncQueue, directory: Path, args: argparse.Namespace) -> None:
    if args.history:
        lines = [f"{_local(at)}  {line}" for at, line in queue.memory.history()]
    else:
        facts = gather(queue, directory)
        lines = [json.dumps(facts)] if args.json else list(_sentences(facts))
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def gather(queue: CloudSyncQueue, directory: Path) -> dict[str, Any]:
    """The status as one JSON-representable object.

    The queue's part is read from its file, now; the agent's part is what a running agent last
    wrote of itself, and empty when none runs.
    """
    ledger = queue.ledger()
    return {
        "version": 1,
        "running": (agent := running_agent(directory / "status.json")) is not None,
        "queue": {
            "path": str(queue.path),
            "depth": ledger.queued,
            "by_priority": {p.word: depth for p, depth in queue.depths().items()},
            "oldest_s": queue.oldest_s(),
            "size_bytes": queue.size_bytes(),
        },
        "ledger": dataclasses.asdict(ledger),
        "agent": agent or {},
    }


def running_agent(file: Path) -> dict[str, Any] | None:
    """What a running agent wrote of itself; None when none runs."""
    try:
        written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        os.kill(written["pid"], 0)
    except PermissionError:
        return written
    except (OSError, ValueError, KeyError):
        return None
    return written


def _sentences(facts: dict[str, Any]) -> list[str]:
    """The status for a person."""
    agent = facts["agent"]
    lines = [
        f"agent    {'running' if facts['running'] else 'not running'}",
        _queue(facts["queue"]),
        _books(facts["ledger"]),
    ]
    if agent:
        lines += [_link(agent["health"]), _request(agent["request"]), *_sensors(agent["sensors"])]
    return lines


def _queue(queue: dict[str, Any]) -> str:
    """The queue in words."""
    kinds = ", ".join(f"{depth} {word}" for word, depth in queue["by_priority"].items() if depth)
    oldest = f", the oldest for {queue['oldest_s']:.0f} s" if queue["oldest_s"] is not None else ""
    megabytes = f"{queue['size_bytes'] / 1e6:.1f} MB in {queue['path']}"
    return f"queue    {queue['depth']} waiting{f' ({kinds})' if kinds else ''}{oldest}; {megabytes}"


def _books(ledger: dict[str, Any]) -> str:
    """What is not zero, in words."""
    counts = {name: n for name, n in ledger.items() if name != "corrupt_unknown"}
    if ledger["corrupt_unknown"]:
        counts["corrupt"] = f"{ledger['corrupt']} or more"
    return f"ledger   {', '.join(f'{k} {n}' for k, n in counts.items() if n or k == 'enqueued')}"


def _link(health: dict[str, Any]) -> str:
    """The link in words."""
    reason = f": {health['link_reason']}" if health["link_reason"] else ""
    since = f" for {health['link_s']} s" if health["link_s"] is not None else ""
    retry = f"; next try in {health['next_try_s']} s" if health["next_try_s"] is not None else ""
    return f"link     {health['link']}{since}{reason}{retry}"


def _request(request: dict[str, Any]) -> str:
    """The size of a request, and the quota, in words."""
    reached = request["quota_reached"]
    quota = f"; quota of {reached} reached, telemetry and logs wait" if reached else ""
    size = f"{request['max_bytes'] / 1024:.0f} KiB"
    return f"upload   at most {request['items']} items and {size} a request{quota}"


def _sensors(sensors: dict[str, Any]) -> list[str]:
    """One line for each channel that was ever read, and for each fault."""
    lines = []
    for name, sensor in sensors.items():
        lines += [f"sensor   {name}: {why}" for name, why in sensor["faults"].items()]
        for channel, last in sensor["last"].items():
            lines.append(
                f"sensor   {channel}: {last['value']} {last['unit']} at {_local(last['timestamp'])}"
            )
        if not sensor["faults"] and not sensor["last"]:
            lines.append(f"sensor   {name}: not read yet")
    return lines


def _local(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))
