"""What several commands share: the configuration file, its owner, and finding the agent's files."""

from __future__ import annotations

import argparse
import contextlib
import grp
import json
import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli.environment import CONFIG_FILE, environment_of
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.config.model import Queue as QueueSettings
from edge_agent.errors import ConfigError, EdgeAgentError, StoreError


class UsageError(EdgeAgentError):
    """Options that do not go together, or a value that cannot be: exit 2, as argparse has it."""


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``."""
    parser.add_argument(
        "--config",
        type=Path,
        default=CONFIG_FILE,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def add_example(parser: argparse.ArgumentParser, words: str) -> None:
    """End the help with a command line that works.

    Args:
        parser: the command's.
        words: what is typed after ``pyvorin-agent``.
    """
    # A line that is broken to fit could not be copied.
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"Example: {parser.prog.split()[0]} {words}"


def add_json_options(parser: argparse._ActionsContainer, schema: Mapping[str, Any]) -> None:
    """Add ``--json``, and ``--json-schema``, which prints what ``--json`` keeps to."""
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--json-schema",
        action=_PrintSchema,
        const=schema,
        nargs=0,
        help="print the JSON Schema of --json and exit",
    )


class _PrintSchema(argparse.Action):
    """Like ``--help``: prints, and leaves the rest undone."""

    def __call__(self, parser: argparse.ArgumentParser, *_args: Any) -> None:
        sys.stdout.write(json.dumps(self.const, indent=2) + "\n")
        parser.exit()


def last_good_path(path: Path, environ: Mapping[str, str]) -> Path | None:
    """Where the last good copy is kept: the service's state directory.

    None for a file that is not the service's: a trial run must not change what the service
    would fall back on.
    """
    directory = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not directory and path == CONFIG_FILE:
        directory = "/var/lib/pyvorin"
    return Path(directory) / "last_good.yaml" if directory else None


def last_good_to_look(path: Path, environ: Mapping[str, str]) -> Path | None:
    """The last good copy, where there is one and we may read it."""
    copy = last_good_path(path, environ)
    return copy if copy is not None and os.access(copy, os.R_OK) else None


def load_to_look(path: Path) -> Config:
    """The configuration, for a command that looks at what the service does with it.

    A file that is bad just now leaves the service running on the last good one, and that is when a
    person most wants to look: so this does too, and says so.

    Raises:
        ConfigError: the file's problems; there is no last good one either.
    """
    environ = environment_of(path)
    try:
        return load(path, environ).config
    except ConfigError as error:
        copy = last_good_to_look(path, environ)
        if copy is None:
            raise
        sys.stderr.write(f"{error.problems[0]}\npyvorin-agent: so this goes by {copy}\n")
        return load(copy, environ).config


def queue_to_look(config_file: Path) -> QueueSettings:
    """How the queue is kept, for a command that opens its file: which is there, and its owner we.

    Raises:
        ConfigError: the configuration cannot be read, so nobody knows where the queue is.
        StoreError: there is no queue file yet, or none that this user may see.
    """
    return config_to_look(config_file).queue


def config_to_look(config_file: Path) -> Config:
    """The same, and all of the configuration.

    Raises:
        ConfigError: it cannot be read.
        StoreError: there is no queue file yet, or none that this user may see.
    """
    config = load_to_look(config_file)
    path = Path(config.queue.path)
    try:
        if not path.exists():
            raise StoreError(f"{path} does not exist yet; start the agent first")
    except PermissionError:
        raise StoreError(f"{path}: this user may not look there; use sudo") from None
    if path.is_dir():
        raise StoreError(f"{path} is a directory; move it away, or set another queue.path")
    become_owner(path)
    return config


def become_owner(path: Path) -> None:
    """Run as root, become the file's owner: see what the service sees, leave nothing of root's.

    With the groups that the owner has, as the service has them: buses belong to groups. Does
    nothing for anybody else, or where there is no such file.
    """
    if os.geteuid() != 0 or not path.exists():
        return
    owner = path.stat()
    if owner.st_uid != 0:
        become(owner.st_uid, owner.st_gid)


def become(uid: int, gid: int, others: Sequence[str] = ()) -> None:
    """From root to another user, with that user's groups.

    Args:
        uid: the user's number; need not have a name.
        gid: of the group that goes first.
        others: more groups, by name; those that there are not do not count.
    """
    groups = [gid]
    with contextlib.suppress(KeyError):
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    for name in others:
        with contextlib.suppress(KeyError):
            groups.append(grp.getgrnam(name).gr_gid)
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
