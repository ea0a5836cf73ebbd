"""``queue purge``: what a person wants gone, and what to ask the server for."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.cli.common import add_json_options, last_good_path
from edge_agent.cli.environment import environment_of
from edge_agent.cli.progress import progress
from edge_agent.cli.queue.common import Commands, add_command, answer, confirmed, counted, opened
from edge_agent.cli.queue.schemas import PURGE
from edge_agent.cli.status.command import running_agent
from edge_agent.cli.table import aligned
from edge_agent.cloud_sync import which
from edge_agent.cloud_sync.erasure import Affected, Erased
from edge_agent.cloud_sync.origin import IdRange
from edge_agent.cloud_sync.which import Which
from edge_agent.config import last_good
from edge_agent.config.loader import Loaded, load
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.errors import ConfigError


def register(commands: Commands) -> None:
    """Add ``purge`` and its selections."""
    parser = add_command(
        commands,
        "purge",
        "delete rows unsent, without a trace where it is about what they say",
        purge,
        example="queue purge --match metadata.badge_id=17",
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    _flag(choice, "--expired", which.expired(), "what has outlived its TTL")
    _option(choice, "--sensor", which.of_sensor, "NAME", "readings of a sensor and of its channels")
    _option(choice, "--match", _matching, "PATH=VALUE", "what has this value at metadata.badge_id")
    _option(choice, "--before", _before, "TIME", "what was queued before 2026-03-01T12:00")
    _flag(choice, "--all", which.everything(), "every row, every dead letter, every gap")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json_options(parser, PURGE)


def _flag(
    choice: argparse._MutuallyExclusiveGroup, name: str, selection: Which, meaning: str
) -> None:
    choice.add_argument(name, dest="which", action="store_const", const=selection, help=meaning)


def _option(
    choice: argparse._MutuallyExclusiveGroup,
    name: str,
    made: Callable[[str], Which],
    metavar: str,
    meaning: str,
) -> None:
    def selection(written: str) -> Which:
        try:
            return made(written)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    choice.add_argument(name, dest="which", type=selection, metavar=metavar, help=meaning)


def _matching(written: str) -> Which:
    path, equals, value = written.partition("=")
    if not equals:
        raise ValueError(f"{written!r} has no '='; write metadata.badge_id=17")
    return which.matching(path, value)


def _before(written: str) -> Which:
    try:
        return which.before(dt.datetime.fromisoformat(written).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(
            f"{written!r} is no time; write 2026-03-01 or 2026-03-01T12:00 (this machine's zone),"
            " or 2026-03-01T12:00Z"
        ) from None


def purge(args: argparse.Namespace) -> int:
    """Count, ask, delete; 0, or 1 where it was not wanted or copies remain.

    Raises:
        QueueError: nobody is there to be asked.
        StoreError: the file cannot be used; what was deleted by then is booked.
    """
    # Read as who we are; then we become the queue's owner.
    loaded = _loaded(args.config)
    with opened(args.config) as queue:
        with progress("counting"):
            affected = queue.count(args.which)
        # A program reads one object and no more; the question needs this all the same.
        out = sys.stderr if args.json else sys.stdout
        out.write(f"{queue.path}: {_words(affected)}\n")
        out.flush()
        if not confirmed("Delete for good?", yes=args.yes):
            _warn("nothing was deleted")
            return 1
        with progress("deleted", affected.rows + affected.dead_letters) as tell:
            gone = queue.purge(args.which, progress=tell)
        answer(args, _facts(queue.path, gone), _lines(gone))
        _beside(runtime_directory(queue.path, os.environ), args.which, loaded)
        _renew(last_good_path(args.config, os.environ), args.which, loaded)
    if gone.remains:
        _warn(gone.remains)
    return int(bool(gone.remains))


def _words(affected: Affected) -> str:
    """What goes, or went."""
    parts = [counted(affected.rows, "row"), counted(affected.dead_letters, "dead letter")]
    for number, what in (
        (affected.gaps, "gaps still to be told"),
        (affected.notes, "states and lines of history"),
        (len(affected.files), "damaged files set aside"),
    ):
        if number:
            parts.append(f"{what}: {number}")
    return ", ".join(parts)


def _facts(path: Path, gone: Erased) -> dict[str, Any]:
    """In the shape of `queue_schemas.PURGE`."""
    return {
        "version": 1,
        "path": str(path),
        **dataclasses.asdict(gone),
        "files": [str(file) for file in gone.files],
        "ranges": [given._asdict() for given in gone.ranges],
        "remains": gone.remains or None,
    }


def _lines(gone: Erased) -> list[str]:
    lines = [f"deleted: {_words(gone)}; {gone.given_back_bytes} bytes given back"]
    if gone.ranges:
        header = ("QUEUE_ID", "DEVICE_ID", "FIRST", "LAST")
        lines.append("ids ever given out, to ask the server for:")
        lines += aligned([header, *map(_row, gone.ranges)])
    return lines


def _row(given: IdRange) -> tuple[str, ...]:
    return given.queue_id, given.device_id or "-", str(given.first_id), str(given.last_id)


def _beside(directory: Path, selection: Which, loaded: Loaded | None) -> None:
    """What an agent wrote of itself is of the past where none runs; and it may read on."""
    agent = running_agent(directory)
    if agent is not None:
        for name in filter(selection.takes_note, agent["sensors"]):
            _warn(
                f"the running agent goes on reading {name}; take it out of the configuration,"
                " reload, and purge once more"
            )
        return
    if selection.erases:
        for name in ("status.json", "metrics.prom"):
            (directory / name).unlink(missing_ok=True)
    names = [sensor.name for sensor in loaded.config.sensors] if loaded else []
    for name in filter(selection.takes_note, names):
        _warn(f"the configuration still has {name}, so the agent reads it once it is started")


def _renew(copy: Path | None, selection: Which, loaded: Loaded | None) -> None:
    """The last good configuration may name the sensor: it becomes what the next start makes it."""
    if copy is None or not copy.exists() or not selection.takes_note(copy.read_text("utf-8")):
        return
    if loaded is None:
        _warn(f"{copy} still names it, until the agent starts with a configuration without mistake")
    else:
        last_good.save(copy, loaded.text_for_last_good)


def _loaded(config_file: Path) -> Loaded | None:
    """The configuration as it is now; None: it has a mistake."""
    try:
        return load(config_file, environment_of(config_file))
    except ConfigError:
        return None


def _warn(sentence: str) -> None:
    sys.stderr.write(f"pyvorin-agent: {sentence}\n")
