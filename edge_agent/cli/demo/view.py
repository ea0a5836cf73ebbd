"""The demo's live view: a picture on a terminal, a line a second anywhere else."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self

from edge_agent.cli.status.command import running_agent
from edge_agent.cloud_sync import CloudSyncQueue

_WIDEST_BAR = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """How it stands."""

    #: seconds since the demo began
    t_s: float
    #: whether the receiver is up
    up: bool
    depth: int
    delivered: int
    link: str
    #: last readings: name -> value and unit
    last: dict[str, str]


class View(Protocol):
    """Shows snapshots as they come."""

    def show(self, now: Snapshot) -> None:
        """Show this one."""


def snapshot(t_s: float, queue: CloudSyncQueue, directory: Path, *, up: bool) -> Snapshot:
    """Look at the queue file, and at what the agent last wrote of itself."""
    ledger = queue.ledger()
    agent = running_agent(directory) or {}
    last = {
        name: f"{reading['value']:.4g} {reading['unit']}"
        for sensor in agent.get("sensors", {}).values()
        for name, reading in sensor["last"].items()
    }
    link = agent.get("health", {}).get("link", "untried")
    return Snapshot(t_s, up, ledger.queued, ledger.delivered, link, last)


@contextlib.contextmanager
def make_view(seconds: float) -> Iterator[View]:
    """The view that fits where stdout goes."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        with _Picture(seconds) as picture:
            yield picture
    else:
        yield _Lines(seconds)


class _Lines:
    """A line for each snapshot, and one for each reading when it is first there."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._told: set[str] = set()

    def show(self, now: Snapshot) -> None:
        """Print it."""
        for name in sorted(now.last.keys() - self._told):
            print(f"    reading {name}: {now.last[name]}")  # noqa: T201  # a command speaks
        self._told |= now.last.keys()
        print(line(now, self._seconds), flush=True)  # noqa: T201  # a command speaks


class _Picture:
    """A table that is drawn anew in place, by rich."""

    def __init__(self, seconds: float) -> None:
        from rich.live import Live  # noqa: PLC0415  # only on a terminal

        self._seconds = seconds
        self._history: list[Snapshot] = []
        self._live = Live(auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, now: Snapshot) -> None:
        """Draw it."""
        from rich.table import Table  # noqa: PLC0415  # only on a terminal

        self._history = [*self._history[-15:], now]
        grid = Table.grid(padding=(0, 2))
        for past in self._history:
            grid.add_row(line(past, self._seconds))
        for name, text in now.last.items():
            grid.add_row(f"    {name}: {text}")
        self._live.update(grid, refresh=True)


def line(now: Snapshot, seconds: float) -> str:
    """One snapshot in one line, the depth as a bar."""
    bar = "#" * min(now.depth, _WIDEST_BAR) + (">" if now.depth > _WIDEST_BAR else "")
    receiver = "up    " if now.up else "KILLED"
    return (
        f"{now.t_s:5.0f}/{seconds:.0f} s  receiver {receiver}  link {now.link:<8}"
        f"delivered {now.delivered:5}  queued {now.depth:4} {bar}"
    )
