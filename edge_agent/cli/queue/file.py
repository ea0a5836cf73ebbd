"""``queue verify`` and ``queue vacuum``: whether the file is whole, and no larger than it needs."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from edge_agent.cli.common import add_json_options, queue_to_look
from edge_agent.cli.progress import progress
from edge_agent.cli.queue.common import Commands, add_command, answer, counted, opened
from edge_agent.cli.queue.schemas import VACUUM, VERIFY
from edge_agent.cloud_sync.soundness import look_over


def register(commands: Commands) -> None:
    """Add both."""
    parser = add_command(
        commands, "verify", "look the whole file over", verify, example="queue verify"
    )
    add_json_options(parser, VERIFY)
    parser = add_command(
        commands, "vacuum", "give unused space back to the disk", vacuum, example="queue vacuum"
    )
    add_json_options(parser, VACUUM)


def verify(args: argparse.Namespace) -> int:
    """Print the problems; 0, or 1 where there are any.

    Raises:
        ConfigError, StoreError: nobody knows where the file is, or there is none.
    """
    # Not opened as a queue: a damaged one could not be, and nothing is to be changed.
    path = Path(queue_to_look(args.config).path).absolute()
    with progress("rows read") as tell:
        found = look_over(path, tell)
    facts = {"version": 1, "path": str(path), "sound": found.sound, **dataclasses.asdict(found)}
    size = f"{found.size_bytes} bytes, {found.unused_bytes} of them unused"
    read = f"{counted(found.rows, 'row')} and {counted(found.dead_letters, 'dead letter')} read"
    said = "sound" if found.sound else counted(len(found.problems), "problem")
    answer(args, facts, [*found.problems, f"{path}: {said}; {read}; {size}"])
    return int(not found.sound)


def vacuum(args: argparse.Namespace) -> int:
    """Give the space back; 0."""
    with opened(args.config) as queue:
        with progress("pages left") as tell:
            given_back = queue.vacuum(progress=tell)
        size = queue.size_bytes()
    path = str(queue.path)
    facts = {"version": 1, "path": path, "given_back_bytes": given_back, "size_bytes": size}
    answer(args, facts, [f"{path}: {given_back} bytes given back, {size} in use"])
    return 0
