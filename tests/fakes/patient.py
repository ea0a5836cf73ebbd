"""A machine for ``doctor`` of which nothing is real, and an agent on it."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, Machine
from edge_agent.cli.doctor.service import PROPERTIES
from edge_agent.cli.doctor.service import UNIT as UNIT_NAME
from edge_agent.config.loader import load
from fakes.clock import FakeClock

#: A unit as the package has it.
UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainStatus": "0",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "NRestarts": "0",
    "WatchdogUSec": "1min",
    "ReadWritePaths": "",
    "StateDirectory": "pyvorin",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
}
BOOK = {"dead": 0}
#: What a remedy may begin with.
COMMANDS = {
    *(
        "sudo",
        "sudoedit",
        "nano",
        "echo",
        "printf",
        "grep",
        "tail",
        "ls",
        "df",
        "ip",
        "getent",
        "chmod",
    ),
    *("systemctl", "systemd-analyze", "journalctl", "chronyc", "ntpq", "timedatectl"),
    "pyvorin-agent",
}


class Patient:
    """Well, until something is done to it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.queue = folder / "queue"
        for made in (self.root / "dev", self.queue):
            made.mkdir(parents=True)
        self.clock = FakeClock()
        self.unit = dict(UNIT)
        self.runtime_watchdog = "15s"
        #: a line for each unit that is asked for
        self.active = ""
        #: what other commands say, by their first word
        self.said: dict[str, str] = {}
        #: what the queue's file suffers from
        self.trouble = ""
        #: what may not be used
        self.denied: set[Path] = set()
        #: what may be read, and not written
        self.readonly: set[Path] = set()
        #: bytes and files that are free; None: there is nobody to say
        self.free: tuple[int, int] | None = 10**9, 10**6
        self.config = folder / "agent.yaml"
        self.configure("")
        self.status: dict[str, Any] | None = None

    def plant(self, path: str, text: str = "") -> Path:
        """A file below the machine's root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def configure(self, text: str, queue: Path | None = None) -> None:
        place = f"queue: {{path: {(queue or self.queue) / 'q.db'}}}\n"
        self.config.write_text(place + text)

    def run(self, last: dict[str, Any] | None = None, **agent: Any) -> None:
        """Let an agent run, or have run."""
        health = {"hours_left": None, "clock": "synced"} | agent.pop("health", {})
        running = {"pid": 7, "sensors": {}, "health": health} | agent
        self.status = {"last_run": last, "ledger": dict(BOOK), "agent": running}

    def case(self, *, installed: bool = True, handed_key: bool = False) -> Case:
        machine = Machine(self.clock, self.root, self._ask, self._may, self._room)
        loaded = load(self.config, {})
        config = loaded.config
        return Case(
            *(machine, config, self.config, installed, "pyvorin", self.status),
            handed_key=handed_key,
            files=loaded.files,
            trouble=self.trouble,
            unit=machine.properties(*PROPERTIES, unit=UNIT_NAME) if installed else {},
        )

    def _ask(self, command: Sequence[str]) -> str:
        if command[:2] == ["systemctl", "show"]:
            wanted = command[-1].split(",")
            known = self.unit | {"RuntimeWatchdogUSec": self.runtime_watchdog}
            return "\n".join(f"{name}={known[name]}" for name in wanted if name in known)
        if command[:2] == ["systemctl", "is-active"]:
            return self.active
        return self.said.get(command[0], "")

    def _may(self, path: Path, mode: int) -> bool:
        if mode == os.F_OK:
            return path.exists()
        return path not in self.denied and not (mode & os.W_OK and path in self.readonly)

    def _room(self, path: Path) -> os.statvfs_result:
        if self.free is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        free, files = self.free
        return os.statvfs_result((1, 1, free, free, free, 10**7, files, files, 0, 255))


def told(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Topics and levels."""
    return [(one.topic, one.level) for one in findings]


def is_remedy(mend: str) -> bool:
    """Whether it is one command line, or a sentence in which each command has its backquotes."""
    bare = mend.split(maxsplit=1)[0] in COMMANDS
    if bare and {"says", "shows", "tells", "names", "then"} & set(mend.split()):
        return False
    lines = [mend] if bare else re.findall(r"`([^`]+)`", mend)
    words = [list(shlex.shlex(line, posix=True, punctuation_chars=True)) for line in lines]
    firsts = [
        word
        for line in words
        for before, word in itertools.pairwise(["&&", *line])
        if before in ("&&", "|")
    ]
    return set(firsts) <= COMMANDS and not any(";" in line for line in words)


def ill(findings: Sequence[Finding]) -> Finding:
    """The one finding that is not well; and a remedy stands beside it, and beside no other."""
    for one in findings:
        assert bool(one.mend) == (one.level in (WARN, FAIL)), one
        assert not one.mend or is_remedy(one.mend), one
    (found,) = [one for one in findings if one.level != OK]
    return found
