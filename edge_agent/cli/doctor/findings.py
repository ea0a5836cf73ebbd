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
_PATIENCE_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line: how something is and, where it is not well, what mends it."""

    #: ``clock``, ``i2c``
    topic: str
    #: one of `LEVELS`
    level: str
    #: what is so, with the value and the limit
    says: str
    #: a command to paste, or a sentence with commands in backquotes; empty where all is well
    mend: str = ""


def ask(command: Sequence[str]) -> str:
    """What a command of this machine says; empty where it is not there, or fails."""
    try:
        done = subprocess.run(  # noqa: S603  # the words are ours
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def within_a_sentence(mend: str) -> str:
    """A remedy as a part of another one's sentence."""
    return mend if "`" in mend else f"`{mend}`"


def real(path: Path) -> Path:
    """A path without links; as it is where they lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


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
    #: what is free where a path lies
    room: Callable[[Path], os.statvfs_result] = os.statvfs

    def text(self, path: str) -> str:
        """A file of /proc or /sys in one line; empty where it cannot be read."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""

    def there(self, path: Path) -> bool:
        """Whether there is such a file or folder, as far as we may see."""
        try:
            path.stat()
        except OSError:
            return False
        return True

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
    #: what systemd says of the service; empty where it says nothing, and for a trial
    unit: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: what the configuration was read from; empty where its main file has a mistake
    files: Sequence[Path] = ()
    #: why there is no `status`, where the queue's file could be opened and is not well
    trouble: str = ""

    @property
    def running(self) -> Mapping[str, Any] | None:
        """What a running agent last wrote of itself; None: none runs."""
        return self.status["agent"] or None if self.status else None

    @property
    def health(self) -> Mapping[str, Any]:
        """Its figures; empty where none runs. An agent of another version may lack some."""
        found: Mapping[str, Any] = (self.running or {}).get("health", {})
        return found

    @property
    def clock(self) -> Clock:
        """The machine's."""
        return self.machine.clock

    @property
    def queue_path(self) -> Path:
        """The queue's file."""
        return Path(self.config.queue.path)

    @property
    def config_name(self) -> str:
        """The configuration's main file, as a word of a command."""
        return shlex.quote(str(self.config_file))

    def owned(self, path: Path) -> str:
        """The words for chown(1): the agent's user, with that user's own group, and the path."""
        return f"{self.user}: {shlex.quote(str(path))}"

    @property
    def edit(self) -> str:
        """The command to change a setting, wherever it stands."""
        names = " ".join(shlex.quote(str(file)) for file in self.files or (self.config_file,))
        return f"{'sudoedit' if self.installed else 'nano'} {names}"

    def command(self, words: str) -> str:
        """A command of ours, for who runs this agent."""
        if self.installed:
            return f"sudo pyvorin-agent {words}"
        return f"pyvorin-agent {words} --config {self.config_name}"

    @property
    def restart(self) -> str:
        """What lets the agent begin anew."""
        if self.installed:
            return "sudo systemctl restart pyvorin-agent"
        return "end `pyvorin-agent run`, and start it again"
