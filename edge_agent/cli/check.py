"""``check``: every problem of the configuration, each in a line of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_agent.cli.common import add_config_option, add_example, add_json_options
from edge_agent.cli.environment import environment_of
from edge_agent.cli.schemas import CHECK
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.errors import ConfigError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check [--quiet]``."""
    parser = commands.add_parser("check", help="find every mistake in the configuration")
    add_example(parser, "check --config agent.yaml")
    add_config_option(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--quiet", action="store_true", help="print nothing but problems, and those to stderr"
    )
    add_json_options(how, CHECK)
    parser.set_defaults(run=check)


def check(args: argparse.Namespace) -> int:
    """Print every problem, or one line that says there is none; 0, or 1 with problems."""
    problems: tuple[str, ...] = ()
    config = None
    try:
        config = load(args.config, environment_of(args.config)).config
    except ConfigError as error:
        problems = error.problems
    if args.json:
        sys.stdout.write(json.dumps(_facts(args.config, problems, config)) + "\n")
    elif config is None:
        out = sys.stderr if args.quiet else sys.stdout
        out.writelines(f"{problem}\n" for problem in problems)
    elif not args.quiet:
        sys.stdout.write(f"{args.config}: {summary(config)}, no problems\n")
    return int(config is None)


def _facts(file: Path, problems: Sequence[str], config: Config | None) -> dict[str, Any]:
    """In the shape of `schemas.CHECK`."""
    return {
        "version": 1,
        "file": str(file),
        "problems": list(problems),
        "sensors": None if config is None else len(config.sensors),
        "endpoint": None if config is None else _host(config),
    }


def summary(config: Config) -> str:
    """The configuration in a few words; of the endpoint only what can hold no secret."""
    count = len(config.sensors)
    sensors = f"{count} sensor" if count == 1 else f"{count} sensors"
    host = _host(config)
    return f"{sensors}, store only" if host is None else f"{sensors}, upload to {host}/…"


def _host(config: Config) -> str | None:
    if config.upload.endpoint is None:
        return None
    parts = urlsplit(config.upload.endpoint)
    return f"{parts.scheme}://{parts.netloc}"
