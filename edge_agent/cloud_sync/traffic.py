"""What was sent in the present day and month, and written to the card; kept in the queue's file.

A day ends at local midnight, a month on a day of one's choice. While the clock is not known to be
right a period that was begun does not end for an earlier date: a machine that boots in the past
would have its quota anew with every start.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from edge_agent.clock import Clock
from edge_agent.cloud_sync import memory
from edge_agent.cloud_sync.store import Store

#: The last day with which every month can begin.
LAST_RESET_DAY = 28

#: Bytes written to the disk in a day.
_WRITTEN = "written_day"
#: Bytes written to the disk and the seconds that it took; of no period, but halved now and then.
_PACE_BYTES, _PACE_S = "written_bytes", "written_s"
_NO_PERIOD = ""
#: The pace is that of one to two months: what was long ago says little of the present settings.
_LONGEST_PACE_S = 60 * 86_400

_ADD = """
INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT(name) DO UPDATE SET
  amount = ?3 + CASE WHEN period = ?2 OR (period > ?2 AND ?4) THEN amount ELSE 0 END,
  period = CASE WHEN period > ?2 AND ?4 THEN period ELSE ?2 END
"""
_READ = """
SELECT coalesce(sum(amount) FILTER (WHERE name = ?1), 0),
       coalesce(sum(amount) FILTER (WHERE name = ?2), 0)
FROM counters WHERE name IN (?1, ?2) AND (period = ?3 OR (period > ?3 AND ?4))
"""
_HALVE = """
UPDATE counters SET amount = amount / 2 WHERE name IN (?1, ?2)
  AND (SELECT amount FROM counters WHERE name = ?2) > ?3
"""


class Written(NamedTuple):
    """What was written to the disk over one to two months of running, or as long as is known."""

    written_bytes: int
    #: for how long the agent ran meanwhile
    lasted_s: int


class Sent(NamedTuple):
    """What was sent in one period."""

    #: delivered
    items: int
    #: of requests, heads included, failed attempts too
    sent_bytes: int


class Traffic:
    """The books of one queue file. Thread-safe."""

    def __init__(self, store: Store, clock: Clock) -> None:
        #: the day of the month with which a month begins, 1 to `LAST_RESET_DAY`
        self.reset_day = 1
        self._store = store
        self._clock = clock

    def book(self, db: sqlite3.Connection, items: int, sent_bytes: int) -> None:
        """Add to both periods, in the caller's transaction."""
        for kind, period in (("day", self._today()), ("month", self._this_month())):
            for name, amount in (("items", items), ("bytes", sent_bytes)):
                self._add(db, f"{name}_{kind}", period, amount)

    def day(self) -> Sent:
        """Since local midnight."""
        return self._read("day", self._today())

    def month(self) -> Sent:
        """Since the last `reset_day`."""
        return self._read("month", self._this_month())

    def forget_items_of_day(self) -> None:
        """Begin to count the day's items anew."""
        self._store.change(lambda db: db.execute("DELETE FROM counters WHERE name = 'items_day'"))

    def keep_written(self, written_bytes: int, lasted_s: int, states: Mapping[str, Any]) -> None:
        """Add to the bytes written since local midnight and of late, and keep states by owner.

        In one commit: counting what is written should not be much of it.

        Args:
            written_bytes: since it was called last.
            lasted_s: seconds of running since then; a clock that is set has no part in them.
            states: JSON-representable.
        """

        def keep(db: sqlite3.Connection) -> None:
            memory.keep(db, states)
            self._add(db, _WRITTEN, self._today(), written_bytes)
            self._add(db, _PACE_BYTES, _NO_PERIOD, written_bytes)
            self._add(db, _PACE_S, _NO_PERIOD, lasted_s)
            db.execute(_HALVE, (_PACE_BYTES, _PACE_S, _LONGEST_PACE_S))

        self._store.change(keep)

    def written(self) -> Written:
        """What `keep_written` was given of late."""
        return Written(*self._sums(_PACE_BYTES, _PACE_S, _NO_PERIOD))

    def written_today(self) -> int:
        """The bytes that `keep_written` was given since local midnight."""
        return self._sums(_WRITTEN, "", self._today())[0]

    def _add(self, db: sqlite3.Connection, name: str, period: str, amount: int) -> None:
        if amount:
            db.execute(_ADD, (name, period, amount, not self._clock.synchronized()))

    def _read(self, kind: str, period: str) -> Sent:
        return Sent(*self._sums(f"items_{kind}", f"bytes_{kind}", period))

    def _sums(self, first: str, second: str, period: str) -> tuple[int, int]:
        """Two counters of one period."""
        with self._store.read() as db:
            unsure = not self._clock.synchronized()
            one, other = db.execute(_READ, (first, second, period, unsure)).fetchone()
            return one, other

    def _today(self) -> str:
        """The local date, as the wall clock has it."""
        return self._date().isoformat()

    def _this_month(self) -> str:
        """The month in which the present period began."""
        return (self._date() - dt.timedelta(days=self.reset_day - 1)).strftime("%Y-%m")

    def _date(self) -> dt.date:
        return dt.datetime.fromtimestamp(self._clock.wall()).astimezone().date()
