"""What the queue promises, done slowly in plain Python: no SQL, no slices, no file.

`Books` is what can be seen of a queue; `Model` says what it must be. Where the queue may choose
(how far a slice goes, what is shed for a page), the model is shown what it chose, and judges.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_agent.cloud_sync.gaps import Gap
from edge_agent.cloud_sync.schema import ENTRIES
from edge_agent.types import Priority, Submission
from fakes.clock import FakeClock

OURS = {"sensor_name", "timestamp", "value", "unit", "metadata"}
MARKS = {"alarm", "from", "to", "why", "sensor"}
FRESH_S = 60.0
Gaps = dict[tuple[str, str], tuple[int, float, float]]


#: The same few texts are read over and over.
_decoded = functools.lru_cache(json.loads)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row as a reader is to see it."""

    payload: Mapping[str, Any]
    priority: int
    born: float
    ttl_s: int
    tries: int
    due: float

    @property
    def ends(self) -> float:
        return self.born + self.ttl_s

    @property
    def sensor(self) -> str | None:
        """Whose number it is, where it was read at intervals; else None."""
        payload = self.payload
        number = payload.keys() == OURS and type(payload["value"]) in (int, float)
        if not number or not payload["unit"] or MARKS & payload["metadata"].keys():
            return None
        name: str = payload["sensor_name"]
        return name

    @property
    def worth(self) -> int:
        """Its place among what is shed: logs, numbers read at intervals, events, what is urgent."""
        if self.priority == Priority.LOGS:
            return 0
        return (2 if self.sensor is None else 1) if self.priority == 3 else 5 - self.priority


@dataclasses.dataclass
class Books:
    """All that can be seen of a queue's content."""

    rows: dict[int, Row] = dataclasses.field(default_factory=dict)
    #: id -> row, when it died and why
    dead: dict[int, tuple[Row, float, str]] = dataclasses.field(default_factory=dict)
    ledger: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(ENTRIES, 0))
    gaps: Gaps = dataclasses.field(default_factory=dict)
    #: queued rows that a request carried before the clock was right
    asked: set[int] = dataclasses.field(default_factory=set)
    #: the last id that was given out
    given: int = 0
    #: day and items sent in it
    sent: tuple[str, int] = ("", 0)

    def copy(self) -> Books:
        """Another that changes by itself; rows never do."""
        return Books(
            self.rows.copy(),
            self.dead.copy(),
            self.ledger.copy(),
            self.gaps.copy(),
            self.asked.copy(),
            self.given,
            self.sent,
        )

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Books:
        """What stands in a file, by its documented tables alone."""
        steps = db.execute("SELECT * FROM clock_steps ORDER BY id").fetchall()
        found = db.execute(
            "SELECT id, payload, priority, created_at, ttl_seconds, retry_count, next_retry_at"
            " FROM sync_queue"
        )
        rows = {
            number: _corrected(number, steps, Row(_decoded(text), *rest))
            for number, text, *rest in found
        }
        dead = {
            number: (Row(_decoded(text), *rest, 0.0), died, why)
            for number, text, *rest, died, why in db.execute("SELECT * FROM dead_letters")
        }
        given = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'sync_queue'").fetchone()
        sent = db.execute("SELECT period, amount FROM counters WHERE name = 'items_day'").fetchone()
        return cls(
            rows,
            dead,
            dict(db.execute("SELECT entry, items FROM ledger").fetchall()),
            {(who, why): (*rest,) for who, why, *rest in db.execute("SELECT * FROM gaps")},
            {number for (number,) in db.execute("SELECT id FROM requested")} & rows.keys(),
            given[0] if given else 0,
            tuple(sent or ("", 0)),
        )

    # -- what may be done ----------------------------------------------------------------------

    def insert(self, new: Sequence[Submission], now: float) -> list[int]:
        ids = list(range(self.given + 1, self.given + 1 + len(new)))
        self.given += len(new)
        for number, one in zip(ids, new, strict=True):
            self.rows[number] = Row(one.payload, one.priority, now, int(one.ttl_s), 0, now)
        return ids

    def remove(self, ids: Iterable[int], fate: str) -> int:
        known = set(ids) & self.rows.keys()
        for number in known:
            del self.rows[number]
        self.asked -= known
        self.ledger[fate] += len(known)
        return len(known)

    def flushed(self, ids: Iterable[int], fate: str, today: str) -> int:
        gone = self.remove(ids, fate)
        day, before = self.sent
        if gone:
            self.sent = (today, gone + (before if day == today else 0))
        return gone

    def put_off(self, ids: Iterable[int], due: float) -> int:
        known = set(ids) & self.rows.keys()
        for number in known:
            row = self.rows[number]
            self.rows[number] = dataclasses.replace(row, due=due, tries=row.tries + 1)
        return len(known)

    def bury(self, ids: Iterable[int], now: float, why: str) -> int:
        known = set(ids) & self.rows.keys()
        for number in known:
            self.dead[number] = (dataclasses.replace(self.rows[number], due=0.0), now, why)
        return self.remove(known, "dead")

    def released(self) -> list[int]:
        """Ids of nacked rows that are not in their old places."""
        return [n for n, row in self.rows.items() if row.tries and row.due > row.born]

    def release(self, ids: Iterable[int]) -> None:
        for number in ids:
            row = self.rows[number]
            self.rows[number] = dataclasses.replace(row, due=row.born)

    def expired(self, now: float) -> set[int]:
        return {number for number, row in self.rows.items() if row.ends <= now}

    def eligible(self, now: float) -> list[int]:
        ready = [
            (row.priority, row.due, number)
            for number, row in self.rows.items()
            if row.due <= now < row.ends
        ]
        return [number for *_, number in sorted(ready)]

    def note_gap(self, payload: Mapping[str, Any], born: float, why: str) -> None:
        """What the far end is to be told; of a gap reading that goes, what it would have told."""
        key: tuple[str, str] = (payload.get("sensor_name", "unknown"), why)
        at = payload.get("timestamp", born)
        gap = (1, at, at)
        if key[0] == "agent.gap":
            said = payload["metadata"]
            key, gap = (said["sensor"], said["why"]), (payload["value"], said["from"], said["to"])
        items, first, last = self.gaps.get(key, (0, gap[1], gap[2]))
        self.gaps[key] = (items + gap[0], min(first, gap[1]), max(last, gap[2]))

    def take_gaps(self, most: int) -> list[Gap]:
        return [Gap(*key, *self.gaps.pop(key)) for key in sorted(self.gaps)[:most]]

    def shed(self, ids: Iterable[int]) -> None:
        for number in ids:
            self.note_gap(self.rows[number].payload, self.rows[number].born, "shed")
        self.remove(ids, "shed")

    def shed_dead(self, ids: Iterable[int]) -> None:
        for number in ids:
            row, *_ = self.dead.pop(number)
            self.note_gap(row.payload, row.born, "shed")
            self.ledger["dead"] -= 1
            self.ledger["shed"] += 1

    def merge(self, kept: int, gone: int) -> None:
        """Let one reading stand for its neighbour too."""
        one, other = self.rows[kept], self.rows[gone]
        counts = [row.payload["metadata"].get("thinned", 0) for row in (one, other)]
        metadata = {**one.payload["metadata"], "thinned": 1 + sum(counts)}
        self.rows[kept] = dataclasses.replace(one, payload={**one.payload, "metadata": metadata})
        self.note_gap(other.payload, other.born, "thinned")
        self.remove([gone], "thinned")


