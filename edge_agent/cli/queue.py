"""``queue …``: what a person does to the queue by hand, beside a running agent or without one."""

from __future__ import annotations

import argparse

from edge_agent.cli import queue_dead, queue_export, queue_file, queue_look, queue_purge, queue_send


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``queue`` and its commands."""
    parser = commands.add_parser("queue", help="look at the queue, carry rows away, erase")
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (queue_look, queue_file, queue_export, queue_send, queue_purge, queue_dead):
        command.register(group)
