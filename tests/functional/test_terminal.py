"""What a command shows on a terminal, and nowhere else: how far it is, and colours."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pty
import re
import sys
from collections.abc import Iterator

import pytest
from fakes.processes import Site

from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import Receiver
from edge_agent.types import Submission

ESC = "\x1b"
#: All that can take long.
LONG = {
    "queue verify": "rows read",
    "queue vacuum": "pages left",
    "queue export barn.ndjson": "rows",
    "queue export --move barn.ndjson.gz": "rows",
    "queue send carried.ndjson": "rows",
    "queue purge --all --yes": "deleted",
    "queue dead replay": "dead letters",
    "queue dead drop --yes": "dead letters",
}


class Terminal:
    """One end of a pseudo-terminal in the place of a stream; what came out at the other."""

    def __init__(self) -> None:
        self.shown = ""

    @contextlib.contextmanager
    def in_place_of(self, name: str) -> Iterator[None]:
        master, slave = pty.openpty()
        before = getattr(sys, name)
        with os.fdopen(slave, "w") as stream:
            setattr(sys, name, stream)
            try:
                yield
            finally:
                setattr(sys, name, before)
        self.shown = "".join(_read(master))
        os.close(master)


def _read(master: int) -> Iterator[str]:
    """All that was written before the other end was closed, which is the error at its end."""
    with contextlib.suppress(OSError):
        while True:
            yield os.read(master, 4096).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


@pytest.fixture
def full(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Some of everything that there can be much of; and a server."""
    with CloudSyncQueue(site.queue) as queue:
        queue.enqueue_many([Submission({"pad": "x" * 4000})] * 50)
        queue.export(site.directory / "carried.ndjson")
        queue.ack(list(range(1, 20)))
        queue.dead_letter([20, 21], "HTTP 400")
    monkeypatch.chdir(site.directory)
    with Receiver(site.directory / "r.db") as receiver:
        site.configure(f"upload: {{endpoint: {receiver.url}}}\n")
        yield site


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rich, where each figure stands in a line of its own."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("line", LONG)
def test_long_work_shows_on_a_terminal_how_far_it_is(
    full: Site, terminal: Terminal, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """On stderr; what stdout gets is the result, as without a terminal."""
    with terminal.in_place_of("stderr"):
        assert main([*line.split(), "--json", "--config", str(full.config)]) == 0
    assert re.search(rf"\r{ESC}\[K{LONG[line]} \d+", terminal.shown)
    assert terminal.shown.endswith(f"\r{ESC}[K")
    assert capsys.readouterr().out.startswith('{"version": 1, ')


def test_long_work_shows_a_bar_where_rich_is(full: Site, terminal: Terminal) -> None:
    """With what is done of it."""
    with terminal.in_place_of("stderr"):
        assert main(["queue", "export", "out", "--config", str(full.config)]) == 0
    assert "100%" in terminal.shown


@pytest.mark.parametrize("line", LONG)
def test_long_work_shows_nothing_where_nobody_looks(
    full: Site, terminal: Terminal, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """A log wants no bars, though stdout be a terminal."""
    with terminal.in_place_of("stdout"):
        assert main([*line.split(), "--config", str(full.config)]) == 0
    assert ESC not in terminal.shown
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("line", LONG)
def test_long_work_on_a_terminal_that_cannot_draw_is_silent(
    full: Site, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """TERM=dumb: it would show the codes themselves."""
    monkeypatch.setenv("TERM", "dumb")
    with terminal.in_place_of("stderr"):
        assert main([*line.split(), "--config", str(full.config)]) == 0
    assert ESC not in terminal.shown


def test_status_has_colours_on_a_terminal_alone(
    full: Site, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    """What reads from a pipe is a program."""
    with terminal.in_place_of("stdout"):
        assert main(["status", "--config", str(full.config)]) == 0
    assert main(["status", "--config", str(full.config)]) == 0
    assert (ESC in terminal.shown, ESC in capsys.readouterr().out) == (True, False)
