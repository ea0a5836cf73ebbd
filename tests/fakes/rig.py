"""A flusher on a real queue file, a server without a network, and time that moves when told."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.flusher import Flusher, FlushSettings
from edge_agent.daemon.growth import Growth
from edge_agent.daemon.health import Parts
from edge_agent.daemon.link import Link
from edge_agent.daemon.readers import InlineReaders
from edge_agent.daemon.runs import Run
from edge_agent.daemon.schedule import Slot
from edge_agent.errors import StoreError
from edge_agent.types import Priority, Submission
from fakes.bench import make_poller
from fakes.clock import FakeClock
from fakes.server import FakeServer
from fakes.told import Told

INTERVAL_S = 60.0
BASE_S = 60.0
UPKEEP_S = 60.0
CAP_S = 900.0


class Rig:
    """A flusher with its surroundings, and time that passes when `run` says so."""

    def __init__(self, path: Path, clock: FakeClock, batch_size: int = 10, **how: Any) -> None:
        self.clock = clock
        self.queue = CloudSyncQueue(path / "q.db", durability="normal", clock=clock, **how)
        self.server = FakeServer()
        self.told = Told()
        self.draw = 0.5
        # Hours pass in these tests, and most of them are not about upkeep.
        self.settings = FlushSettings(batch_size, 1 << 20, INTERVAL_S, upkeep_every_s=UPKEEP_S)
        self.flusher = self.new_flusher(self.server)

    def new_flusher(self, server: FakeServer | None, queue: Any = None) -> Flusher:
        link = Link(base_s=BASE_S, cap_s=CAP_S, draw=lambda: self.draw, say=self.told)
        return Flusher(queue or self.queue, server, self.settings, link, self.clock, say=self.told)

    def configure(self, **settings: Any) -> None:
        """A flusher anew, with other settings."""
        self.settings = dataclasses.replace(self.settings, **settings)
        self.flusher = self.new_flusher(self.server)

    def break_queue(self, *methods: str) -> Broken:
        """A flusher anew whose queue fails in some of its methods."""
        broken = Broken(self.queue, *methods)
        self.flusher = self.new_flusher(self.server, broken)
        return broken

    def put(
        self, *values: Any, priority: Priority = Priority.TELEMETRY, ttl_s: int = 86_400
    ) -> None:
        self.queue.enqueue_many([Submission({"value": v}, priority, ttl_s) for v in values])

    def readings(self, sensor: str, *values: Any) -> list[Submission]:
        """Telemetry of one sensor, to be enqueued."""
        return [Submission({"sensor_name": sensor, "value": value}) for value in values]

    def run(self, seconds: float = 0.0) -> None:
        """Step from event to event until so much time has passed."""
        end = self.clock.monotonic() + seconds
        for _ in range(10_000):
            now = self.clock.monotonic()
            due = self.flusher.step(now)
            if due > end:
                self.clock.advance(end - now)
                return
            self.clock.advance(max(due - now, 0.0))
        pytest.fail("the flusher spins")

    def run_until_empty(self) -> None:
        """Let a quarter of an hour pass until nothing is queued, some hours at the most."""
        for _ in range(30):
            if not self.queue.pending_count():
                return
            self.run(CAP_S)
        pytest.fail(f"still queued: {self.queue.depths()}")

    def parts(
        self, *slots: Slot, sends: bool = True, config: str = "current", **more: Any
    ) -> Parts:
        """What the agent would tell of itself, with these sensors polled once."""
        poller = make_poller(
            self.queue, slots, InlineReaders(self.clock), self.clock, self.told, **more
        )
        poller.step(self.clock.monotonic())
        run, growth = Run(self.queue, self.clock), Growth()
        return Parts(self.queue, poller, self.flusher, self.clock, config, sends, run, growth)

    def dead(self) -> int:
        return self.queue.ledger().dead


class Broken:
    """Stands in front of a queue and lets a method fail for as long as it is told to."""

    def __init__(self, queue: CloudSyncQueue, *methods: str) -> None:
        self._queue = queue
        self.methods = methods
        self.refusals = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._queue, name)
        return functools.partial(self._call, name) if callable(found) else found

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        if name in self.methods:
            self.refusals += 1
            raise StoreError("q.db: disk I/O error (SQLITE_IOERR)", reason="SQLITE_IOERR")
        return getattr(self._queue, name)(*args, **named)
