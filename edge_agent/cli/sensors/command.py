"""``sensors read``, ``scan`` and ``types``: what is measured, what could be, and by what."""

from __future__ import annotations

import argparse

from edge_agent.cli.sensors import read, scan, types


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``sensors`` and its three commands."""
    parser = commands.add_parser("sensors", help="read sensors, find them, list their types")
    group = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (read, scan, types):
        command.register(group)
