"""Who a row is: ``(queue_id, id)`` names one reading for ever, whatever becomes of the file.

A queue_id is minted for the rows to come at each opening of the file that enqueues, and again
after another process's rows, if those belong to another device. So a cloned card, a restored image
or a copied-back file never repeats one: its ids may begin again, but under another queue_id.
"""

from __future__ import annotations

import math
import sqlite3
import uuid
from typing import NamedTuple

from edge_agent.clock import Clock
from edge_agent.cloud_sync import schema, timeline

#: Whose the last rows are, and whether a queue_id is known. There always is a first origin.
_LATEST = """
SELECT device_id, EXISTS (SELECT * FROM origins WHERE queue_id = ?)
FROM origins ORDER BY first_id DESC LIMIT 1
"""


class IdRange(NamedTuple):
    """The ids given out under one queue_id; no other row ever has one of them under it."""

    queue_id: str
    device_id: str
    first_id: int
    #: inclusive
    last_id: int


class Origin:
    """Whom the rows belong to that one opening of the file enqueues."""

    def __init__(self, device_id: str, clock: Clock) -> None:
        self.queue_id = uuid.uuid4().hex
        self._device_id = device_id
        self._clock = clock

    def register(self, db: sqlite3.Connection) -> None:
        """See to it, in the transaction of an insert, that the rows from here on are ours.

        Asks the file each time: what a transaction that failed had registered is not there.
        """
        latest, ours_known = db.execute(_LATEST, (self.queue_id,)).fetchone()
        if ours_known and latest == self._device_id:
            return
        if ours_known:
            self.queue_id = uuid.uuid4().hex
        first_id = schema.sequence(db) + 1
        synced_from_id = first_id if self._clock.synchronized() else None
        if synced_from_id is not None:
            # So that rows whose clock was not right stand in one range: behind all others.
            timeline.mark_synchronized(db)
        db.execute(
            "INSERT INTO origins VALUES (?, ?, ?, ?, ?)",
            (first_id, self.queue_id, self._device_id, self._clock.boot_id(), synced_from_id),
        )


def of_row(db: sqlite3.Connection, row_id: int) -> tuple[int, str, str, float]:
    """First id, queue_id and device_id of a row's origin; the next one's first id, or infinity."""
    first_id, queue_id, device_id = db.execute(
        "SELECT first_id, queue_id, device_id FROM origins WHERE first_id <= ?"
        " ORDER BY first_id DESC LIMIT 1",
        (row_id,),
    ).fetchone()
    end = db.execute("SELECT min(first_id) FROM origins WHERE first_id > ?", (first_id,)).fetchone()
    return first_id, queue_id, device_id, math.inf if end[0] is None else end[0]


def ranges(db: sqlite3.Connection) -> tuple[IdRange, ...]:
    """The ids ever given out, by origin, in order; an origin that gave out none is left out.

    Where a damaged file was replaced, up to `recovery.ID_MARGIN` more than were given out, because
    it cannot say how far it had come.
    """
    found = db.execute("SELECT first_id, queue_id, device_id FROM origins ORDER BY first_id")
    origins = [(max(first, 1), queue, device) for first, queue, device in found.fetchall()]
    lasts = [*(first - 1 for first, *_ in origins[1:]), schema.sequence(db)]
    return tuple(
        IdRange(queue, device, first, last)
        for (first, queue, device), last in zip(origins, lasts, strict=False)
        if first <= last
    )
