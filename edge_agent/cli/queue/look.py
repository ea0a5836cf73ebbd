"""``queue stats`` and ``queue peek``: what waits, running agent or not."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from edge_agent.cli.common import add_json_options
from edge_agent.cli.queue.common import Commands, add_command, answer, counted, opened, whole_number
from edge_agent.cli.queue.schemas import PEEK, STATS
from edge_agent.cli.status.text import span
from edge_agent.cli.table import aligned
from edge_agent.cloud_sync import CloudSyncQueue, QueueItem


def register(commands: Commands) -> None:
    """Add both."""
    parser = add_command(
        commands, "stats", "how much waits, and where the rest went", stats, example="queue stats"
    )
    add_json_options(parser, STATS)
    parser = add_command(
        commands,
        "peek",
        "what may be sent next, first things first",
        peek,
        example="queue peek -n 20",
    )
    parser.add_argument(
        "-n",
        type=whole_number,
        default=5,
        dest="most",
        metavar="N",
        help="at most so many rows (default: %(default)s)",
    )
    add_json_options(parser, PEEK)


def stats(args: argparse.Namespace) -> int:
    """Print the figures; 0."""
    with opened(args.config) as queue:
        facts = gather(queue)
    answer(args, facts, _sentences(facts))
    return 0


def gather(queue: CloudSyncQueue) -> dict[str, Any]:
    """The figures in the shape of `queue_schemas.STATS`."""
    found, ledger = queue.get_stats(), queue.ledger()
    return {
        "version": 1,
        "path": str(queue.path),
        "depth": found["depth"],
        "by_priority": {p.word: depth for p, depth in queue.depths().items()},
        "oldest_s": queue.oldest_s(),
        "retrying": found["retrying_items"],
        "retries": found["total_retries"],
        "dead_letters": ledger.dead,
        "size_bytes": queue.size_bytes(),
        "ledger": dataclasses.asdict(ledger),
    }


def _sentences(facts: dict[str, Any]) -> list[str]:
    oldest = facts["oldest_s"]
    rows = [
        ("queue", facts["path"]),
        ("size", f"{facts['size_bytes']} bytes"),
        ("waiting", str(facts["depth"])),
        *((f"  {word}", str(depth)) for word, depth in facts["by_priority"].items()),
        ("oldest", "none" if oldest is None else span(oldest)),
        ("retrying", f"{facts['retrying']} ({facts['retries']} tries in all)"),
        *_books(facts["ledger"]),
    ]
    return aligned(rows)


def _books(ledger: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What became of the others; damage may have taken a count with it."""
    for name, count in ledger.items():
        if name not in ("queued", "corrupt_unknown"):
            more = " or more" if name == "corrupt" and ledger["corrupt_unknown"] else ""
            yield name, f"{count}{more}"


def peek(args: argparse.Namespace) -> int:
    """Print the rows that go next; 0, also where there are none."""
    with opened(args.config) as queue:
        items, now, depth = queue.peek(args.most), queue.now(), queue.pending_count()
    facts = {"version": 1, "items": [item.to_dict() for item in items]}
    lines = _table(items, now) if items else ["nothing may be sent now"]
    if (left := depth - len(items)) > 0:
        more = f"{counted(left, 'more row')} in the queue"
        lines.append(f"{more}; what was tried already is held back until its next try")
    answer(args, facts, lines)
    return 0


def _table(items: list[QueueItem], now: float) -> list[str]:
    rows = [
        (
            str(item.id),
            item.priority.word,
            span(now - item.created_at),
            str(item.retry_count),
            json.dumps(item.payload, ensure_ascii=False),
        )
        for item in items
    ]
    return aligned([("ID", "PRIORITY", "AGE", "TRIES", "PAYLOAD"), *rows])
