"""What the limits of the queue cost: told in the journal, and to the far end as gap readings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.clock import Clock
from edge_agent.cloud_sync.gaps import GAP_READING, Gap
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.journal import Say
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority, SensorReading, Submission

#: How often the same kind of loss has a line in the journal.
TOLD_EVERY_S = 300.0


class Losses:
    """Looks at the queue's bounds after each upkeep. Used by the flusher's thread alone."""

    def __init__(
        self,
        queue: CloudSyncQueue,
        clock: Clock,
        ttl_s: int,
        labels: Mapping[str, Any],
        *,
        say: Say,
        shield: Callable[[SensorReading], SensorReading] = lambda reading: reading,
    ) -> None:
        """Begin with what the queue has lost since it was opened.

        Args:
            queue: whose bounds.
            clock: the machine's.
            ttl_s: how long a gap reading keeps.
            labels: go into its metadata.
            say: where it is told.
            shield: makes of a reading what may be stored.
        """
        self._queue = queue
        self._clock = clock
        self._ttl_s = ttl_s
        self._labels = labels
        self._say = say
        self._shield = shield
        self._told = self._counts()
        self._due = dict.fromkeys(self._told, 0.0)
        self._disk_low = False

    @property
    def crowded(self) -> bool:
        """Whether another slice of upkeep is wanted at once."""
        return self._queue.bounds.crowded

    def tell(self, now: float) -> None:
        """Say what has changed, and queue gap readings if there is room.

        Args:
            now: monotonic seconds.

        Raises:
            StoreError: they could not be stored; they will be told later.
        """
        self._tell_disk()
        for name, total in self._counts().items():
            if total > self._told[name] and now >= self._due[name]:
                self._say(logging.WARNING, event(name, items=total - self._told[name], why="size"))
                self._told[name], self._due[name] = total, now + TOLD_EVERY_S
        self._queue.enqueue_gaps(self._reading_of)

    def _tell_disk(self) -> None:
        """Say when the disk gets low, and when it has room again."""
        low = self._queue.bounds.disk_low
        if low and not self._disk_low:
            advice = "make room on the disk; until then the queue does not grow"
            self._say(logging.WARNING, event("disk_low", **low._asdict(), do=advice))
        if not low and self._disk_low:
            self._say(NOTICE, event("disk_recovered"))
        self._disk_low = low is not None

    def _counts(self) -> dict[str, int]:
        bounds = self._queue.bounds
        return {
            "shed": bounds.shed_total,
            "thinned": bounds.thinned_total,
            "rejected": bounds.rejected_total,
        }

    def _reading_of(self, gap: Gap) -> Submission:
        """A gap as the far end reads it."""
        clock = {} if self._clock.synchronized() else {"clock": "unsynced"}
        told = {"sensor": gap.sensor, "from": gap.from_time, "to": gap.to_time, "why": gap.why}
        reading = SensorReading(
            GAP_READING, self._clock.wall(), gap.items, "count", {**self._labels, **told, **clock}
        )
        return Submission(self._shield(reading).to_dict(), Priority.LOGS, self._ttl_s)
