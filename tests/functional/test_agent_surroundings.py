"""The whole agent with a clock that is set, a file that is garbage, a journal that is deaf."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.processes import COMMAND, PATIENCE_S, Site, command, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import ReceiverStore
from edge_agent.receiver.store import ReceivedItem

pytestmark = pytest.mark.slow

SENSORS = """
health: {upload_interval: 0s}
sensors: [{name: probe, type: simulated, interval: 100ms}]
"""
BRISK = "commit_interval: 100ms"
DAY_S = 86_400
#: Python runs this before the agent: its clock is off by what a file says, its boot is a file's.
SKEW = """
import os, pathlib
from edge_agent.clock import SystemClock
place, wall = pathlib.Path(os.environ["SKEW"]), SystemClock.wall
SystemClock.wall = lambda self: wall(self) + float((place / "off_s").read_text())
SystemClock.boot_id = lambda self: (place / "boot").read_text()
"""


def uploading(url: str) -> str:
    settings = "auth: none, interval: 200ms, retry_delay: 100ms, max_retry_delay: 500ms"
    return f"upload: {{endpoint: '{url}', {settings}}}\n{SENSORS}"


def arrived(site: Site) -> list[ReceivedItem]:
    store = ReceiverStore(site.directory / "received.db")
    try:
        return list(store.items())
    finally:
        store.close()


def read_more(site: Site, readings: int = 15) -> None:
    """So many more readings come into the queue."""

    def stored() -> int:
        with contextlib.closing(sqlite3.connect(site.queue)) as db:
            found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sync_queue'")
            return int((found.fetchone() or (0,))[0])

    before = stored()
    until(lambda: stored() >= before + readings, "more readings in the queue")


class SkewedClock:
    """What the agent at a site takes for the time, and for this boot."""

    def __init__(self, site: Site) -> None:
        self._place = site.directory / "skew"
        self._place.mkdir()
        (self._place / "sitecustomize.py").write_text(SKEW)
        self.set(0)
        self.boot("one")
        path = f"{self._place}:{Path(__file__).parents[2]}"
        self.env = {"SKEW": str(self._place), "PYTHONPATH": path}

    def set(self, off_s: float) -> None:
        """In one go, as whoever looks must never meet half a file."""
        fresh = self._place / "fresh"
        fresh.write_text(str(off_s))
        fresh.replace(self._place / "off_s")

    def boot(self, name: str) -> None:
        (self._place / "boot").write_text(name)


@pytest.mark.fault(
    "clock",
    "by minutes",
    "by days",
    "by years",
    "while running",
    "while stopped",
    "before and after a reboot",
    how="the agent's clock is off by what a file says, which is changed",
)
@pytest.mark.parametrize("when", ["running", "stopped", "rebooted"])
@pytest.mark.parametrize(
    "days",
    [1 / 288, -3, 365, -365],
    ids=["5 min ahead", "3 days back", "a year ahead", "a year back"],
)
def test_agent_whose_clock_is_set_delivers_every_reading_in_order(
    days: float, when: str, site: Site, tell: Callable[[str], None]
) -> None:
    """None expires or freezes; within a boot, what was read before has the right time after."""
    clock, step_s = SkewedClock(site), days * DAY_S
    site.configure(SENSORS, queue=BRISK)
    begun = time.time()
    agent = site.agent(**clock.env)
    read_more(site)
    if when == "running":
        clock.set(step_s)
        agent.wait_for("clock_step")
        read_more(site)
    assert agent.end() == 0
    clock.set(step_s)
    if when == "rebooted":
        clock.boot("another")
    _, url = site.receiver()
    site.configure(uploading(url), queue=BRISK)
    agent = site.agent(**clock.env)
    until(lambda: len(arrived(site)) >= 25, "all readings at the receiver")
    assert agent.end() == 0
    with CloudSyncQueue(site.queue) as queue:
        books = queue.ledger()
    items = arrived(site)
    assert books.closes
    assert (books.queued, books.expired) == (0, 0)
    assert [item.id for item in items] == list(range(1, books.enqueued + 1))
    times = [item.data["timestamp"] for item in items]
    if when != "rebooted":
        assert begun + step_s - 1 <= min(times) <= max(times) <= time.time() + step_s + 1
    tell(f"{len(items)} readings in order, 0 expired")


BAD = {
    "empty": b"",
    "a list": b"- a\n",
    "aliases": b"a: &x 1\nb: *x\n",
    "5000 brackets": b"a: " + b"[" * 5000,
    "5000-digit integer": b"a: " + b"9" * 5000,
    "wrong encoding": "a: 1\n".encode("utf-16"),
    "garbage": os.urandom(3000),
    "several problems": b"quueue: {}\nsensors: [{name: x}]\n",
}


@pytest.mark.fault(
    "configuration",
    "unreadable",
    "empty",
    "a list",
    "aliases",
    "5000 brackets",
    "5000-digit integer",
    "wrong encoding",
    "changed to garbage and SIGHUP",
    how="each is put in the file's place: SIGHUP to a running agent, a start with and without a"
    " last good copy; unreadable is a directory there",
)
@pytest.mark.parametrize("content", [*BAD.values(), None], ids=[*BAD, "unreadable"])
def test_agent_whose_configuration_turns_bad_says_so_and_runs_on(
    content: bytes | None, site: Site, tell: Callable[[str], None]
) -> None:
    """Running: on what it had; at a start: on the last good copy; without one: exit 78."""
    site.configure(SENSORS, queue=BRISK)
    agent = site.agent()
    site.config.unlink()
    if content is None:
        site.config.mkdir()
    else:
        site.config.write_bytes(content)
    agent.send(signal.SIGHUP)
    told = agent.wait_for("config_refused problem=")
    assert str(site.config) in told
    read_more(site)
    assert agent.end() == 0
    agent = site.agent()
    assert agent.said("config_last_good problem=")
    read_more(site)
    assert agent.end() == 0
    with tempfile.TemporaryDirectory() as empty:
        ended = command("run", "--config", site.config, env={"STATE_DIRECTORY": empty})
    assert ended.returncode == 78
    assert str(site.config) in ended.stderr
    assert "Traceback" not in ended.stderr
    tell(told.partition(str(site.config))[2][:100])


@pytest.mark.fault(
    "journal",
    "stopped",
    "stdout a full pipe",
    "stdout closed",
    how="the agent's standard output is a socket without the other end, a full pipe, or closed",
)
@pytest.mark.parametrize("output", ["stopped", "full", "closed"])
def test_agent_whose_journal_takes_nothing_reads_on_and_stops(output: str, site: Site) -> None:
    """Nobody waits for a line that nobody takes."""
    site.configure(SENSORS, queue=BRISK)
    run = [*COMMAND, "run", "--config", str(site.config)]
    ends: list[int] = []
    if output == "closed":
        run = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *run]
    elif output == "full":
        ends = list(os.pipe())
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4096)
        os.write(ends[1], b"x" * 4096)
    else:
        ours, theirs = socket.socketpair()
        ours.close()
        ends = [theirs.detach()]
    out = ends[-1] if ends else None
    place = {"RUNTIME_DIRECTORY": str(site.directory), "STATE_DIRECTORY": str(site.directory)}
    process = subprocess.Popen(run, stdout=out, stderr=out, env=os.environ | place)
    until(site.queue.exists, "a queue")
    until((site.directory / "status.json").exists, "a status")
    read_more(site, 30)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    for end in ends:
        os.close(end)


@pytest.mark.fault(
    "copies",
    "a restored card image",
    how="the agent's stopped queue file is copied, used on, and put back as it was",
)
def test_agent_on_a_restored_card_gives_no_name_to_two_readings(
    site: Site, tell: Callable[[str], None]
) -> None:
    """What the copy still had comes under its old name; what is read now has a name of its own."""
    site.configure(SENSORS, queue=BRISK)
    agent = site.agent()
    read_more(site)
    assert agent.end() == 0
    copy = site.directory / "copy.db"
    shutil.copy(site.queue, copy)
    _, url = site.receiver()
    site.configure(uploading(url), queue=BRISK)
    for _ in range(2):
        agent = site.agent()
        before = len(arrived(site))
        until(lambda before=before: len(arrived(site)) > before + 15, "readings at the receiver")
        assert agent.end() == 0
        shutil.copy(copy, site.queue)
    items = arrived(site)
    names = {(item.queue_id, item.id) for item in items}
    assert len(names) == len(items) == len({item.data["timestamp"] for item in items})
    tell(f"{len(items)} readings under {len({name for name, _ in names})} queue_ids")
