"""The flusher: everything right of the queue file. A batch, a verdict, and what follows from it.

A batch that failed is frozen in memory and goes first next time, byte for byte as it was; its rows
are nacked for as long as the endpoint or the link is held. Nothing but a verdict on a single item
condemns it.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon import link as way
from edge_agent.daemon.journal import Say
from edge_agent.daemon.link import Link
from edge_agent.events import event
from edge_agent.types import Priority

#: How often a fresh critical item may try a link that is held.
URGENT_EVERY_S = 5.0
#: How often expiry and the log's checkpoint get their turn.
UPKEEP_EVERY_S = 10.0
#: Condemnations in a row after which the server, not the data, is suspected.
MOST_CONDEMNED = 4

_SPLIT = (Action.REFUSED, Action.TOO_LARGE, Action.DISBELIEVED)


class Uploader(Protocol):
    """What the flusher needs of an uploader."""

    def send(self, batch: Batch) -> Verdict:
        """One batch in, one verdict out; never raises for what a network or a server does."""


@dataclasses.dataclass(frozen=True, slots=True)
class FlushSettings:
    """How the flusher batches."""

    #: most items a request
    batch_size: int = 50
    #: most bytes of body a request, before compression
    max_body_bytes: int = 1 << 20
    #: how long a partial batch of telemetry and logs waits
    interval_s: float = 60.0


class Flusher:
    """Sends the queue. One thread calls `step`; others may call `flush_now` and read the counts."""

    def __init__(
        self,
        queue: CloudSyncQueue,
        uploader: Uploader | None,
        settings: FlushSettings,
        link: Link,
        clock: Clock,
        *,
        say: Say,
    ) -> None:
        """Put the parts together.

        Args:
            queue: where the rows are.
            uploader: None: store only.
            settings: how to batch.
            link: what is known of the way to the server.
            clock: the machine's.
            say: where changes of state are told.
        """
        self.link = link
        self.delivered_total = 0
        #: monotonic seconds of the last delivery; None before the first
        self.last_delivery: float | None = None
        self._queue = queue
        self._uploader = uploader
        self._settings = settings
        self._clock = clock
        self._say = say
        self._frozen: list[Batch] = []
        self._accepted = False
        self._condemned_in_a_row = 0
        self._urgent_after = 0.0
        self._upkeep_due = 0.0
        self._everything_now = False

    def step(self, now: float) -> float:
        """Send one batch if one is due, and do a slice of upkeep.

        Args:
            now: monotonic seconds.

        Returns:
            when to be called next, monotonic seconds; earlier when the queue has grown.
        """
        if now >= self._upkeep_due:
            self._upkeep(now)
        if self._uploader is None:
            return self._upkeep_due
        if self.link.may_try(now):
            return self._send_due(self._uploader, now)
        return self._send_urgent(self._uploader, now)

    def flush_now(self) -> None:
        """Send everything that is queued, hold or no hold, at the next step."""
        self._everything_now = True
        self.link.try_now(0.0)

    def drain(self, deadline: float) -> None:
        """Send what is queued for as long as all goes well; for a stop.

        Args:
            deadline: monotonic seconds after which no further batch is begun.
        """
        self._everything_now = self._uploader is not None
        while self._everything_now and self.link.state in (way.UP, way.UNTRIED):
            now = self._clock.monotonic()
            if now >= deadline:
                return
            self.step(now)

    def inherit(self, former: Flusher) -> None:
        """Take over another flusher's frozen batches and counts: the configuration was reloaded."""
        self._frozen = former._frozen
        self.delivered_total = former.delivered_total
        self.last_delivery = former.last_delivery

    def _upkeep(self, now: float) -> None:
        expired = self._queue.upkeep()
        if expired:
            self._say(logging.WARNING, event("expired", items=expired, why="ttl"))
        self._upkeep_due = now + UPKEEP_EVERY_S

    def _send_due(self, uploader: Uploader, now: float) -> float:
        """The frozen batch, or the next one if it is full, urgent or old enough."""
        batch = self._frozen[0] if self._frozen else self._next_batch()
        if batch is None:
            self._everything_now = False
            return min(self._upkeep_due, now + self._settings.interval_s)
        wait_s = 0.0 if batch in self._frozen else self._wait_s(batch)
        if wait_s > 0.0:
            return min(self._upkeep_due, now + wait_s)
        self._settle(batch, uploader.send(batch))
        return max(self.link.next_try, now)

    def _send_urgent(self, uploader: Uploader, now: float) -> float:
        """While the link is held: a fresh critical item may try it, and never makes it worse."""
        after = min(self.link.next_try, self._upkeep_due)
        if self.link.state != way.DOWN:
            return after
        batch = self._next_batch(critical_only=True)
        if batch is None:
            return after
        if now < self._urgent_after:
            return min(after, self._urgent_after)
        self._urgent_after = now + URGENT_EVERY_S
        if self._frozen and self._frozen[0].most_urgent is Priority.CRITICAL:
            batch = self._frozen[0]
        self._settle(batch, uploader.send(batch), urgent=True)
        return now

    def _next_batch(self, *, critical_only: bool = False) -> Batch | None:
        limits = self._settings
        return self._queue.next_batch(
            limits.batch_size, limits.max_body_bytes, critical_only=critical_only
        )

    def _wait_s(self, batch: Batch) -> float:
        """How long a batch still waits for company, in seconds; 0.0: not at all."""
        complete = not batch.open_ended or batch.most_urgent <= Priority.ANOMALY
        if complete or self._everything_now:
            return 0.0
        return batch.oldest + self._settings.interval_s - self._queue.now()

    def _settle(self, batch: Batch, verdict: Verdict, *, urgent: bool = False) -> None:
        """Do what the verdict says with the batch's rows."""
        now = self._clock.monotonic()
        alone = len(batch.rows) == 1
        if verdict.action is Action.DELIVERED or (alone and verdict.action is Action.DISBELIEVED):
            self._thaw(batch)
            self._deliver(batch, verdict, now)
        elif verdict.action in _SPLIT and not alone:
            self._thaw(batch)
            self._frozen[:0] = batch.halves()
        elif verdict.action in _SPLIT:
            self._thaw(batch)
            self._condemn(batch, verdict.reason, now)
        else:
            self._hold(batch, verdict, now, urgent=urgent)

    def _thaw(self, batch: Batch) -> None:
        """Its fate is known: it need not go out again as it was."""
        if batch in self._frozen:
            self._frozen.remove(batch)

    def _deliver(self, batch: Batch, verdict: Verdict, now: float) -> None:
        """Delete what was taken; the items the server named go their own ways."""
        named = verdict.rejected.keys() | verdict.retry
        taken = [number for number in batch.ids if number not in named]
        self.link.worked(now)
        if taken:
            self._accepted, self._condemned_in_a_row = True, 0
            self.delivered_total += self._queue.ack_sent(taken)
            self.last_delivery = now
        if verdict.retry:
            self._queue.nack(sorted(verdict.retry), self.link.longest_s)
        for row in batch.rows:
            if row.id in verdict.rejected:
                alone = dataclasses.replace(batch, rows=(row,), open_ended=False)
                self._condemn(alone, verdict.rejected[row.id], now)

    def _condemn(self, batch: Batch, reason: str, now: float) -> None:
        """Dead-letter a single item, if this server has shown that it takes others.

        Without such a witness, or after several condemnations in a row, the server is suspected:
        sending is suspended, and the item goes back into the queue behind the others, so that the
        next probe carries one of them.
        """
        if not self._accepted or self._condemned_in_a_row >= MOST_CONDEMNED:
            hold_s = self.link.failed(Action.SUSPENDED, f"refuses everything: {reason}", now)
            self._queue.nack(batch.ids, hold_s + self.link.longest_s)
            return
        self._condemned_in_a_row += 1
        self._queue.dead_letter(batch.ids, reason)
        self._say(logging.ERROR, event("dead_letter", id=batch.ids[0], reason=reason))

    def _hold(self, batch: Batch, verdict: Verdict, now: float, *, urgent: bool = False) -> None:
        """Freeze the batch and put its rows off for as long as nothing will be tried."""
        hold_s = max(self.link.next_try - now, 0.0)
        if not urgent:
            hold_s = self.link.failed(
                verdict.action, verdict.reason, now, retry_after_s=verdict.retry_after_s
            )
        if batch not in self._frozen:
            first = batch.most_urgent is Priority.CRITICAL
            self._frozen.insert(0 if first else len(self._frozen), batch)
        self._everything_now = False
        self._queue.nack(batch.ids, hold_s)
