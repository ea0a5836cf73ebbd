"""Which batch is next: by priority, but none starves; from the end of the backlog one chose."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from edge_agent.cloud_sync.batch import Batch, Row
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.selection import FRESH_S, Wanted
from edge_agent.daemon.quota import Quota
from edge_agent.daemon.sizing import Sizing
from edge_agent.types import Priority

#: Of so many batches one is a lower priority's, on a link that is too slow for all.
SHARE = 10
#: Rows among which one of another sensor is looked for.
_WITNESSES = 500
#: The most items that are remembered to draw server errors when they are alone.
_MOST_LONE = 1_000

OLDEST_FIRST = "oldest_first"
NEWEST_FIRST = "newest_first"
INTERLEAVE = "interleave"
ORDERS = (OLDEST_FIRST, NEWEST_FIRST, INTERLEAVE)


class Turns:
    """Chooses what was not sent yet. Used by the flusher's thread alone."""

    def __init__(self, queue: CloudSyncQueue, order: str, sizing: Sizing, quota: Quota) -> None:
        """Begin.

        Args:
            queue: where the rows are.
            order: one of `ORDERS`, within a priority.
            sizing: how much goes into one request.
            quota: what may be sent at all.
        """
        self._queue = queue
        self._order = order
        self._sizing = sizing
        self._quota = quota
        #: full batches sent, and as of which each priority had its turn
        self._turn = 0
        self._served = dict.fromkeys(Priority, 0)
        #: items that draw server errors when they are alone: they travel alone
        self._lone: dict[int, None] = {}

    def next(self, but: AbstractSet[int], *, single: bool = False) -> Batch | None:
        """The next batch.

        Args:
            but: rows that are left alone.
            single: one item only.
        """
        allowed = self._quota.look()
        most = min(self._sizing.items, allowed or self._sizing.items)
        wanted = Wanted(
            1 if single else most,
            self._sizing.max_bytes,
            self._quota.open_to(),
            newest_first=self._from_the_end(),
            but=but,
        )
        batch = self._share(wanted) or self._queue.next_batch(wanted)
        return self._without_lone(batch) if batch else None

    def fresh_critical(self, but: AbstractSet[int]) -> Batch | None:
        """The next critical items, if one of them is fresh; without those that travel alone."""
        wanted = Wanted(
            self._sizing.items,
            self._sizing.max_bytes,
            (Priority.CRITICAL,),
            but=but | self._lone.keys(),
        )
        batch = self._queue.next_batch(wanted)
        if batch is None:
            return None
        newest = max(row.created_at for row in batch.rows)
        return batch if self._queue.now() - newest < FRESH_S else None

    def witness(self, suspects: Sequence[Row], but: AbstractSet[int]) -> Batch | None:
        """A single item to compare with, of another sensor if there is one; none of ``but``."""
        batch = self._queue.next_batch(Wanted(_WITNESSES, but=but | self._lone.keys()))
        if batch is None:
            return None
        known = {_sensor(row) for row in suspects}
        best = next((row for row in batch.rows if _sensor(row) not in known), batch.rows[0])
        return dataclasses.replace(batch, rows=(best,), open_ended=False)

    def sent(self, batch: Batch) -> None:
        """Take note that a batch went out."""
        self._turn += 1
        had_turn = Priority if batch.open_ended else {row.priority for row in batch.rows}
        self._served.update(dict.fromkeys(had_turn, self._turn))

    def travels_alone(self, batch: Batch) -> bool:
        """Whether it is an item that is known to draw server errors."""
        return batch.ids[0] in self._lone

    def let_travel_alone(self, number: int) -> None:
        """It drew server errors when it was alone."""
        self._lone[number] = None
        if len(self._lone) > _MOST_LONE:
            del self._lone[next(iter(self._lone))]

    def _share(self, wanted: Wanted) -> Batch | None:
        """A batch of a priority that had no turn for long, if no fresh critical item waits."""
        for priority in reversed(wanted.priorities):
            if self._turn - self._served[priority] < SHARE:
                continue
            self._served[priority] = self._turn
            if self.fresh_critical(wanted.but):
                return None
            batch = self._queue.next_batch(dataclasses.replace(wanted, priorities=(priority,)))
            if batch:
                return dataclasses.replace(batch, open_ended=False)
        return None

    def _from_the_end(self) -> bool:
        return self._order == NEWEST_FIRST or (self._order == INTERLEAVE and self._turn % 2 == 1)

    def _without_lone(self, batch: Batch) -> Batch:
        """Up to the first item that travels alone; or that item."""
        places = [place for place, row in enumerate(batch.rows) if row.id in self._lone]
        if not places:
            return batch
        return dataclasses.replace(batch, rows=batch.rows[: places[0] or 1], open_ended=False)


def _sensor(row: Row) -> object:
    """Which sensor a reading is from; None where the payload does not say."""
    return json.loads(row.payload).get("sensor_name")