class Model:
    """Books, and what else must be known to say what becomes of them."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.books = Books()
        #: id -> boot of rows that were stored before the clock was right
        self.untimed: dict[int, str] = {}
        #: rows that stay as they are until the next upkeep, and all that ever did
        self.spare: set[int] = set()
        self.ever_spared: set[int] = set()
        self._boot = ""

    # -- time ----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.clock.monotonic() + self._ahead_s

    def opened(self) -> None:
        """In a boot that it knows the queue goes on; in another after its last row."""
        self.spare, self._origin_timed = set(), None
        if self._boot != self.clock.boot_id():
            self._boot = self.clock.boot_id()
            monotonic = self.clock.monotonic()
            self._offset_s = self.clock.wall() - monotonic
            self._synchronized = self.clock.synchronized()
            rows = self.books.rows
            newest = rows[max(rows)].born if rows else 0.0
            self._ahead_s = max(self._offset_s, newest - monotonic)
            # Nobody knows how long the power was off: rows never timed keep their age.
            if rows and self.clock.wall() - newest > 1.0:
                self._correct(self.clock.wall() - newest, 0.0)

    def look(self) -> None:
        """The queue looks at the clock: the boot's first step moves queue time and old rows."""
        offset = self.clock.wall() - self.clock.monotonic()
        moved, first = offset - self._offset_s, not self._synchronized
        self._synchronized |= self.clock.synchronized() or abs(moved) > 1.0
        if abs(moved) > 1.0:
            self._offset_s = offset
            if first:
                jump = max(0.0, offset - self._ahead_s)
                self._ahead_s += jump
                self._correct(jump, moved)
        if self._synchronized:
            self.untimed.clear()
            self.books.asked.clear()
            if self._origin_timed is not None:
                self._origin_timed = True

    def _correct(self, jump_s: float, wall_s: float) -> None:
        rows = self.books.rows
        for number in self.untimed.keys() & rows.keys():
            row = rows[number]
            ours = self.untimed[number] == self._boot
            if ours and not row.tries and number not in self.books.asked:
                row = dataclasses.replace(row, payload=moved(row.payload, wall_s))
            rows[number] = dataclasses.replace(row, born=row.born + jump_s, due=row.due + jump_s)

    # -- what needs more than the books --------------------------------------------------------

    def stored(self, ids: Iterable[int]) -> None:
        """Know by which clock new rows were stored."""
        if self._origin_timed is None:
            self._origin_timed = self.clock.synchronized()
        if not self._origin_timed:
            self.untimed |= dict.fromkeys(ids, self._boot)

    def carried(self, ids: Iterable[int]) -> set[int]:
        """Those of a request's rows whose payloads a step would have moved."""
        ours = {number for number in ids if self.untimed.get(number) == self._boot}
        return set() if self._synchronized else ours

    def spared(self, ids: Iterable[int]) -> None:
        self.spare |= set(ids)
        self.ever_spared |= self.spare

    def room_was_made(
        self, seen: Books, fresh: Iterable[int] = (), leaving: Iterable[int] = ()
    ) -> Books:
        """Judge what shedding and thinning took.

        Args:
            seen: what is left.
            fresh: ids that were stored after it.
            leaving: ids that left for another reason.

        Returns:
            the books as they must be, with no more than that done.
        """
        books = self.books.copy()
        gone = books.rows.keys() - seen.rows.keys() - set(leaving)
        assert not gone & self.spare, "rows on their way went"
        stood_for = self._partners(seen)
        assert set(stood_for.values()) <= gone, "a reading stands for one that is still there"
        shed = gone - set(stood_for.values())
        for kept, other in stood_for.items():
            books.merge(kept, other)
        books.shed(shed)
        dead = books.dead.keys() - seen.dead.keys()
        by_age = sorted(books.dead, key=lambda number: (books.dead[number][1], number))
        assert set(by_age[: len(dead)]) == dead, "newer dead letters went before older ones"
        books.shed_dead(dead)
        self._judge_shed(shed, seen.rows.keys() - set(fresh))
        logs = [n for n in seen.rows.keys() - self.spare if seen.rows[n].worth == 0]
        assert not stood_for or not logs, "readings were thinned while there were logs"
        return books

    def _partners(self, seen: Books) -> dict[int, int]:
        """Survivors whose payload changed, each with its sensor's next reading."""
        rows, partners = self.books.rows, {}
        thinnable: dict[str, list[int]] = {}
        for number in sorted(rows.keys() - self.spare):
            row = rows[number]
            if row.priority == Priority.TELEMETRY and row.sensor and not row.tries:
                thinnable.setdefault(row.sensor, []).append(number)
        for number in sorted(rows.keys() & seen.rows.keys()):
            if seen.rows[number].payload != rows[number].payload:
                assert not rows[number].tries, "a row was changed that may have arrived"
                ids = thinnable[rows[number].sensor or ""]
                partners[number] = ids[ids.index(number) + 1]
        return partners

    def _judge_shed(self, shed: set[int], left: set[int]) -> None:
        """What matters least goes first, and of that the oldest."""
        rows = self.books.rows
        # Passed over once, what was read at intervals counts as an event.
        odd = {n for n, row in rows.items() if row.tries} | self.ever_spared
        for number in shed:
            for other in left - self.spare:
                mine, its = rows[number].worth, rows[other].worth
                if {number, other} & odd and {mine, its} <= {1, 2}:
                    continue
                assert mine <= its, f"{rows[number]} went before {rows[other]}"
                older = number < other or {number, other} & odd
                assert mine != its or older, f"{number} went before {other}"


def moved(payload: Mapping[str, Any], wall_s: float) -> Mapping[str, Any]:
    """A payload stamped by an unsynchronised clock, with the right times; others as they are."""
    metadata = payload.get("metadata", {})
    if metadata.get("clock") != "unsynced":
        return payload
    times = {name: metadata[name] + wall_s for name in ("from", "to") if name in metadata}
    right = {**metadata, **times, "clock": "corrected"}
    return {**payload, "timestamp": payload["timestamp"] + wall_s, "metadata": right}


def _corrected(number: int, steps: Sequence[Any], stored: Row) -> Row:
    """A stored row with the steps that have still to move it."""
    for _, _, _, first, last, boot_first, jump_s, wall_s, excepted, done_to in steps:
        if first <= number < (last + 1 if done_to is None else done_to):
            ours = number >= boot_first and number not in json.loads(excepted)
            stored = dataclasses.replace(
                stored,
                payload=moved(stored.payload, wall_s) if ours else stored.payload,
                born=stored.born + jump_s,
                due=stored.due + jump_s,
            )
    return stored
