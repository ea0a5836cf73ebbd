"""`status --watch` on a real terminal, beside an agent that runs, ends and starts again.

The picture of it goes where the fixture ``artefacts`` says.
"""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.processes import Process, Site, until
from fakes.terminal import Terminal
from rich.console import Console
from rich.text import Text

from edge_agent.cli.status.schema import STATUS
from edge_agent.cli.status.watch import EVERY_S, fitted
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.types import Submission

CONFIG = """
upload: {endpoint: "http://127.0.0.1:9/v1", retry_delay: 15min}
sensors:
  - {name: fridge, type: simulated, interval: 200ms, base: 4, amplitude: 0}
  - {name: room, type: bme280, bus: 99, interval: 1s}
"""
CTRL_C = "\x03"
Open = Callable[..., Terminal]


@pytest.fixture
def watched(site: Site) -> Iterator[Open]:
    """Opens terminals with `status --watch` on them."""
    opened: list[Terminal] = []

    def open_it(*words: str, size: tuple[int, int] = (100, 40), **env: str) -> Terminal:
        given = {"RUNTIME_DIRECTORY": str(site.directory), **env}
        words = ("status", "--watch", "--config", str(site.config), *words)
        opened.append(Terminal(*words, size=size, env=given))
        return opened[-1]

    yield open_it
    for terminal in opened:
        terminal.close()


@pytest.fixture
def agent(site: Site) -> Process:
    """With a sensor that is not there, and a link that is down."""
    site.configure(CONFIG)
    process = site.agent()
    until(lambda: site.status()["sensors"]["room"]["faults"], "the absent sensor's fault")
    until(lambda: site.status()["health"]["link"] == "down", "the link's end")
    return process


def picture(terminal: Terminal, file: Path) -> None:
    """What stands there, as an SVG."""
    console = Console(record=True, width=terminal.screen.columns, file=io.StringIO())
    console.print(Text.from_ansi(terminal.screen.painted.rstrip()))
    file.write_text(console.export_svg(title="pyvorin-agent status --watch"))


def test_watch_draws_in_place_and_ends_with_ctrl_c(
    watched: Open, agent: Process, artefacts: Path
) -> None:
    """One picture that stands still while its numbers move; then the prompt, and no complaint."""
    terminal = watched()
    said = terminal.shows(
        "agent    running for ", "link     down since ", "sensor   room: absent_bus"
    )
    assert "the last error: refused" in said
    assert "the next try in " in said
    assert "1 fault since " in said
    drawn = terminal.written.count("\x1b[H")
    until(lambda: terminal.written.count("\x1b[H") >= drawn + 2, "it to be drawn again")
    assert (terminal.screen.clears, terminal.screen.scrolled) == (1, 0)
    assert terminal.screen.text.count("agent    running for ") == 1
    assert "\x1b[31msensor   \x1b[0mroom" in terminal.written
    file = artefacts / "status_watch.svg"
    picture(terminal, file)
    assert "absent_bus" in file.read_text()
    terminal.type(CTRL_C)
    assert terminal.end() == 0
    tail = terminal.written.rpartition("\x1b[J")[2]
    assert tail.replace("^C", "").strip() == ""
    assert agent.said("ready")


def test_watch_goes_on_while_the_agent_ends_and_starts(
    watched: Open, agent: Process, site: Site
) -> None:
    """It is there to see just that."""
    terminal = watched()
    terminal.shows("agent    running for ")
    agent.end(signal.SIGKILL)
    terminal.shows("agent    not running", "the last run was killed, or crashed")
    site.agent()
    assert "agent    not running" not in terminal.shows("agent    running for ")
    assert terminal.screen.scrolled == 0


def test_watch_of_a_queue_file_that_is_replaced_shows_the_new_one(
    watched: Open, site: Site
) -> None:
    """As an agent does with a damaged one; while there is none it says so."""
    site.configure(CONFIG)
    for count in (3, 5):
        with CloudSyncQueue(site.queue) as queue:
            queue.enqueue_many([Submission({"n": n}) for n in range(count)])
        if count == 3:
            terminal = watched()
        terminal.shows(f"queue    {count} waiting")
        aside = site.directory / f"aside{count}"
        aside.mkdir()
        for file in site.directory.glob("sync_queue.db*"):
            file.rename(aside / file.name)
        assert "agent    " not in terminal.shows("pyvorin-agent:", "No such file")
    assert terminal.screen.scrolled == 0


def test_watch_without_colours_has_none(watched: Open, agent: Process) -> None:
    """Drawn in place all the same."""
    terminal = watched(NO_COLOR="1")
    terminal.shows("sensor   room: absent_bus")
    assert (terminal.screen.colours, terminal.screen.clears) == (0, 1)


def test_watch_on_a_terminal_that_cannot_draw_writes_one_below_the_other(
    watched: Open, agent: Process
) -> None:
    """A teletype, or an editor's shell."""
    terminal = watched(TERM="dumb", size=(300, 90))
    until(lambda: terminal.written.count("agent    running for ") >= 2, "it twice")
    assert "\x1b" not in terminal.written


def test_watch_on_a_small_terminal_says_what_is_missing(watched: Open, agent: Process) -> None:
    """Long lines are folded; and a window that is made higher shows the rest."""
    terminal = watched(size=(60, 12))
    said = terminal.shows(" lines more; a higher window shows them")
    assert len(said.splitlines()) == 12
    assert said.startswith("agent    running for ")
    drawn = terminal.written.count("\x1b[H")
    until(lambda: terminal.written.count("\x1b[H") >= drawn + 2, "it to be drawn again")
    assert terminal.screen.scrolled == 0
    terminal.resize(100, 40)
    assert "more; a higher" not in terminal.shows("agent    running", "sensor   room: absent_bus")


def test_watch_for_a_program_writes_a_line_each_time(watched: Open, agent: Process) -> None:
    """Also on a terminal."""
    terminal = watched("--json", "--history", size=(300, 90))
    until(lambda: terminal.written.count("\n") >= 2, "two lines")
    lines = terminal.written.splitlines()
    first, second = map(json.loads, lines[:2])
    assert second["at"] - first["at"] >= EVERY_S
    assert {"at", "event"} == first["history"][-1].keys()
    assert STATUS["properties"]["history"]["items"]["required"] == ["at", "event"]


@pytest.mark.parametrize(
    ("count", "newest_last", "expected"),
    [
        (3, False, ["0", "1", "2"]),
        (4, False, ["0", "1", "... 2 lines more; a higher window shows them"]),
        (9, True, ["... 7 lines more; a higher window shows them", "7", "8"]),
    ],
)
def test_watch_fits_lines_to_the_terminal(
    count: int, newest_last: bool, expected: list[str]
) -> None:
    """From the top, and changes of state from the end."""
    assert fitted([*map(str, range(count))], 3, newest_last=newest_last) == expected
