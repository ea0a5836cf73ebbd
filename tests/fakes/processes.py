"""The real commands in processes of their own, and how a test waits for what they do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.receiver import ReceiverStore

COMMAND = (sys.executable, "-m", "edge_agent")
#: Far more than anything here takes: reaching it is a failure, not a measurement.
PATIENCE_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """What ``condition`` returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.02)
    return value


def command(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env=os.environ | (env or {}),
    )


class Process:
    """A command that goes on; its lines are gathered as they come."""

    def __init__(
        self,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        self.lines: list[str] = []
        self._popen = subprocess.Popen(
            [*within, *COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | (env or {}),
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def peak_bytes(self) -> int:
        """The most memory it ever had in use (proc(5), VmHWM)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def said(self, text: str) -> str | None:
        """The first line that contains ``text``."""
        return next((line for line in self.lines if text in line), None)

    def wait_for(self, text: str) -> str:
        """The first line that contains ``text``, as soon as it is there."""
        line = until(lambda: self.said(text) or self._popen.poll() is not None, repr(text))
        assert isinstance(line, str), f"ended without {text!r}: {self.lines}"
        return line

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait(self) -> None:
        """Until it has ended by itself."""
        until(lambda: self._popen.poll() is not None, "its end")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        code = self._popen.wait(PATIENCE_S)
        self._reader.join()
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        return code

    def _read(self) -> None:
        assert self._popen.stdout is not None
        self.lines.extend(line.rstrip("\n") for line in iter(self._popen.stdout.readline, ""))


class Script:
    """A Python script in a process of its own."""

    def __init__(self, text: str, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", text, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


def received(site: Site) -> list[tuple[str, float]]:
    """Every reading at the site's receiver, as name and time."""
    store = ReceiverStore(site.directory / "received.db")
    try:
        return [(item.data["sensor_name"], item.data["timestamp"]) for item in store.items()]
    finally:
        store.close()


class Site:
    """A directory with an agent's configuration, queue and status, and the commands there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "agent.yaml"
        self.queue = directory / "sync_queue.db"
        #: the command in front of those that are started: it puts them somewhere else
        self.within: tuple[str, ...] = ()
        self._processes: list[Process] = []

    def configure(self, text: str, queue: str = "") -> None:
        """Write the configuration; the queue's place is added to what else is said of it."""
        self.config.write_text(f"queue: {{path: {self.queue}, {queue}}}\n{text}")

    def agent(self, **env: str) -> Process:
        """Start the agent and wait until it is ready."""
        process = self.begin_agent(**env)
        process.wait_for("ready")
        return process

    def begin_agent(self, **env: str) -> Process:
        """Start the agent, which may not get far."""
        given = {"RUNTIME_DIRECTORY": str(self.directory), "STATE_DIRECTORY": str(self.directory)}
        return self._start("run", "--config", self.config, env=given | env)

    def receiver(self, address: str = "127.0.0.1:0") -> tuple[Process, str]:
        """Start the reference receiver; the process and its URL."""
        database = self.directory / "received.db"
        process = self._start("receive", "--listen", address, "--db", database)
        return process, process.wait_for("receiving on").split()[2].rstrip(",")

    def status(self) -> dict[str, Any]:
        """What the agent last wrote of itself."""
        written: dict[str, Any] = json.loads((self.directory / "status.json").read_text())
        return written

    def close(self) -> None:
        for process in self._processes:
            # A stopped process cannot be ended otherwise.
            process.send(signal.SIGCONT)
            process.end(signal.SIGKILL)

    def _start(self, *arguments: str | Path, env: dict[str, str] | None = None) -> Process:
        process = Process(*arguments, env=env, within=self.within)
        self._processes.append(process)
        return process


def bytes_unread_at(port: int) -> int:
    """Bytes that have arrived at a local port and that nobody has read (proc(5), net/tcp)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(int(f[4].split(":")[1], 16) for f in fields if int(f[1].split(":")[1], 16) == port)


@contextlib.contextmanager
def notify_socket(directory: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's end of sd_notify: a datagram socket, and the path of it."""
    path = str(directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(PATIENCE_S)
        yield listener, path
