"""What waits in front of the queue: readings that share a commit, or that the store cannot take.

Bounded: while the store is down the oldest telemetry goes first, and is counted. With the readings
goes what drivers and alarms must know again after a restart.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from edge_agent.cloud_sync.correction import moved
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.rows import stored_form
from edge_agent.daemon.journal import Say
from edge_agent.errors import PayloadError, QueueFull, StoreError
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority, Submission

#: Readings kept in memory at the most: a quarter of an hour of ten a second, in about 8 MiB.
CAPACITY = 10_000
#: How long a state that no reading goes with waits for one: it is worth no commit of its own.
STATE_S = 60.0
#: Pauses between tries while the store is down.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Pending:
    """Gathers submissions and commits them together. Used by the poller's thread alone."""

    def __init__(
        self,
        queue: CloudSyncQueue,
        *,
        commit_interval_s: float,
        say: Say,
        committed: Callable[[], None],
        capacity: int = CAPACITY,
    ) -> None:
        """Begin empty.

        Args:
            queue: where it goes.
            commit_interval_s: how long telemetry and logs wait for company.
            say: where changes of state are told.
            committed: called after each commit; wakes the flusher.
            capacity: submissions kept at the most.
        """
        self.dropped_total = 0
        self.committed_total = 0
        #: why the store takes nothing; empty while it does
        self.trouble = ""
        self._queue = queue
        self._interval_s = commit_interval_s
        self._say = say
        self._committed = committed
        self._capacity = capacity
        self._waiting: deque[Submission] = deque()
        #: by owner: what is to be kept with the next commit, and what is known to be kept
        self._states: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        #: in which file
        self._queue_id = queue.origin.queue_id
        #: the last refusal, so that one that comes back is told once; and whether a full queue was
        self._refused = ""
        self._told_full = False
        self._due = float("inf")
        self._pause_s = FIRST_PAUSE_S

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, submission: Submission, now: float) -> None:
        """Take a submission in; anomaly and critical make everything due at once."""
        self._waiting.append(submission)
        if len(self._waiting) > self._capacity:
            self._make_room()
        if not self.trouble:
            urgent = submission.priority <= Priority.ANOMALY
            self._due = min(self._due, now if urgent else now + self._interval_s)

    def remember(self, owner: str, state: Any, now: float) -> None:
        """Keep a state, in one commit with what waits now or comes next; `STATE_S` at the latest.

        Args:
            owner: whose it is, ``pulse:water``.
            state: JSON-representable; not changed afterwards.
            now: monotonic seconds.
        """
        # Most states stay as they are, and are not to be written again and again.
        if owner not in self._states and self._kept.get(owner) == state:
            return
        self._states[owner] = state
        if not self.trouble:
            self._due = min(self._due, now + STATE_S)

    def recall(self, owner: str) -> Any:
        """The state that was remembered last, in this run or before; None where none was.

        Raises:
            StoreError: the file cannot be read.
        """
        if owner not in self._states and owner not in self._kept:
            self._kept[owner] = self._queue.memory.load(owner)
        return self._states.get(owner, self._kept.get(owner))

    def step(self, now: float) -> float:
        """Commit what waits if it is due.

        Returns:
            when to be called next, monotonic seconds; infinity while nothing waits.
        """
        if now >= self._due:
            self.commit(now)
        return self._due

    def correct(self, wall_step_s: float) -> None:
        """Move the times of what was read before the clock was set by ``wall_step_s``."""
        self._waiting = deque(
            dataclasses.replace(
                submission, payload=moved(submission.payload, wall_step_s) or submission.payload
            )
            for submission in self._waiting
        )

    def inherit(self, former: Pending, now: float) -> None:
        """Take over what another one could not commit: the configuration was reloaded."""
        while former._waiting:
            self.add(former._waiting.popleft(), now)
        for owner, state in former._states.items():
            self.remember(owner, state, now)
        self.dropped_total += former.dropped_total

    def commit(self, now: float) -> bool:
        """Commit everything that waits, due or not.

        Returns:
            whether nothing waits any more.
        """
        if not self._waiting and not self._states:
            self._due = float("inf")
            return True
        try:
            self._store()
        except StoreError as exc:
            self._stay(exc, now)
            return False
        if self.trouble:
            self._say(NOTICE, event("store_recovered", dropped=self.dropped_total))
        self.trouble, self._pause_s = "", FIRST_PAUSE_S
        self._due = now if self._states else float("inf")
        self._committed()
        return True

    def _store(self) -> None:
        """Hand everything to the queue in one commit."""
        try:
            self._hand_over()
        except QueueFull as exc:
            self._keep_urgent(exc)
            self._hand_over()
        self.committed_total += len(self._waiting)
        self._waiting.clear()
        self._kept.update(self._states)
        self._states.clear()
        if self._queue_id != self._queue.origin.queue_id:
            # What a damaged file kept may not have come over into the fresh one.
            self._queue_id = self._queue.origin.queue_id
            self._states, self._kept = self._kept, {}

    def _hand_over(self) -> None:
        """One call; where a payload is refused, a second one with what can be stored.

        In one commit still: a total in the queue without its state would be told lower after a
        kill.
        """
        try:
            self._queue.enqueue_many(self._waiting, self._states)
        except PayloadError:
            self._waiting = deque(filter(self._is_storable, self._waiting))
            self._queue.enqueue_many(self._waiting, self._states)

    def _is_storable(self, submission: Submission) -> bool:
        try:
            stored_form(submission)
        except PayloadError as exc:
            self._refuse(submission, exc)
            return False
        return True

    def _keep_urgent(self, exc: QueueFull) -> None:
        """Drop what a full queue refused and has booked; say so the first time."""
        urgent = [s for s in self._waiting if s.priority <= Priority.ANOMALY]
        self.dropped_total += len(self._waiting) - len(urgent)
        self._waiting = deque(urgent)
        if not self._told_full:
            self._say(logging.WARNING, event("queue_full", reason=exc))
        self._told_full = True

    def _refuse(self, submission: Submission, exc: PayloadError) -> None:
        """Drop a payload that never can be stored; say so if it is another one than last time."""
        self.dropped_total += 1
        sensor = submission.payload.get("sensor_name")
        line = event("payload_refused", sensor=sensor, reason=exc)
        if line != self._refused:
            self._say(logging.ERROR, line)
        self._refused = line

    def _stay(self, exc: StoreError, now: float) -> None:
        """Keep everything and try again later; say so once."""
        if not self.trouble:
            self._say(
                logging.ERROR,
                event(
                    "store_degraded", reason=exc, waiting=len(self._waiting), room=self._capacity
                ),
            )
        self.trouble = str(exc)
        self._due = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _make_room(self) -> None:
        """Drop the oldest of the least urgent kind that is here."""
        least = max(self._waiting, key=lambda submission: submission.priority).priority
        victim = next(s for s in self._waiting if s.priority == least)
        self._waiting.remove(victim)
        self.dropped_total += 1
