"""What the ``queue`` commands share: how they are declared, opened, and how they answer."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from edge_agent.cli.common import add_config_option, add_example, queue_to_look
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import QueueError

#: Source: https://sqlite.org/datatype3.html: a signed integer of at most 8 bytes.
_LARGEST = (1 << 63) - 1
#: A group of commands, as argparse has it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # it has no other name


def add_command(
    commands: Commands,
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
    *,
    example: str,
) -> argparse.ArgumentParser:
    """A command with ``--config``, and an example at the end of its help."""
    parser = commands.add_parser(name, help=summary)
    add_example(parser, example)
    add_config_option(parser)
    parser.set_defaults(run=run)
    return parser


@contextlib.contextmanager
def opened(config_file: Path) -> Iterator[CloudSyncQueue]:
    """The queue of a configuration, kept as the agent keeps it; an agent may run beside.

    Raises:
        ConfigError: the configuration cannot be read.
        StoreError: there is no queue file yet, or it cannot be used.
    """
    settings = queue_to_look(config_file)
    with CloudSyncQueue(
        settings.path,
        durability=settings.durability,
        max_size_bytes=settings.max_size_bytes,
        min_free_disk_bytes=settings.min_free_disk_bytes,
        when_full=settings.when_full,
    ) as queue:
        yield queue


def answer(args: argparse.Namespace, facts: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the facts as JSON where that was asked for, else the lines."""
    sys.stdout.write(json.dumps(facts) + "\n" if args.json else "".join(f"{x}\n" for x in lines))


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person at the terminal says yes.

    Args:
        question: a sentence; what stands for yes and no is put behind it.
        yes: was said on the command line, so nobody is asked.

    Raises:
        QueueError: there is nobody to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise QueueError(
            "nobody is there to be asked; say --yes, and it is done without a question"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def whole_number(written: str) -> int:
    """A number from 1 on that SQLite can hold.

    Raises:
        argparse.ArgumentTypeError: it is none, in one sentence.
    """
    if written.isascii() and written.isdecimal() and 0 < int(written) <= _LARGEST:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is no number from 1 to {_LARGEST}")


def counted(number: int, what: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
