"""A machine that commands are run on, wherever it stands."""

from __future__ import annotations

import abc
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Reaching it is a failure, not a measurement.
PATIENCE_S = 120.0


class Failed(AssertionError):
    """A command in the machine did not do what it should."""


class Reached(abc.ABC):
    """What tests do with a machine that has a systemd."""

    @abc.abstractmethod
    def words(self, command: str) -> list[str]:
        """What is run here to have a shell there, as root, run a command."""

    def run(self, command: str, *, status: int | None = 0, timeout_s: float = PATIENCE_S) -> str:
        """What a shell's command says, both streams.

        Args:
            command: for ``sh -c``, as root.
            status: the exit status it must have; None: any.
            timeout_s: how long it may take.

        Raises:
            Failed: it did not exit as it must.
        """
        done = subprocess.run(
            self.words(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
        if status is not None and done.returncode != status:
            raise Failed(f"{command!r} exits with {done.returncode}:\n{done.stdout}")
        return done.stdout

    @abc.abstractmethod
    def put(self, path: str, text: str, mode: int | None = None) -> None:
        """Write a file; one that is there keeps its owner and mode unless told."""

    @abc.abstractmethod
    def take(self, source: Path, path: str) -> None:
        """Copy a file or a folder in."""

    @abc.abstractmethod
    def reboot(self) -> None:
        """Off in order, and on again."""

    def until(self, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """What ``condition`` returns as soon as it is true."""
        deadline = time.monotonic() + patience_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise Failed(f"still waiting for {what}; the journal's end:\n{self.journal()}")
            time.sleep(0.1)
        return value

    def journal(self, options: str = "-n 40") -> str:
        """What a user sees of the agent."""
        return self.run(f"journalctl --no-pager -u pyvorin-agent {options}")

    def show(self, *names: str, unit: str = "pyvorin-agent") -> tuple[str, ...]:
        """Properties of a unit."""
        said = self.run(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}")
        found = dict(line.split("=", 1) for line in said.splitlines())
        return tuple(found.get(name, "") for name in names)
