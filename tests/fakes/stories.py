"""Agents as a person meets them, under a clock that moves when told."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.status.command import gather
from edge_agent.cli.status.wear import endurance
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon import health
from edge_agent.daemon.growth import LOOK_EVERY_S
from edge_agent.daemon.runs import Run
from edge_agent.daemon.wear import Wear
from edge_agent.errors import SensorError
from edge_agent.types import Priority
from fakes.clock import FakeClock
from fakes.crowd import FakeDisk
from fakes.rig import Rig
from fakes.sensors import ScriptedSensor, slot
from fakes.server import take

GIB = 1 << 30
MONTH_S = 30 * 86_400


def answers(action: Action, reason: str) -> Callable[[object, Batch], Verdict]:
    """A far end that always says the same."""
    return lambda _server, _batch: Verdict(action, reason)


class Site:
    """An agent with two sensors, as its status shows it."""

    def __init__(self, path: Path, clock: FakeClock, disk: FakeDisk) -> None:
        self.path, self.clock = path, clock
        self.disk = disk
        self.disk.free = 9 * GIB
        self.rig = Rig(path, clock, free_bytes=disk)
        self.rig.told.also = self.rig.queue.memory.note
        former = Run(self.rig.queue, clock)
        former.wear = self.wear()
        former.begin()
        clock.advance(90_000)
        former.note("stopped")
        self.door = ScriptedSensor(1.0)
        slots = slot("fridge", ScriptedSensor(4.25)), slot("door", self.door)
        self.parts = self.rig.parts(*slots, ttl_s=dict.fromkeys(Priority, MONTH_S))
        self.parts.run.wear = self.wear()
        self.parts.run.begin()
        self._numbers = itertools.count()
        #: what is stated of the card, and what it says of itself
        self.endurance_bytes: int | None = None
        self.card: dict[str, Any] | None = None
        #: what an untrusted server shows
        self.certificate: dict[str, Any] | None = None

    def wear(self) -> Wear:
        """Of a process that begins now, and writes 100 bytes a second."""
        began = self.clock.monotonic()
        return Wear(self.rig.queue.traffic, lambda: round(100 * (self.clock.monotonic() - began)))

    def live(self, looks: int, readings: int, every_s: float = LOOK_EVERY_S) -> None:
        """Let time pass, with so many readings before each look at everything."""
        for _ in range(looks):
            numbers = itertools.islice(self._numbers, readings)
            self.rig.put(*numbers, ttl_s=MONTH_S)
            self.rig.run(every_s)
            self.parts.poller.step(self.clock.monotonic())
            self.look()

    def look(self) -> None:
        """Write the status file, as the agent does."""
        self.parts.run.note()
        status = health.document(health.line(self.parts), self.parts)
        (self.path / "status.json").write_text(json.dumps(status))

    def facts(self) -> dict[str, Any]:
        """What `status --json` prints, but for what differs from machine to machine."""
        facts = gather(self.rig.queue, self.path, self.clock, self.endurance_bytes)
        facts["queue"] |= {"path": "/var/lib/pyvorin/sync_queue.db", "size_bytes": 512_000}
        facts["wear"]["card"] = self.card
        facts["certificate"] = self.certificate
        if facts["agent"]:
            facts["agent"]["agent_version"] = "1.2.3"
        return facts


@contextlib.contextmanager
def place(path: Path, clock: FakeClock, disk: FakeDisk) -> Iterator[Site]:
    """A site in a zone that is the same everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        made = Site(path, clock, disk)
        yield made
        made.rig.queue.close()
    time.tzset()


def healthy(site: Site) -> None:
    """Two hours of telemetry, all delivered."""
    site.live(120, 6)


def offline_three_days(site: Site) -> None:
    """The network is away; somebody opened the door meanwhile."""
    site.live(10, 1)
    words = "dns: the server's name cannot be looked up"
    site.rig.server.usual = answers(Action.LINK_DOWN, words)
    site.rig.put("open", priority=Priority.CRITICAL, ttl_s=MONTH_S)
    site.live(72, 360, 3600)


def full_card(site: Site) -> None:
    """Other programs have just filled it, and the network is away."""
    site.rig.server.usual = answers(Action.LINK_DOWN, "timeout: no answer in time")
    site.live(60, 10)
    site.disk.free = 0
    site.look()


def dead_sensor(site: Site) -> None:
    """Its wire was loose before, and came off an hour ago."""
    site.live(30, 6)
    for reads, looks in ((SensorError("no answer at 0x76", reason="nack"), 10), (1.0, 20)) * 2:
        site.door.reads = [reads]
        site.live(looks, 6)
    site.door.reads = [SensorError("no answer at 0x76", reason="nack")]
    site.live(60, 6)


def loose_wire(site: Site) -> None:
    """It is well by now."""
    site.live(30, 6)
    site.door.reads = [SensorError("a wrong sum", reason="crc")]
    site.live(15, 6)
    site.door.reads = [1.0]
    site.live(60, 6)


def expired_certificate(site: Site) -> None:
    """Somebody forgot to renew it."""
    site.live(30, 6)
    words = "tls_expired: certificate has expired"
    site.rig.server.usual = answers(Action.LINK_DOWN, words)
    site.certificate = shown("2025-03-16T16:40:00", "2025-06-16T16:40:00")
    site.live(45, 6)


def clock_in_the_past(site: Site) -> None:
    """No battery, no time service: the machine has the time of its last shutdown."""
    site.clock._synchronized = False
    words = "tls_not_yet_valid: certificate is not yet valid"
    site.rig.server.usual = answers(Action.LINK_DOWN, words)
    site.certificate = shown("2026-03-16T16:40:00", "2026-09-16T16:40:00")
    site.live(10, 6)


def shown(begins: str, ends: str) -> dict[str, Any]:
    """A certificate, as `status` tells of it."""
    dates = (dt.datetime.fromisoformat(f"{end}+00:00").timestamp() for end in (begins, ends))
    told = dict(zip(("from", "to"), dates, strict=True))
    return {"issuer": "Let's Encrypt", "hosts": ["ingest.example", "*.ingest.example"], **told}


def worn_card(site: Site) -> None:
    """An eMMC near its end, and somebody who has its data sheet; the backlog drains."""
    site.endurance_bytes = endurance("30TB")
    site.card = {"name": "mmcblk0", "used_percent": 90, "spare": "low"}
    site.rig.server.usual = answers(Action.LINK_DOWN, "timeout: no answer in time")
    site.live(60, 100)
    site.rig.server.usual = take
    site.live(31, 0)
    site.rig.put(*range(400))
    site.look()


def stopped(site: Site) -> None:
    """By its person, in the middle of the night."""
    healthy(site)
    site.parts.run.note("stopped")
    (site.path / "status.json").unlink()
    site.clock.advance(7200)


def wrong_key(site: Site) -> None:
    """The server does not know it."""
    site.live(30, 6)
    site.rig.server.usual = answers(Action.SUSPENDED, "HTTP 401: unknown key")
    site.live(45, 6)
