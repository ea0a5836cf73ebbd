"""``demo``: the whole job on this machine, an outage in the middle, the books at the end.

Nothing is played: the agent and the receiver are the real commands in processes of their own, the
system readings are this machine's, and the outage is a SIGKILL of the receiver.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import edge_agent
from edge_agent.cli.common import UsageError, add_example
from edge_agent.cli.demo.books import Books, close_books
from edge_agent.cli.demo.view import make_view, snapshot
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import ConfigError, EdgeAgentError

_COMMAND = (sys.executable, "-m", "edge_agent")
#: How long the backlog may take to drain after the time is up, and a process to end.
_DRAIN_S = 20.0
_END_S = 20.0
_LOOK_EVERY_S = 1.0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo``."""
    parser = commands.add_parser("demo", help="show the whole job on this machine, no set-up")
    add_example(parser, "demo --seconds 60 --outage 20")
    parser.add_argument(
        "--seconds", type=float, default=30.0, metavar="N", help="how long it runs (30)"
    )
    parser.add_argument(
        "--outage", type=float, default=10.0, metavar="S", help="of that without receiver (10)"
    )
    parser.set_defaults(run=demo)


def demo(args: argparse.Namespace) -> int:
    """Run the demonstration; 0 if the books close, else 1.

    Raises:
        UsageError: the times cannot be.
        EdgeAgentError: the agent or the receiver did not start.
    """
    if not 0 <= args.outage < args.seconds:
        raise UsageError(
            f"--outage {args.outage:g} must be shorter than --seconds {args.seconds:g}"
        )
    with tempfile.TemporaryDirectory(prefix="pyvorin-demo-") as directory:
        books = _perform(Path(directory), args.seconds, args.outage)
    sys.stdout.write(books.text())
    return 0 if books.closed else 1


def shipped(name: str) -> Path:
    """A configuration file that comes with the agent: in a checkout, or where it was installed.

    Raises:
        ConfigError: it is in neither place.
    """
    places = (
        Path(edge_agent.__file__).parents[1] / "config" / name,
        Path(sys.prefix) / "share/pyvorin-agent" / name,
    )
    for place in places:
        if place.exists():
            return place
    raise ConfigError(f"{name} is missing; looked for {' and '.join(map(str, places))}")


def _perform(directory: Path, seconds: float, outage: float) -> Books:
    """Start both, break the receiver for a while, stop both, and count."""
    receiver = _ReceiverProcess(directory)
    agent = _start_agent(directory, receiver.url)
    try:
        _watch(directory, receiver, agent, seconds, outage)
        agent.terminate()
        if agent.wait(_END_S) != 0:
            raise EdgeAgentError(f"the agent failed:\n{(directory / 'agent.log').read_text()}")
    finally:
        agent.kill()
        agent.wait()
        receiver.stop()
    return close_books(directory)


def _watch(
    directory: Path,
    receiver: _ReceiverProcess,
    agent: subprocess.Popen[bytes],
    seconds: float,
    outage: float,
) -> None:
    """Show how it goes until the time is up and the backlog is gone."""
    began = time.monotonic()
    breaks, mends = (seconds - outage) / 2, (seconds + outage) / 2
    with CloudSyncQueue(directory / "sync_queue.db") as queue, make_view(seconds) as view:
        while (t := time.monotonic() - began) < seconds + _DRAIN_S and agent.poll() is None:
            if outage and breaks <= t < mends:
                receiver.kill()
            elif t >= mends:
                receiver.start()
            now = snapshot(t, queue, directory, up=receiver.running)
            view.show(now)
            if t >= seconds and now.depth == 0:
                return
            time.sleep(_LOOK_EVERY_S)


def _start_agent(directory: Path, endpoint: str) -> subprocess.Popen[bytes]:
    """The real daemon, with everything it writes in the demo's directory."""
    environ = os.environ | {
        "PYVORIN_DEMO_DIR": str(directory),
        "PYVORIN_DEMO_ENDPOINT": endpoint,
        "RUNTIME_DIRECTORY": str(directory),
        "STATE_DIRECTORY": str(directory),
    }
    # The demo may be run from a service's shell; the agent must not speak for that service.
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"):
        environ.pop(name, None)
    with (directory / "agent.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # our own command
            [*_COMMAND, "run", "--config", str(shipped("demo.yaml"))],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


class _ReceiverProcess:
    """The reference receiver in a process of its own, on one port through all its lives."""

    def __init__(self, directory: Path) -> None:
        """Start it on a free port."""
        self._directory = directory
        self._address = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None

    def start(self) -> None:
        """Start it if it is not running, and wait until it listens."""
        if self._process is not None:
            return
        command = [*_COMMAND, "receive", "--listen", self._address]
        self._process = subprocess.Popen(  # noqa: S603  # our own command
            [*command, "--db", str(self._directory / "received.db")],
            stdout=subprocess.PIPE,
            text=True,
        )
        first_line = self._process.stdout.readline() if self._process.stdout else ""
        if "http://" not in first_line:
            raise EdgeAgentError("the receiver did not start; its sentence is above")
        self.url = first_line.split()[2].rstrip(",")
        self._address = self.url.split("/")[2]

    def kill(self) -> None:
        """SIGKILL: what it had not stored is gone."""
        if self._process is not None:
            self._end("kill")

    def stop(self) -> None:
        """SIGTERM: it says what came and goes."""
        if self._process is not None:
            self._end("terminate")

    def _end(self, how: str) -> None:
        assert self._process is not None  # noqa: S101  # both callers looked
        getattr(self._process, how)()
        self._process.communicate(timeout=_END_S)
        self._process = None
