"""``queue dead``: dead letters, each with the answer that condemned it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from edge_agent.cli.common import add_json_options
from edge_agent.cli.progress import progress
from edge_agent.cli.queue.common import (
    Commands,
    add_command,
    answer,
    confirmed,
    counted,
    opened,
    whole_number,
)
from edge_agent.cli.queue.schemas import DEAD_DROP, DEAD_LIST, DEAD_REPLAY, DEAD_SHOW
from edge_agent.cli.table import aligned
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.cloud_sync.dead import DeadLetter
from edge_agent.errors import QueueError


def register(commands: Commands) -> None:
    """Add ``dead`` and its four commands."""
    parser = commands.add_parser("dead", help="what a server refused, one by one")
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    listed = add_command(group, "list", "all of them", list_, example="queue dead list")
    add_json_options(listed, DEAD_LIST)
    shown = add_command(
        group, "show", "one of them, with all that is known", show, example="queue dead show 41"
    )
    shown.add_argument("id", type=whole_number, metavar="ID", help="as `queue dead list` has it")
    add_json_options(shown, DEAD_SHOW)
    replayed = add_command(
        group, "replay", "send them once more", replay, example="queue dead replay 41 42"
    )
    dropped = add_command(group, "drop", "delete them", drop, example="queue dead drop 41")
    for one in (replayed, dropped):
        one.add_argument(
            "ids", type=whole_number, nargs="*", metavar="ID", help="only these (default: all)"
        )
    dropped.add_argument("--yes", action="store_true", help="do not ask before all are deleted")
    add_json_options(replayed, DEAD_REPLAY)
    add_json_options(dropped, DEAD_DROP)


def list_(args: argparse.Namespace) -> int:
    """Print a line for each; 0, also where there are none."""
    with opened(args.config) as queue:
        letters = list(queue.dead_letters())
    facts = {"version": 1, "dead_letters": [letter.to_dict() for letter in letters]}
    answer(args, facts, _table(letters) if letters else ["no dead letters"])
    return 0


def _table(letters: Sequence[DeadLetter]) -> list[str]:
    rows = [
        (str(one.id), one.priority.word, _local(one.died_at), _sensor(one), one.reason)
        for one in letters
    ]
    return aligned([("ID", "PRIORITY", "DIED", "SENSOR", "REASON"), *rows])


def _sensor(letter: DeadLetter) -> str:
    return str(letter.payload.get("sensor_name", "-"))


def show(args: argparse.Namespace) -> int:
    """Print one; 0.

    Raises:
        QueueError: there is none of this id.
    """
    with opened(args.config) as queue:
        found = [letter for letter in queue.dead_letters() if letter.id == args.id]
    if not found:
        raise QueueError(_none([args.id]))
    facts = found[0].to_dict()
    answer(args, {"version": 1, **facts}, _lines(found[0], facts))
    return 0


def _lines(letter: DeadLetter, facts: dict[str, Any]) -> list[str]:
    shown = facts | {
        "payload": json.dumps(letter.payload, ensure_ascii=False),
        "priority": letter.priority.word,
        "created_at": _local(letter.created_at),
        "died_at": _local(letter.died_at),
    }
    return aligned([(name, str(value)) for name, value in shown.items()])


def replay(args: argparse.Namespace) -> int:
    """Put them back into the queue; 0, or 1 where an id is none."""
    with opened(args.config) as queue:
        ids, missing = _chosen(queue, args.ids)
        with progress("dead letters", len(ids)) as tell:
            moved = queue.replay(ids, progress=tell)
    facts = {"version": 1, "replayed": moved, "missing": missing}
    answer(args, facts, [f"{counted(moved, 'dead letter')} back in the queue"])
    return _done(missing)


def drop(args: argparse.Namespace) -> int:
    """Delete them; 0, or 1 where an id is none or it was not wanted.

    Raises:
        QueueError: all are meant, and nobody is there to be asked.
    """
    with opened(args.config) as queue:
        ids, missing = _chosen(queue, args.ids)
        question = f"Delete {counted(len(ids), 'dead letter')} for good?"
        if not confirmed(question, yes=args.yes or bool(args.ids) or not ids):
            sys.stderr.write("pyvorin-agent: nothing was deleted\n")
            return 1
        with progress("dead letters", len(ids)) as tell:
            gone = queue.drop(ids, progress=tell)
    facts = {"version": 1, "dropped": gone, "missing": missing}
    answer(args, facts, [f"{counted(gone, 'dead letter')} deleted"])
    return _done(missing)


def _chosen(queue: CloudSyncQueue, ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """The ids that are there, all where none is named; and those named that are not."""
    there = [letter.id for letter in queue.dead_letters()]
    known = set(there)
    found = [number for number in ids if number in known] if ids else there
    return found, [number for number in ids if number not in known]


def _done(missing: Sequence[int]) -> int:
    if missing:
        sys.stderr.write(f"pyvorin-agent: {_none(missing)}\n")
    return int(bool(missing))


def _none(ids: Sequence[int]) -> str:
    numbers = ", ".join(map(str, ids))
    return f"no dead letter has the id {numbers}; `queue dead list` shows those that are there"


def _local(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))
