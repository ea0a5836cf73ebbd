"""The whole agent in one thread: poller, queue file and flusher, on time that moves when told."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Any

from edge_agent.config import model
from edge_agent.daemon import assembly, health
from edge_agent.daemon.flusher import Uploader
from edge_agent.daemon.growth import Growth
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.privacy_key import make_shield
from edge_agent.daemon.readers import InlineReaders
from edge_agent.daemon.runs import Run
from edge_agent.daemon.wear import Wear
from edge_agent.types import Priority, SensorReading
from fakes.clock import FakeClock
from fakes.server import DOWN, FakeServer, lose_answer, take
from fakes.told import Told


class Network:
    """Down in given windows of monotonic time; now and then it loses an answer."""

    def __init__(self, clock: FakeClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        self.outages: list[tuple[float, float]] = []
        self.loses_answers = 0.05
        self.server = FakeServer(self._carry)

    def _carry(self, server: FakeServer, batch: Any) -> Any:
        now = self._clock.monotonic()
        if any(begins <= now < ends for begins, ends in self.outages):
            return DOWN(server, batch)
        return (lose_answer if self._random.random() < self.loses_answers else take)(server, batch)

    def fails_from_now(self, begins_s: float, ends_s: float) -> None:
        now = self._clock.monotonic()
        self.outages.append((now + begins_s, now + ends_s))


class Agent:
    """One run of the agent, from opening the file to closing it."""

    def __init__(
        self,
        config: model.Config,
        clock: FakeClock,
        server: Uploader,
        seed: int = 1,
        upkeep_every_s: float | None = None,
    ) -> None:
        """``upkeep_every_s``: in place of the flusher's own, which is most of a day's work."""
        self.config = config
        self.clock = clock
        self.told = Told()
        self.queue = assembly.open_queue(config, clock)
        self.queue.release_retries()
        self._shield = make_shield(config, clock, say=self.told)
        self.poller = self._new_poller()
        self.flusher = assembly.make_flusher(
            config,
            self.queue,
            server,
            clock,
            say=self.told,
            shield=self._shield,
            draw=random.Random(seed).random,
        )
        if upkeep_every_s is not None:
            settings = self.flusher._settings
            self.flusher._settings = dataclasses.replace(settings, upkeep_every_s=upkeep_every_s)
        self._flusher_due = clock.monotonic()
        self._health_every_s = config.health.upload_interval_s or float("inf")
        self._health_due = clock.monotonic() + self._health_every_s
        self._started = clock.monotonic()
        self._growth, self._run = Growth(), Run(self.queue, clock)
        # As much as a card may see; the kernel's own count would differ from run to run.
        self._run.wear = Wear(self.queue.traffic, lambda: round(100 * clock.monotonic()))
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def at(self, seconds: float, happen: Callable[[], None]) -> None:
        """Have something happen so long after the start, as a pin's edge does: to the moment."""
        heapq.heappush(self._events, (self._started + seconds, next(self._count), happen))

    def run(self, seconds: float) -> None:
        """Let time pass, from event to event; a commit wakes the flusher."""
        end = self.clock.monotonic() + seconds
        while (now := self.clock.monotonic()) < end:
            while self._events and self._events[0][0] <= now:
                heapq.heappop(self._events)[-1]()
            self._tell_health(now)
            due = min(self.poller.step(now), self._health_due, end)
            due = min(due, self._events[0][0]) if self._events else due
            if now >= self._flusher_due:
                self._flusher_due = self.flusher.step(now)
            due = min(due, self._flusher_due)
            self.clock.advance(max(due - now, 0.0))

    def alarm(self, number: int) -> None:
        """A critical reading from elsewhere."""
        self.poller.offer(SensorReading("alarm", self.clock.wall(), number), Priority.CRITICAL)

    def reload(self) -> None:
        """As the crew does: another poller in the place of this one."""
        former = self.poller
        former.finish()
        self.poller = self._new_poller()
        self.poller.inherit(former)

    def finish(self) -> None:
        """As the crew does at a stop: a last commit, a last flush."""
        self.poller.finish()
        self.flusher.drain(self.clock.monotonic() + 5)

    def cut_power(self) -> int:
        """Close without a word; returns how many readings were not committed yet."""
        self.queue.close()
        # Another run is to find the pins free.
        for slot in self.poller.slots.values():
            slot.sensor.close()
        return len(self.poller.intake.pending)

    def _new_poller(self) -> Poller:
        self.readers = InlineReaders(self.clock)
        return assembly.make_poller(
            self.config,
            self.queue,
            self.readers,
            self.clock,
            say=self.told,
            committed=self._wake_flusher,
            shield=self._shield,
        )

    def _wake_flusher(self) -> None:
        self._flusher_due = self.clock.monotonic()

    def _tell_health(self, now: float) -> None:
        """As the supervisor does."""
        if now < self._health_due:
            return
        self._health_due = now + self._health_every_s
        parts = health.Parts(
            self.queue,
            self.poller,
            self.flusher,
            self.clock,
            "current",
            sends=True,
            run=self._run,
            growth=self._growth,
        )
        reading = health.reading(health.line(parts), parts)
        self.poller.offer(reading, Priority.LOGS)
