"""``config schema`` and ``config reference``: the declaration, for editors and for people."""

from __future__ import annotations

import argparse
import json
import sys

from edge_agent.cli.common import add_example
from edge_agent.config.reference import markdown
from edge_agent.config.schema import json_schema


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``config`` and its two pages."""
    parser = commands.add_parser("config", help="describe every key of the configuration")
    pages = parser.add_subparsers(required=True, metavar="PAGE")
    schema = pages.add_parser("schema", help="JSON Schema, for editors")
    add_example(schema, "config schema > agent.schema.json")
    schema.set_defaults(run=print_schema)
    reference = pages.add_parser("reference", help="every key with type, default and meaning")
    add_example(reference, "config reference | less")
    reference.set_defaults(run=print_reference)


def print_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    del args
    json.dump(json_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def print_reference(args: argparse.Namespace) -> int:
    """Print the Markdown page."""
    del args
    sys.stdout.write(markdown())
    return 0
