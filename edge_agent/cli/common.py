"""What several commands share: the configuration file, its owner, and finding the agent's files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

#: Where the service's configuration is.
CONFIG_FILE = Path("/etc/pyvorin/agent.yaml")


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``."""
    parser.add_argument(
        "--config",
        type=Path,
        default=CONFIG_FILE,
        metavar="FILE",
        help="the configuration (default: %(default)s)",
    )


def become_owner(path: Path) -> None:
    """Run as root, become the file's owner: see what the service sees, leave nothing of root's.

    Does nothing for anybody else, or where there is no such file.
    """
    if os.geteuid() != 0 or not path.exists():
        return
    owner = path.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
