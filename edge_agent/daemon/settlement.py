"""What a verdict means for the rows it is about, and that the queue comes to know of it.

What the queue has to note is owed until its file has taken it: sent again before that, rows would
go out twice.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Mapping

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.frozen import MOST_TIMEOUTS, Frozen
from edge_agent.daemon.journal import Say
from edge_agent.daemon.jury import Jury, Suspect
from edge_agent.daemon.link import Link
from edge_agent.daemon.sizing import Sizing
from edge_agent.daemon.turns import Turns
from edge_agent.events import NOTICE, event

_SPLIT = (Action.REFUSED, Action.TOO_LARGE, Action.DISBELIEVED)
_ANSWERS = (Action.DELIVERED, *_SPLIT)
#: Whose state in the queue's file the ids are that were condemned in a row.
_CONDEMNED = "agent.condemned"


class Settlement:
    """Settles one flusher's batches. Used by its thread alone."""

    def __init__(
        self, queue: CloudSyncQueue, link: Link, sizing: Sizing, turns: Turns, *, say: Say
    ) -> None:
        """Begin with nothing frozen.

        Args:
            queue: where the rows are.
            link: what is known of the way to the server.
            sizing: told of what passed and of what was too much.
            turns: told of items that travel alone.
            say: where changes of state are told.
        """
        self.frozen = Frozen()
        self.jury = Jury(self._bury, self._bring_back, self._note_condemned)
        self.delivered_total = 0
        #: monotonic seconds of the last delivery; None before the first
        self.last_delivery: float | None = None
        self._queue = queue
        self._link = link
        self._sizing = sizing
        self._turns = turns
        self._say = say
        #: what the queue has still to note, oldest first: that no batch is frozen at a start, so
        #: that nacked rows go back to their old places, and whom a server condemned in a row before
        #: the start; and then verdicts
        self._owed: deque[Callable[[], object]] = deque([queue.release_retries, self._recall])
        #: bytes that were sent, and stand in no book yet
        self._unbooked = 0
        #: whether the last batch was taken, and the one before it
        self._passed = self._passed_before = False
        #: what was told of this server's answers: each is said once
        self._told: set[str] = set()

    def inherit(self, former: Settlement) -> None:
        """Take over another one's batches, debts and counts: the configuration was reloaded.

        What was put off is not: what a former endpoint refused is tried at once.
        """
        self.frozen, self._owed = former.frozen, former._owed
        self._owe(self._queue.release_retries)
        # What the former jury condemned in a row is in the file once its debts are paid.
        self._owe(self._recall)
        self.delivered_total, self.last_delivery = former.delivered_total, former.last_delivery

    def settle(
        self, batch: Batch, verdict: Verdict, now: float, sent_bytes: int, *, urgent: bool = False
    ) -> bool:
        """Do what the verdict says with the batch's rows.

        Args:
            batch: what was sent.
            verdict: what came of it.
            now: monotonic seconds.
            sent_bytes: that the attempt cost; 0 if it never got out.
            urgent: it was sent although the link is held; that hold is not made longer.

        Returns:
            whether more may be sent at once.
        """
        self._unbooked += sent_bytes
        self._passed_before, self._passed = self._passed, verdict.action is Action.DELIVERED
        alone = len(batch.rows) == 1
        if verdict.action in _ANSWERS:
            # Whatever it says of the items: the link is back, if this tried one that was down.
            self._link.try_now(now)
        if verdict.action is Action.DISBELIEVED:
            advice = "all is sent again, an item at a time in the end; see to the server's answers"
            self._say_once("answer_not_believed", reason=verdict.reason, do=advice)
        if verdict.action is Action.TOO_LARGE:
            self._sizing.too_large(len(batch.rows), len(batch.body()))
        if verdict.action is Action.DELIVERED or (alone and verdict.action is Action.DISBELIEVED):
            self._deliver(batch, verdict, now)
        elif verdict.action in _SPLIT and not alone:
            self.frozen.halve(batch, refused=verdict.action is Action.REFUSED)
        elif verdict.action in _SPLIT:
            self.frozen.thaw(batch)
            self._refused(batch, {batch.ids[0]: verdict.reason}, now)
        elif verdict.action is Action.BROKEN and self._turns.travels_alone(batch):
            self._put_aside(batch)
        else:
            self._hold(batch, verdict, now, got_out=sent_bytes > 0, urgent=urgent)
            return False
        return True

    def _deliver(self, batch: Batch, verdict: Verdict, now: float) -> None:
        """Delete what was taken; the items the server named go their own ways."""
        named = verdict.rejected.keys() | verdict.retry
        taken = [number for number in batch.ids if number not in named]
        (self.frozen.thaw if named else self.frozen.thaw_taken)(batch)
        if taken or not verdict.rejected:
            self._link.worked(now)
        if taken:
            self.delivered_total += len(taken)
            self.last_delivery = now
            self._owe(self._queue.ack_sent, taken, self._booked())
        # An answer that was not believed proves nothing.
        if taken and verdict.action is Action.DELIVERED:
            self._sizing.passed(len(batch.rows), splitting=bool(self.frozen))
            self.jury.accepted()
            self._split_suspected()
        if verdict.retry:
            self._owe(self._queue.nack, sorted(verdict.retry), self._link.longest_s)
        self._refused(batch, verdict.rejected, now, witnessed=bool(taken))
        if verdict.strange:
            advice = "ignored; the server's answers name ids that were not in the request"
            self._say_once("unknown_ids", entries=verdict.strange, do=advice)

    def _say_once(self, name: str, **fields: object) -> None:
        """Tell of what is wrong with the server's answers; it may be so with each of them."""
        if name not in self._told:
            self._told.add(name)
            self._say(logging.INFO, event(name, **fields))

    def _split_suspected(self) -> None:
        """Another batch was taken: it is those that are at fault which drew server errors."""
        for batch in self.frozen.suspected:
            self._split(batch)

    def _split(self, batch: Batch) -> None:
        """Find the item at fault; alone, it travels alone from now on."""
        if len(batch.rows) > 1:
            self.frozen.halve(batch)
        else:
            self._turns.let_travel_alone(batch.ids[0])
            self._put_aside(batch)

    def _put_aside(self, batch: Batch) -> None:
        """An item that draws server errors waits for long, in nobody's way, until its TTL ends."""
        self.frozen.thaw(batch)
        self._owe(self._queue.nack_sent, batch.ids, self._link.longest_s, self._booked())

    def _refused(
        self, batch: Batch, refused: Mapping[int, str], now: float, *, witnessed: bool = False
    ) -> None:
        """Condemn items, or put them back behind the others until somebody speaks against them."""
        group = [Suspect(row, refused[row.id]) for row in batch.rows if row.id in refused]
        if not group:
            return
        back = [suspect.row.id for suspect in self.jury.refused(group, witnessed=witnessed)]
        if back:
            self._owe(self._queue.nack_sent, back, 2 * self._link.longest_s, self._booked())
        if self.jury.server_at_fault:
            self.suspend(now)

    def _bury(self, suspect: Suspect) -> None:
        number, reason = suspect.row.id, suspect.reason
        self._owe(self._queue.dead_letter, [number], reason)
        self._say(logging.ERROR, event("dead_letter", id=number, reason=reason))

    def _note_condemned(self, ids: list[int]) -> None:
        self._owe(self._queue.memory.save, _CONDEMNED, ids)

    def _recall(self) -> None:
        self.jury.answer_for(self._queue.memory.load(_CONDEMNED) or [])

    def _bring_back(self, ids: list[int]) -> None:
        """Take back what a server condemned that refuses everything."""
        self._owe(self._queue.restore, ids, 2 * self._link.longest_s)
        self._say(NOTICE, event("dead_letters_restored", items=len(ids)))

    def suspend(self, now: float) -> None:
        """The server refuses everything: what it refused need not go again as it was."""
        self.frozen.thaw_all()
        self._link.failed(Action.SUSPENDED, f"refuses everything: {self.jury.reason}", now)

    def _hold(
        self, batch: Batch, verdict: Verdict, now: float, *, got_out: bool, urgent: bool
    ) -> None:
        """Freeze the batch and put its rows off for as long as nothing will be tried."""
        if urgent and verdict.action is Action.LINK_DOWN:
            hold_s = max(self._link.next_try - now, 0.0)
        else:
            hold_s = self._link.failed(
                verdict.action, verdict.reason, now, retry_after_s=verdict.retry_after_s
            )
        if verdict.action is Action.BROKEN and self._is_probe(batch):
            self._put_aside(batch)
            return
        held = self.frozen.keep(batch)
        held.failed = True
        held.errors += verdict.action is Action.BROKEN
        held.conflicts += verdict.action is Action.IN_PROGRESS
        # Nobody there is no sign that it was too much; to have been sent in vain is.
        timed_out = got_out and verdict.reason.startswith("timeout")
        held.timeouts = held.timeouts + 1 if timed_out else 0
        self._owe(self._queue.nack_sent, batch.ids, hold_s, self._booked())
        if held.timeouts == MOST_TIMEOUTS and len(batch.rows) > 1:
            self._sizing.too_slow(len(batch.rows))
            self.frozen.halve(batch)
        elif verdict.action is Action.BROKEN and held.suspected and self._passed_before:
            self._split(batch)

    def _is_probe(self, batch: Batch) -> bool:
        """Whether it went before two that drew errors: broken as well, it is not kept besides."""
        return self.frozen.stepped_back > 1 and batch not in self.frozen

    def _booked(self) -> int:
        """The bytes that were sent since they were last booked, which they are now."""
        sent_bytes, self._unbooked = self._unbooked, 0
        return sent_bytes

    def _owe(self, note: Callable[..., object], *args: object) -> None:
        """Have the queue note something about rows; `pay` sees to it that it does."""
        self._owed.append(functools.partial(note, *args))

    def pay(self) -> None:
        """Have the queue note what it is owed: sent again before that, rows would go out twice.

        Raises:
            StoreError: the file does not take it; it stays owed.
        """
        while self._owed:
            self._owed[0]()
            self._owed.popleft()
