"""``queue …``: what a person does to the queue by hand, beside a running agent or without one."""

from __future__ import annotations

import argparse

from edge_agent.cli.queue import dead, export, file, look, purge, send


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``queue`` and its commands."""
    parser = commands.add_parser("queue", help="look at the queue, carry rows away, erase")
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (look, file, export, send, purge, dead):
        command.register(group)
