"""A poller on a real queue file, readers without threads, and time that moves when told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.intake import Intake
from edge_agent.daemon.pending import Pending
from edge_agent.daemon.poller import Poller
from edge_agent.daemon.readers import InlineReaders, Readers
from edge_agent.daemon.schedule import Slot
from edge_agent.types import Priority
from fakes.clock import FakeClock
from fakes.told import Told


def make_poller(  # as many as there are parts
    queue: CloudSyncQueue,
    slots: Sequence[Slot],
    readers: Readers,
    clock: FakeClock,
    told: Told,
    **more: Any,
) -> Poller:
    """A poller that commits at once."""
    pending = Pending(queue, commit_interval_s=0.0, say=told, committed=lambda: None)
    ttl_s = {p: 86_400 + p for p in Priority}
    named = {"labels": {}, "ttl_s": ttl_s, "say": told} | more
    return Poller(slots, readers, Intake(slots, pending, clock, **named), queue, clock, say=told)


class Bench:
    """A poller on a queue, and time that passes when `run` says so."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.clock = clock
        self.queue = CloudSyncQueue(path / "q.db", durability="normal", clock=clock)
        self.told = Told()
        self.wakes = 0

    def poll(self, *slots: Slot, readers: Readers | None = None, **labels: Any) -> Poller:
        self.readers = readers or InlineReaders(self.clock)
        self.poller = make_poller(
            self.queue, slots, self.readers, self.clock, self.told, labels=labels
        )
        self.pending = self.poller.intake.pending
        return self.poller

    def run(self, seconds: float) -> None:
        """Step whenever the poller asks for it, until so much time has passed."""
        end = self.clock.monotonic() + seconds
        while (due := self.poller.step(self.clock.monotonic())) <= end:
            self.wakes += 1
            self.clock.advance(max(due - self.clock.monotonic(), 0.0))
        self.clock.advance(end - self.clock.monotonic())

    def stored(self, name: str = "") -> list[dict[str, Any]]:
        """What is queued, in order of enqueueing; of one sensor if named."""
        items = sorted(self.queue.dequeue(10_000), key=lambda item: item.id)
        return [i.payload for i in items if name in ("", i.payload["sensor_name"])]

    def faults(self) -> list[tuple[str, int, str]]:
        """(sensor, 1 or 0, reason) of each fault reading."""
        return [
            (data["metadata"]["sensor"], data["value"], data["metadata"]["reason"])
            for data in self.stored("agent.sensor_fault")
        ]
