"""What ``doctor`` looks at, and how it says what it found."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.clock import Clock
from edge_agent.config.model import Config

OK, WARN, FAIL = "ok", "warn", "fail"
LEVELS = (OK, WARN, FAIL)
#: A command that only asks has no reason to take longer.
_PATIENCE_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line: how something is and, where it is not well, what mends it."""

    #: ``clock``, ``i2c``
    topic: str
    #: one of `LEVELS`
    level: str
    #: what is so, with the value and the limit
    says: str
    #: the command, or the thing to do; empty where all is well
    mend: str = ""


def ask(command: Sequence[str]) -> str:
    """What a command of this machine says; empty where it is not there, or fails."""
    try:
        done = subprocess.run(  # noqa: S603  # the words are ours
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where this machine's facts are, so that a test can put others in their place."""

    clock: Clock
    #: where /dev, /proc and /sys are
    root: Path = Path("/")
    #: runs a command that only asks
    ask: Callable[[Sequence[str]], str] = ask
    #: whether we may: a path, and ``os.R_OK`` and the like
    may: Callable[[Path, int], bool] = os.access

    def text(self, path: str) -> str:
        """A file of /proc or /sys in one line; empty where it cannot be read."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""

    def properties(self, *names: str, unit: str = "") -> Mapping[str, str]:
        """What systemd says of a unit, or of itself; empty where there is no systemd."""
        unit_of = [unit] if unit else []
        said = self.ask(["systemctl", "show", *unit_of, "--property", ",".join(names)])
        return dict(line.partition("=")[::2] for line in said.splitlines())


@dataclasses.dataclass(frozen=True)
class Case:
    """The agent that is looked at: its files, and what is known of it."""

    machine: Machine
    config: Config
    #: the main file of the configuration
    config_file: Path
    #: whether it is the service's own, and not a trial's
    installed: bool
    #: who it runs as, by name
    user: str
    #: `status.gather`; None where there is no queue that can be read
    status: Mapping[str, Any] | None
    #: whether systemd hands the API key over, which then stands in the configuration
    handed_key: bool = False

    @property
    def running(self) -> Mapping[str, Any] | None:
        """What a running agent last wrote of itself; None: none runs."""
        return self.status["agent"] or None if self.status else None

    @property
    def queue_path(self) -> Path:
        """The queue's file."""
        return Path(self.config.queue.path)

    def owned(self, path: Path) -> str:
        """The words for ``user:group path`` of a command that gives it to the agent."""
        return f"{self.user}:{self.user} {shlex.quote(str(path))}"
