"""``queue export``: rows into a file, for a site without a link."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge_agent.cli.common import add_json_options
from edge_agent.cli.progress import progress
from edge_agent.cli.queue.common import Commands, add_command, answer, counted, opened
from edge_agent.cli.queue.schemas import EXPORT
from edge_agent.errors import StoreError


def register(commands: Commands) -> None:
    """Add ``export FILE [--move]``."""
    parser = add_command(
        commands,
        "export",
        "write what is queued into a file, to be sent from elsewhere",
        export,
        example="queue export --move barn.ndjson.gz",
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="is not there yet; gzip where it ends in .gz"
    )
    parser.add_argument(
        "--move",
        action="store_true",
        help="delete from the queue what was read back from the finished file",
    )
    add_json_options(parser, EXPORT)


def export(args: argparse.Namespace) -> int:
    """Write the file; 0, or 1 where a row could not be written.

    Raises:
        StoreError: the file or the queue cannot be used; nothing is lost.
    """
    with opened(args.config) as queue, progress("rows", queue.pending_count()) as tell:
        _check_writable(args.file.absolute().parent)
        done = queue.export(args.file, move=args.move, progress=tell)
    facts = {
        "version": 1,
        "path": str(done.path),
        "rows": done.count,
        "size_bytes": done.size_bytes,
        "moved": done.moved,
        "unfit": done.unfit,
    }
    moved = f"; {done.moved} of them left the queue" if args.move else ""
    written = f"{counted(done.count, 'row')}, {done.size_bytes} bytes"
    answer(args, facts, [f"{done.path}: {written}{moved}"])
    if done.unfit:
        rows = counted(done.unfit, "row")
        sys.stderr.write(f"pyvorin-agent: {rows} stay in the queue: their payload is no JSON\n")
    return int(bool(done.unfit))


def _check_writable(folder: Path) -> None:
    """Raises StoreError where we, as root the queue's owner by now, may not make a file."""
    if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"{folder}: the queue's owner (uid {os.geteuid()}), as whom this runs, may not write"
            " there; name a folder where it may, such as /tmp, and take the file from there"
        )
