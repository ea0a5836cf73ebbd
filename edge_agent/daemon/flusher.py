"""The flusher: everything right of the queue file. A batch, a verdict, and what follows from it.

A batch that failed is frozen in memory and goes first next time, byte for byte as it was; its rows
are nacked for as long as the endpoint or the link is held. Nothing but a verdict on a single item
condemns it. What a verdict means for the rows is written down before anything else is sent, however
long the file refuses to take it.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from edge_agent.clock import Clock
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.selection import FRESH_S
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon import link as way
from edge_agent.daemon.journal import Say
from edge_agent.daemon.link import Link
from edge_agent.daemon.losses import Losses
from edge_agent.errors import StoreError
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority

#: How often a fresh critical item may try a link that is held.
URGENT_EVERY_S = 5.0
#: How often expiry and the log's checkpoint get their turn.
UPKEEP_EVERY_S = 10.0
#: How often expiry has a line in the journal.
EXPIRY_TOLD_EVERY_S = 300.0
#: The pause after the queue's file could not be read or written.
STORE_PAUSE_S = 5.0
#: Condemnations in a row after which the server, not the data, is suspected.
MOST_CONDEMNED = 4

_log = logging.getLogger(__name__)
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
    #: how long a reading keeps that tells of a gap
    gap_ttl_s: int = 7 * 86_400
    #: goes into its metadata
    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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
        #: what the queue has still to note, oldest first: no batch is frozen at a start, so that
        #: nacked rows go back to their old places; and then verdicts
        self._owed: deque[Callable[[], object]] = deque([queue.release_retries])
        #: why the file takes nothing; empty while it does
        self._trouble = ""
        #: whether this server has accepted an item: the witness
        self._accepted = False
        self._condemned_in_a_row = 0
        #: the reason of a condemnation that wants a witness; empty: none does
        self._doubt = ""
        self._urgent_after = 0.0
        #: the id of the last critical item that tried a link that was down
        self._urgent_id = 0
        self._upkeep_due = 0.0
        self._expired = 0
        self._expiry_due = 0.0
        self._everything_now = False
        self._losses = Losses(queue, clock, settings.gap_ttl_s, settings.labels, say=say)

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
        self._frozen, self._owed = former._frozen, former._owed
        self.delivered_total = former.delivered_total
        self.last_delivery = former.last_delivery

    def _turn(self, now: float) -> float:
        """One step, with a file that can be written."""
        self._pay()
        if now >= self._upkeep_due:
            self._upkeep(now)
        if self._uploader is None:
            return self._upkeep_due
        self._leave_out_what_is_gone()
        send = self._send_due if self.link.may_try(now) else self._send_urgent
        return min(send(self._uploader, now), self._upkeep_due)

    def _upkeep(self, now: float) -> None:
        """Expire, and say so in summaries."""
        self._upkeep_due = now + UPKEEP_EVERY_S
        try:
            expired = self._queue.upkeep({number for b in self._frozen for number in b.ids})
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

    def _send_due(self, uploader: Uploader, now: float) -> float:
        """The frozen batch, or the next one if it is full, urgent or old enough."""
        batch = self._choose()
        if batch is None:
            self._everything_now = False
            if self._doubt and self.link.state != way.SUSPENDED:
                self._suspend(now)
            return now + self._settings.interval_s
        wait_s = 0.0 if batch in self._frozen else self._wait_s(batch)
        if wait_s > 0.0:
            return now + wait_s
        if not self._noted(batch):
            return now
        self._settle(batch, uploader.send(batch))
        self._pay()
        return max(self.link.next_try, now)

    def _send_urgent(self, uploader: Uploader, now: float) -> float:
        """While the link is held: a fresh critical item may try it once, never making it worse."""
        after = self.link.next_try
        batch = self._fresh_critical() if self.link.state == way.DOWN else None
        newest = max(batch.ids) if batch else 0
        if batch is None or newest <= self._urgent_id:
            return after
        if now < self._urgent_after:
            return min(after, self._urgent_after)
        if self._frozen and self._frozen[0].most_urgent is Priority.CRITICAL:
            batch = self._frozen[0]
        if not self._noted(batch):
            return now
        self._urgent_after, self._urgent_id = now + URGENT_EVERY_S, newest
        self._settle(batch, uploader.send(batch), urgent=True)
        self._pay()
        return self.link.next_try

    def _choose(self) -> Batch | None:
        """What goes next: a fresh critical item waits for no other batch, then what is frozen."""
        if not self._frozen:
            return self._next_batch()
        if self._frozen[0].most_urgent is Priority.CRITICAL:
            return self._frozen[0]
        return self._fresh_critical() or self._frozen[0]

    def _next_batch(self, *, critical_only: bool = False) -> Batch | None:
        limits = self._settings
        return self._queue.next_batch(
            limits.batch_size, limits.max_body_bytes, critical_only=critical_only
        )

    def _fresh_critical(self) -> Batch | None:
        """The next critical items, if one of them is fresh."""
        batch = self._next_batch(critical_only=True)
        if batch is None:
            return None
        newest = max(row.created_at for row in batch.rows)
        return batch if self._queue.now() - newest < FRESH_S else None

    def _noted(self, batch: Batch) -> bool:
        """Whether it may go as it is; if the clock was set since it was chosen, choose anew.

        What is frozen was noted before its first request, and goes as it went.
        """
        return batch in self._frozen or self._queue.note_request(batch.ids)

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
            self._condemn(batch.ids[0], verdict.reason, now)
        else:
            self._hold(batch, verdict, now, urgent=urgent)

    def _leave_out_what_is_gone(self) -> None:
        """A frozen batch out of which a person has purged or exported rows goes without them.

        So it is another request, under a key of its own.
        """
        left = (batch.only(self._queue.still_queued(batch.ids)) for batch in self._frozen)
        self._frozen = [batch for batch in left if batch.rows]

    def _thaw(self, batch: Batch) -> None:
        """Its fate is known: it need not go out again as it was."""
        if batch in self._frozen:
            self._frozen.remove(batch)

    def _deliver(self, batch: Batch, verdict: Verdict, now: float) -> None:
        """Delete what was taken; the items the server named go their own ways."""
        named = verdict.rejected.keys() | verdict.retry
        taken = [number for number in batch.ids if number not in named]
        if taken or not verdict.rejected:
            self.link.worked(now)
        if taken:
            self._taken(taken, now)
        # An answer that was not believed proves nothing.
        if taken and verdict.action is Action.DELIVERED:
            self._accepted, self._condemned_in_a_row, self._doubt = True, 0, ""
        if verdict.retry:
            self._owe(self._queue.nack, sorted(verdict.retry), self.link.longest_s)
        self._reject(batch, verdict.rejected, now, witnessed=bool(taken))

    def _taken(self, ids: Sequence[int], now: float) -> None:
        self.delivered_total += len(ids)
        self.last_delivery = now
        self._owe(self._queue.ack_sent, ids)

    def _reject(
        self, batch: Batch, rejected: Mapping[int, str], now: float, *, witnessed: bool
    ) -> None:
        """Condemn the items that an answer named; what else it took is witness enough."""
        for row in batch.rows:
            if row.id in rejected and witnessed:
                self._bury(row.id, rejected[row.id])
            elif row.id in rejected:
                self._condemn(row.id, rejected[row.id], now)

    def _condemn(self, number: int, reason: str, now: float) -> None:
        """Dead-letter a single item, if this server has shown that it takes others.

        Without such a witness, or after several condemnations in a row, the server is suspected:
        the item goes back into the queue behind the others, and one of them is tried. If that is
        refused too, or none is there, sending is suspended, and the next probe carries another.
        """
        if self._accepted and self._condemned_in_a_row < MOST_CONDEMNED:
            self._condemned_in_a_row += 1
            self._bury(number, reason)
            return
        self._owe(self._queue.nack, [number], 2 * self.link.longest_s)
        tried_another, self._doubt = bool(self._doubt), reason
        if tried_another:
            self._suspend(now)

    def _bury(self, number: int, reason: str) -> None:
        self._owe(self._queue.dead_letter, [number], reason)
        self._say(logging.ERROR, event("dead_letter", id=number, reason=reason))

    def _suspend(self, now: float) -> None:
        self.link.failed(Action.SUSPENDED, f"refuses everything: {self._doubt}", now)

    def _hold(self, batch: Batch, verdict: Verdict, now: float, *, urgent: bool) -> None:
        """Freeze the batch and put its rows off for as long as nothing will be tried."""
        if urgent and verdict.action is Action.LINK_DOWN:
            hold_s = max(self.link.next_try - now, 0.0)
        else:
            hold_s = self.link.failed(
                verdict.action, verdict.reason, now, retry_after_s=verdict.retry_after_s
            )
        if batch not in self._frozen:
            first = batch.most_urgent is Priority.CRITICAL
            self._frozen.insert(0 if first else len(self._frozen), batch)
        self._everything_now = False
        self._owe(self._queue.nack, batch.ids, hold_s)

    def _owe(self, note: Callable[..., object], *args: object) -> None:
        """Have the queue note something about rows; `_pay` sees to it that it does."""
        self._owed.append(functools.partial(note, *args))

    def _pay(self) -> None:
        """Have the queue note what it is owed: sent again before that, rows would go out twice.

        Raises:
            StoreError: the file does not take it; it stays owed.
        """
        while self._owed:
            self._owed[0]()
            self._owed.popleft()

    def _blocked(self, exc: StoreError) -> None:
        """Nothing can be sent for now; say so once."""
        if not self._trouble:
            self._say(logging.ERROR, event("store_degraded", part="flusher", reason=exc))
        self._trouble = str(exc)
