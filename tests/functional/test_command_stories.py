"""What a person is told by the commands that look, beside the five agents of the status stories.

REWRITE_CASES=1 writes the expected outputs anew, to be looked at before they are committed.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from fakes.clock import FakeClock
from fakes.crowd import FakeDisk
from fakes.stories import (
    Site,
    dead_sensor,
    full_card,
    healthy,
    offline_three_days,
    place,
    wrong_key,
)

from edge_agent.cli.main import main
from edge_agent.clock import SystemClock

CASES = Path(__file__).parents[1] / "testcases" / "commands"
CONFIG = """\
sensors:
  - {name: fridge, type: w1}
  - {name: door, type: contact, pin: 17}
"""
LINES = (
    "queue stats",
    "queue peek -n 3",
    "queue verify",
    "queue dead list",
    "sensors read",
    "status --history",
    "flush",
)


@pytest.fixture
def site(
    tmp_path: Path, clock: FakeClock, disk: FakeDisk, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """An agent of which nothing is told yet, and whose clock the commands have, too."""
    for name in ("wall", "monotonic", "boot_id", "synchronized"):
        monkeypatch.setattr(SystemClock, name, lambda _self, ask=name: getattr(clock, ask)())
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with place(tmp_path, clock, disk) as made:
        (tmp_path / "agent.yaml").write_text(f"queue: {{path: {tmp_path}/q.db}}\n{CONFIG}")
        yield made


@pytest.fixture
def answering(site: Site) -> Iterator[None]:
    """The agent is in this process: what asks it to send is answered at once."""

    def send(_number: int, _frame: FrameType | None) -> None:
        site.rig.flusher.flush_now()
        site.rig.run()
        site.clock.advance(1)
        site.look()

    before = signal.signal(signal.SIGUSR1, send)
    yield
    signal.signal(signal.SIGUSR1, before)


def shown(line: str, site: Site, capsys: pytest.CaptureFixture[str]) -> str:
    """The command, what it prints and how it ends; nothing that differs between machines."""
    code = main([*line.split(), "--config", str(site.path / "agent.yaml")])
    out, err = capsys.readouterr()
    said = (out + err).replace(str(site.path / "q.db"), "/var/lib/pyvorin/sync_queue.db")
    said = re.sub(r"\d+ bytes, \d+ of", "512000 bytes, 4096 of", said)
    said = re.sub(r"(size +)\d+ bytes", r"\g<1>512000 bytes", said)
    return f"$ pyvorin-agent {line}\n{said}" + (f"(exit {code})\n" if code else "")


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("story", [healthy, offline_three_days, full_card, dead_sensor, wrong_key])
def test_commands_tell_a_person_what_is_so(
    site: Site, capsys: pytest.CaptureFixture[str], story: Callable[[Site], None]
) -> None:
    """Each in its own words, and all of the same agent."""
    story(site)
    told = "\n".join(shown(line, site, capsys) for line in LINES)
    case = CASES / f"{story.__name__}.txt"
    if os.environ.get("REWRITE_CASES"):
        case.parent.mkdir(exist_ok=True)
        case.write_text(told)
    assert told == case.read_text()
