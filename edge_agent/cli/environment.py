"""What ``${NAME}`` is looked up in: the environment, and the file that systemd gives the service.

A person's shell does not have that file's names, and a reload of the service has those of its
start: so it is read here, by the service's own rules, whenever the service's configuration is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Where the service's configuration is, and its environment.
CONFIG_FILE = Path("/etc/pyvorin/agent.yaml")
ENVIRONMENT_FILE = Path("/etc/default/pyvorin-agent")


def environment_of(config_file: Path) -> Mapping[str, str]:
    """The environment that belongs to a configuration.

    Args:
        config_file: the service's own is given its file's names besides, which go first.
    """
    if config_file.absolute() != CONFIG_FILE:
        return os.environ
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return os.environ | dict(parsed(ENVIRONMENT_FILE.read_text(encoding="utf-8")))
    return os.environ


def parsed(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of an environment file.

    Source:
        systemd.exec(5), EnvironmentFile: NAME=VALUE, lines that begin with ``#`` or ``;`` are
        comments, white space around a value does not count, nor does a pair of quotes.
    """
    for line in text.splitlines():
        name, assigned, value = line.strip().partition("=")
        if not assigned or not name or name[0] in "#;":
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        yield name.strip(), value
