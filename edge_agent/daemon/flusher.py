"""The flusher: everything right of the queue file. A batch, a verdict, and what follows from it.

A batch that failed is frozen in memory and goes first next time, byte for byte as it was; its rows
are nacked for as long as the endpoint or the link is held. Nothing but a verdict on a single item
condemns it. What a verdict means for the rows is written down before anything else is sent, however
long the file refuses to take it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edge_agent.clock import Clock
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.verdict import Verdict
from edge_agent.daemon import link as way
from edge_agent.daemon.comeback import Comeback
from edge_agent.daemon.journal import Say
from edge_agent.daemon.link import Link
from edge_agent.daemon.losses import Losses
from edge_agent.daemon.quota import UNLIMITED, Allowance, Quota
from edge_agent.daemon.settlement import Settlement
from edge_agent.daemon.sizing import Sizing
from edge_agent.daemon.turns import OLDEST_FIRST, Turns
from edge_agent.errors import StoreError
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority, SensorReading

#: How often a fresh critical item may try a link that is held.
URGENT_EVERY_S = 5.0
#: How often expiry has a line in the journal.
EXPIRY_TOLD_EVERY_S = 300.0
#: The pause after the queue's file could not be read or written.
STORE_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


class Uploader(Protocol):
    """What the flusher needs of an uploader."""

    #: bytes of all requests so far, failed attempts too
    sent_bytes: int

    def send(self, batch: Batch) -> Verdict:
        """One batch in, one verdict out; never raises for what a network or a server does."""

    def key_changed(self) -> bool:
        """Whether there is another key than the one last shown."""


@dataclasses.dataclass(frozen=True, slots=True)
class FlushSettings:
    """How the flusher batches."""

    #: most items a request
    batch_size: int = 50
    #: most bytes of body a request, before compression
    max_body_bytes: int = 1 << 20
    #: how long a partial batch of telemetry and logs waits
    interval_s: float = 60.0
    #: which end of a backlog goes first: one of `turns.ORDERS`
    backlog_order: str = OLDEST_FIRST
    #: what may be sent in a day, and in a month
    daily: Allowance = UNLIMITED
    monthly: Allowance = UNLIMITED
    #: how long a reading keeps that tells of a gap
    gap_ttl_s: int = 7 * 86_400
    #: how often expiry and the log's checkpoint get their turn
    upkeep_every_s: float = 10.0
    #: goes into its metadata
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    #: makes of it what may be stored
    shield: Callable[[SensorReading], SensorReading] = lambda reading: reading


class Flusher:
    """Sends the queue. One thread calls `step`.

    Others may call `flush_now` and `link_returned`, and read the counts.
    """

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
        self._queue = queue
        self._uploader = uploader
        self._settings = settings
        self._clock = clock
        self._say = say
        self.sizing = Sizing(settings.batch_size, settings.max_body_bytes)
        self.quota = Quota(queue.traffic, settings.daily, settings.monthly, say=say)
        self._turns = Turns(queue, settings.backlog_order, self.sizing, self.quota)
        self._settlement = Settlement(queue, link, self.sizing, self._turns, say=say)
        #: why the file takes nothing; empty while it does
        self._trouble = ""
        self._urgent_after = 0.0
        #: the id of the last critical item that tried a link that was down
        self._urgent_id = 0
        self._comeback = Comeback()
        self._upkeep_due = 0.0
        self._expired = 0
        self._expiry_due = 0.0
        self._everything_now = False
        self._probes = False
        self._losses = Losses(
            queue, clock, settings.gap_ttl_s, settings.labels, say=say, shield=settings.shield
        )

    @property
    def delivered_total(self) -> int:
        """Items delivered since the start."""
        return self._settlement.delivered_total

    @property
    def last_delivery(self) -> float | None:
        """Monotonic seconds of the last delivery; None before the first."""
        return self._settlement.last_delivery

    def step(self, now: float) -> float:
        """Send one batch if one is due, and do a slice of upkeep.

        Args:
            now: monotonic seconds.

        Returns:
            when to be called next, monotonic seconds; earlier when the queue has grown.
        """
        try:
            due = self._turn(now)
        except StoreError as exc:
            self._blocked(exc)
            return now + STORE_PAUSE_S
        if self._trouble:
            self._say(NOTICE, event("store_recovered", part="flusher"))
        self._trouble = ""
        return due

    def flush_now(self) -> None:
        """Send everything that is queued, hold or no hold, at the next step."""
        self._everything_now = True
        self.link.try_now(0.0)

    def link_returned(self) -> None:
        """Try a link that is down at the next step, hold or no hold: there may be a way."""
        self._comeback.announce()

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
            self._everything_now &= not self._trouble

    def inherit(self, former: Flusher) -> None:
        """Take over another flusher's batches, debts and counts: the configuration was reloaded."""
        self._settlement.inherit(former._settlement)

    def _turn(self, now: float) -> float:
        """One step, with a file that can be written."""
        self._settlement.pay()
        if now >= self._upkeep_due:
            self._upkeep(now)
        if self._uploader is None:
            return self._upkeep_due
        self._settlement.frozen.keep_only(self._queue.still_queued)
        if self.link.state != way.UP and self._uploader.key_changed():
            self._queue.release_retries()
            self.link.try_now(now)
        if self.link.may_try(now):
            due = self._send_due(self._uploader, now)
        elif self._comeback_due(now) <= now:
            self._comeback.tried(now)
            # It may be back, and trying it must not make it worse.
            due = self._send_due(self._uploader, now, urgent=True)
        else:
            due = self._send_urgent(self._uploader, now)
        return min(due, self._comeback_due(now), self._upkeep_due)

    def _upkeep(self, now: float) -> None:
        """Expire, and say so in summaries."""
        self._upkeep_due = now + self._settings.upkeep_every_s
        try:
            expired = self._queue.upkeep(self._settlement.frozen.ids)
            self._losses.tell(now)
        except StoreError as exc:
            # It can come later, and must not keep a batch from being sent.
            _log.debug(event("upkeep_put_off", reason=exc))
            return
        self._expired += expired
        if self._losses.crowded or self._queue.restless():
            self._upkeep_due = now
        if self._expired and now >= self._expiry_due:
            self._say(logging.WARNING, event("expired", items=self._expired, why="ttl"))
            self._expired, self._expiry_due = 0, now + EXPIRY_TOLD_EVERY_S

    def _comeback_due(self, now: float) -> float:
        return self._comeback.next_try(now, down=self.link.state == way.DOWN)

    def _send_due(self, uploader: Uploader, now: float, *, urgent: bool = False) -> float:
        """The frozen batch, or the next one if it is full, urgent or old enough."""
        batch = self._choose(now)
        if batch is None:
            self._everything_now = False
            return max(self.link.next_try, now + self._settings.interval_s)
        wait_s = 0.0 if batch in self._settlement.frozen else self._wait_s(batch)
        if wait_s > 0.0:
            return now + wait_s
        if not self._send(uploader, batch, urgent=urgent):
            return now
        return max(self.link.next_try, now)

    def _send_urgent(self, uploader: Uploader, now: float) -> float:
        """While the link is held: a fresh critical item may try it once, never making it worse."""
        after = self.link.next_try
        down = self.link.state == way.DOWN
        batch = self._turns.fresh_critical(self._taken) if down else None
        newest = max(batch.ids) if batch else 0
        if batch is None or newest <= self._urgent_id:
            return after
        if now < self._urgent_after:
            return min(after, self._urgent_after)
        if not self._send(uploader, self._settlement.frozen.critical or batch, urgent=True):
            return now
        self._urgent_after, self._urgent_id = now + URGENT_EVERY_S, newest
        return self.link.next_try

    def _send(self, uploader: Uploader, batch: Batch, *, urgent: bool = False) -> bool:
        """One batch, and what its verdict says; False if the clock was set since it was chosen.

        What is frozen was noted before its first request, and goes as it went.
        """
        settlement = self._settlement
        if batch not in settlement.frozen and not self._queue.note_request(batch.ids):
            return False
        before = uploader.sent_bytes
        verdict = uploader.send(batch)
        self._turns.sent(batch)
        now, sent_bytes = self._clock.monotonic(), uploader.sent_bytes - before
        if not settlement.settle(batch, verdict, now, sent_bytes, urgent=urgent):
            self._everything_now = False
        settlement.pay()
        return True

    def _choose(self, now: float) -> Batch | None:
        """What goes next: what is critical, what failed, a witness if one is wanted, the next.

        A batch that drew errors lets another go before it. What failed goes before a
        witness: during an outage each attempt would otherwise freeze one more.
        """
        frozen, jury = self._settlement.frozen, self._settlement.jury
        taken = self._taken
        if frozen.critical:
            return frozen.critical
        probe = jury.server_at_fault
        if not frozen and not jury.wants_witness:
            return self._turns.next(taken, single=probe)
        self.quota.look()
        open_to = self.quota.open_to()
        return (
            self._turns.fresh_critical(taken)
            or frozen.failed(open_to)
            or self._witness(now)
            or frozen.first(open_to)
            or self._other(taken)
            or frozen.least_tried(open_to)
        )

    def _other(self, taken: frozenset[int]) -> Batch | None:
        """What goes before those that step back: the next batch, or where there are two a probe.

        Every other time, and of one item: both of them may be at fault.
        """
        frozen, jury = self._settlement.frozen, self._settlement.jury
        if frozen.stepped_back <= 1:
            return self._turns.next(taken, single=jury.server_at_fault)
        self._probes = not self._probes
        return self._turns.witness(frozen.rows, taken) if self._probes else None

    @property
    def _taken(self) -> frozenset[int]:
        """Rows that are frozen, or whose fate waits for a witness: nothing chooses them anew."""
        return self._settlement.frozen.ids | self._settlement.jury.suspected_ids

    def _witness(self, now: float) -> Batch | None:
        """An item to compare a suspect with, if one is wanted; without any the jury is done."""
        frozen, jury = self._settlement.frozen, self._settlement.jury
        if not jury.wants_witness or frozen.stepped_back > 1:
            return None
        batch = self._turns.witness([suspect.row for suspect in jury.suspects], self._taken)
        if batch is None and not frozen:
            jury.no_witness()
            self._settlement.suspend(now)
        return batch

    def _wait_s(self, batch: Batch) -> float:
        """How long a batch still waits for company, in seconds; 0.0: not at all."""
        complete = not batch.open_ended or batch.most_urgent <= Priority.ANOMALY
        if complete or self._everything_now:
            return 0.0
        return batch.oldest + self._settings.interval_s - self._queue.now()

    def _blocked(self, exc: StoreError) -> None:
        """Nothing can be sent for now; say so once."""
        if not self._trouble:
            self._say(logging.ERROR, event("store_degraded", part="flusher", reason=exc))
        self._trouble = str(exc)
