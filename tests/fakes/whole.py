"""The whole agent in one thread: poller, queue file and flusher, on time that moves when told."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections.abc import Callable

from edge_agent.config import model
from edge_agent.daemon import assembly, health
from edge_agent.daemon.flusher import Uploader
from edge_agent.daemon.privacy_key import make_shield
from edge_agent.daemon.readers import InlineReaders
from edge_agent.types import Priority
from fakes.clock import FakeClock
from fakes.told import Told


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
        self.readers = InlineReaders(clock)
        shield = make_shield(config, clock, say=self.told)
        self.poller = assembly.make_poller(
            config,
            self.queue,
            self.readers,
            clock,
            say=self.told,
            committed=self._wake_flusher,
            shield=shield,
        )
        self.flusher = assembly.make_flusher(
            config,
            self.queue,
            server,
            clock,
            say=self.told,
            shield=shield,
            draw=random.Random(seed).random,
        )
        if upkeep_every_s is not None:
            settings = self.flusher._settings
            self.flusher._settings = dataclasses.replace(settings, upkeep_every_s=upkeep_every_s)
        self._flusher_due = clock.monotonic()
        self._health_every_s = config.health.upload_interval_s or float("inf")
        self._health_due = clock.monotonic() + self._health_every_s
        self._started = clock.monotonic()
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

    def finish(self) -> None:
        """As the crew does at a stop: a last commit, a last flush."""
        self.poller.finish()
        self.flusher.drain(self.clock.monotonic() + 5)

    def cut_power(self) -> int:
        """Close without a word; returns how many readings were not committed yet."""
        self.queue.close()
        return len(self.poller.intake.pending)

    def _wake_flusher(self) -> None:
        self._flusher_due = self.clock.monotonic()

    def _tell_health(self, now: float) -> None:
        """As the supervisor does."""
        if now < self._health_due:
            return
        self._health_due = now + self._health_every_s
        parts = health.Parts(
            self.queue, self.poller, self.flusher, self.clock, "current", sends=True
        )
        reading = health.reading(health.line(parts), parts)
        self.poller.offer(reading, Priority.LOGS)
