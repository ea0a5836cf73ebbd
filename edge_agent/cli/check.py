"""``check``: every problem of the configuration, each in a line of its own."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import urlsplit

from edge_agent.cli.common import add_config_option, add_example
from edge_agent.cli.environment import environment_of
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.errors import ConfigError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check [--quiet]``."""
    parser = commands.add_parser("check", help="find every mistake in the configuration")
    add_example(parser, "check --config agent.yaml")
    add_config_option(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but problems, and those to stderr"
    )
    parser.set_defaults(run=check)


def check(args: argparse.Namespace) -> int:
    """Print every problem, or one line that says there is none; 0, or 1 with problems."""
    try:
        loaded = load(args.config, environment_of(args.config))
    except ConfigError as error:
        out = sys.stderr if args.quiet else sys.stdout
        out.writelines(f"{problem}\n" for problem in error.problems)
        return 1
    if not args.quiet:
        sys.stdout.write(f"{args.config}: {summary(loaded.config)}, no problems\n")
    return 0


def summary(config: Config) -> str:
    """The configuration in a few words; of the endpoint only what can hold no secret."""
    count = len(config.sensors)
    sensors = f"{count} sensor" if count == 1 else f"{count} sensors"
    if config.upload.endpoint is None:
        return f"{sensors}, store only"
    parts = urlsplit(config.upload.endpoint)
    return f"{sensors}, upload to {parts.scheme}://{parts.netloc}/…"
