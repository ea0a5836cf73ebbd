"""``flush``: asks the running agent to send now, and says how it went."""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.cli.common import add_json_options, load_to_look
from edge_agent.cli.queue.common import Commands, add_command, answer, counted, whole_number
from edge_agent.cli.schemas import FLUSH
from edge_agent.cli.status.command import running_agent
from edge_agent.cli.status.text import span
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.errors import EdgeAgentError

#: How often the status is looked at; the agent writes it every five seconds at the latest.
_LOOK_EVERY_S = 0.2
#: A request may take its whole `upload.timeout`, and one may be on its way already.
_WAIT_S = 60


def register(commands: Commands) -> None:
    """Add ``flush``."""
    parser = add_command(
        commands, "flush", "have the running agent send now", flush, example="flush"
    )
    parser.add_argument(
        "--wait",
        type=whole_number,
        default=_WAIT_S,
        metavar="SECONDS",
        help="how long to wait for the outcome (default: %(default)s)",
    )
    add_json_options(parser, FLUSH)


def flush(args: argparse.Namespace) -> int:
    """Ask, and wait for the outcome; 0, or 1 where nothing was delivered.

    Raises:
        ConfigError: the configuration cannot be read, so nobody knows where the agent's status is.
        EdgeAgentError: no agent runs, it is another user's, or nothing came of it in time.
    """
    queue = Path(load_to_look(args.config).queue.path)
    directory = runtime_directory(queue, os.environ)
    before = _agent(directory)
    if before["health"]["link"] == "store_only":
        raise EdgeAgentError("the agent has no upload.endpoint, so it keeps all and sends nothing")
    _ask(before["pid"])
    for now in _changes(directory, before, args.wait):
        if now["delivered_total"] > before["delivered_total"]:
            return _tell(args, now, now["delivered_total"] - before["delivered_total"])
        if now["attempts_total"] != before["attempts_total"] and now["health"]["link"] != "up":
            raise EdgeAgentError(_failed(now))
        if not now["health"]["depth"]:
            return _tell(args, now, 0)
    raise EdgeAgentError(_in_vain(running_agent(directory) or before, before, args.wait))


def _agent(directory: Path) -> dict[str, Any]:
    """What a running agent last wrote of itself.

    Raises:
        EdgeAgentError: none runs.
    """
    agent = running_agent(directory)
    if agent is None:
        raise EdgeAgentError(
            "no agent runs that could send; start it (sudo systemctl start pyvorin-agent), or take"
            " the rows elsewhere (pyvorin-agent queue export)"
        )
    return agent


def _ask(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGUSR1)
    except PermissionError:
        raise EdgeAgentError(f"the agent (pid {pid}) is another user's; use sudo") from None
    except ProcessLookupError:
        raise EdgeAgentError("the agent has just ended; see pyvorin-agent status") from None


def _changes(directory: Path, before: dict[str, Any], wait_s: float) -> Iterator[dict[str, Any]]:
    """What the agent writes of itself from now on, until it has ended or the time is over."""
    deadline = time.monotonic() + wait_s
    seen = before["at"]
    while time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        now = running_agent(directory)
        if now is None or now["pid"] != before["pid"]:
            return
        if now["at"] != seen:
            seen = now["at"]
            yield now


def _tell(args: argparse.Namespace, now: dict[str, Any], delivered: int) -> int:
    waiting = now["health"]["depth"]
    line = f"{counted(delivered, 'reading')} delivered, {waiting} waiting"
    facts = {"version": 1, "delivered": delivered, "waiting": waiting}
    answer(args, facts, [line if delivered else "nothing was waiting"])
    return 0


def _failed(now: dict[str, Any]) -> str:
    """How an attempt failed, what to do, and when the next one is."""
    health, do = now["health"], now["link"]["do"]
    again_s = health["next_try_s"]
    parts = [
        f"nothing was delivered: link {health['link']}, {health['link_reason']}",
        *([do] if do else []),
        *([] if again_s is None else [f"next try in {span(again_s)}"]),
    ]
    return "; ".join(parts)


def _in_vain(now: dict[str, Any], before: dict[str, Any], wait_s: float) -> str:
    """Why there is no outcome."""
    if now["at"] == before["at"]:
        return f"the agent has not answered within {wait_s} s; see journalctl -u pyvorin-agent"
    quota = now["request"]["quota_reached"]
    why = f"the quota of {quota} is reached" if quota else "see pyvorin-agent status"
    return f"nothing was delivered within {wait_s} s, {now['health']['depth']} waiting; {why}"
