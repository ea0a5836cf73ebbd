"""A rig in which everything can happen to a flusher, and what must never be seen in it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agent.cloud_sync import which
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.quota import UNLIMITED, Allowance
from edge_agent.daemon.turns import OLDEST_FIRST
from edge_agent.types import Priority, Submission
from fakes.clock import FakeClock
from fakes.rig import CAP_S, Rig
from fakes.server import Answer, FakeServer, answer, babble, lose_answer, name_items, take

BATCH = 4
#: Nothing expires: what is missing at the end is lost.
TTL_S = 10**8
RETRY_AFTER_S = 600.0
#: What an item can be that no server takes: refused, too large, or the end of its server.
POISONS = {"refuse": Action.REFUSED, "large": Action.TOO_LARGE, "break": Action.BROKEN}
#: Frozen batches at the most: a critical one and another, each split down to one item of four,
#: beside two that drew errors.
MOST_FROZEN = 8


class Killed(BaseException):
    """The process ends where it stands."""


def timeout(*, got_out: bool) -> Answer:
    """No answer in time."""

    def judge(server: FakeServer, batch: Batch) -> Verdict:
        server.sent_bytes -= 0 if got_out else len(batch.body())
        return Verdict(Action.LINK_DOWN, "timeout: no answer in time")

    return judge


def die(server: FakeServer, batch: Batch) -> Verdict:
    """The server stores everything, and the agent does not live to know."""
    server.keep(batch)
    raise Killed


def refuse_alone(server: FakeServer, batch: Batch) -> Verdict:
    """A 200 that rejects everything, also what was never sent."""
    return Verdict(Action.DELIVERED, "HTTP 200", rejected=dict.fromkeys(batch.ids, "not mine"))


def retry_all(server: FakeServer, batch: Batch) -> Verdict:
    """A 200 that took nothing and wants everything again."""
    return Verdict(Action.DELIVERED, "HTTP 200", retry=frozenset(batch.ids))


def large(server: FakeServer, batch: Batch) -> Verdict:
    """A server that takes no body over 300 bytes."""
    small = len(batch.body()) <= 300
    return sound(server, batch) if small else Verdict(Action.TOO_LARGE, "HTTP 413")


def sound(server: FakeServer, batch: Batch) -> Verdict:
    """Takes everything but poison."""
    for row in batch.rows:
        poison = json.loads(row.payload)["poison"]
        if poison:
            return Verdict(POISONS[poison], f"HTTP {poison}")
    return take(server, batch)


ANSWERS: dict[str, Answer] = {
    "sound": sound,
    "lose_answer": lose_answer,
    "die": die,
    "reject": name_items(rejected=1),
    "retry": name_items(retry=2),
    "reject_all": refuse_alone,
    "retry_all": retry_all,
    "large": large,
    "too_large": answer(Action.TOO_LARGE),
    "babble": babble,
    "down": answer(Action.LINK_DOWN),
    "timeout": timeout(got_out=True),
    "silence": timeout(got_out=False),
    "busy": answer(Action.HELD),
    "busy_long": answer(Action.HELD, RETRY_AFTER_S),
    "break": answer(Action.BROKEN),
    "break_long": answer(Action.BROKEN, RETRY_AFTER_S),
    "refuse": answer(Action.REFUSED),
    "suspend": answer(Action.SUSPENDED),
    "conflict": answer(Action.IN_PROGRESS),
}


class Watched(FakeServer):
    """A server that checks what it is sent against what the agent promised."""

    def __init__(self, world: World) -> None:
        super().__init__(sound)
        self._world = world
        #: since the configuration was loaded: items accepted
        self.accepted: set[int] = set()
        #: items that were refused on their own, ever
        self.condemned: set[int] = set()
        #: nothing may come before this time, monotonic seconds
        self.closed_until = -math.inf

    def send(self, batch: Batch) -> Verdict:
        self._world.check_request(batch)
        try:
            verdict = super().send(batch)
        except Killed:
            self.accepted.update(batch.ids)
            raise
        self._note(batch, verdict)
        return verdict

    def forget(self) -> None:
        """The configuration was loaded, or a person asked: what it was told no longer holds."""
        self.closed_until = -math.inf

    def _note(self, batch: Batch, verdict: Verdict) -> None:
        now, action = self._world.rig.clock.monotonic(), verdict.action
        if action is Action.DELIVERED:
            named = verdict.rejected.keys() | verdict.retry
            self.accepted.update(set(batch.ids) - named)
            self.condemned |= verdict.rejected.keys()
        if action in (Action.REFUSED, Action.TOO_LARGE) and len(batch.rows) == 1:
            self.condemned.add(batch.ids[0])
        # An item that is known to draw server errors holds nobody up.
        lone = action is Action.BROKEN and len(batch.rows) == 1
        if action is Action.SUSPENDED:
            self.closed_until = now + CAP_S
        elif verdict.retry_after_s and not lone:
            self.closed_until = now + verdict.retry_after_s


class World:
    """A rig in which everything can happen, and what must never be seen in it."""

    def __init__(self, path: Path, draw: float, *, synchronized: bool) -> None:
        self.path = path
        self.rig = Rig(path, FakeClock(synchronized=synchronized), BATCH)
        self.rig.draw = draw
        self.server = Watched(self)
        self.rig.server = self.server
        self.rig.flusher = self.rig.new_flusher(self.server)
        #: id -> (priority, poison) of all that was ever queued
        self.items: dict[int, tuple[Priority, str]] = {}
        self.unsent: dict[Priority, list[int]] = {priority: [] for priority in Priority}
        self.removed: set[int] = set()
        self.known_dead: set[int] = set()
        self.files = itertools.count()

    # -- moves -------------------------------------------------------------------------------

    def put(self, priority: Priority, number: int, poison: str = "") -> None:
        """Readings of two sensors, one of which may be poison."""
        new = [
            Submission(
                {"sensor_name": f"s{place % 2}", "value": place, "poison": kind}, priority, TTL_S
            )
            for place, kind in enumerate([poison] + [""] * (number - 1))
        ]
        ids = self.rig.queue.enqueue_many(new)
        kinds = [submission.payload["poison"] for submission in new]
        self.items |= {n: (priority, kind) for n, kind in zip(ids, kinds, strict=True)}
        self.unsent[priority] += ids

    def run(self, seconds: float) -> None:
        """Let time pass; and if the process dies in it, start it again."""
        end = self.rig.clock.monotonic() + seconds
        while True:
            try:
                self.rig.run(max(end - self.rig.clock.monotonic(), 0.0))
            except Killed:
                self.crash()
                continue
            self.check()
            return

    def crash(self) -> None:
        """What was in memory is gone; the file is opened anew."""
        self.rig.queue.close()
        self.rig.queue = CloudSyncQueue(
            self.path / "q.db", durability="normal", clock=self.rig.clock
        )
        self._load()

    def reload(self, order: str, messages: int | None) -> None:
        """Another configuration; what is frozen goes over."""
        daily = Allowance(messages=messages) if messages is not None else UNLIMITED
        self.rig.settings = dataclasses.replace(self.rig.settings, backlog_order=order, daily=daily)
        former = self.rig.flusher
        self._load()
        self.rig.flusher.inherit(former)

    def _load(self) -> None:
        self._check_dead()
        self.server.forget()
        self.server.accepted.clear()
        self.rig.flusher = self.rig.new_flusher(self.server)

    def purge(self, place: int) -> None:
        """A person deletes all readings of one value, dead letters too."""
        self._gone_by(lambda: self.rig.queue.purge(which.matching("value", str(place))))

    def export(self) -> None:
        """A person carries everything away."""
        file = self.path / f"out-{next(self.files)}"
        self._gone_by(lambda: self.rig.queue.export(file, move=True))

    def _gone_by(self, take_away: Callable[[], object]) -> None:
        before = self.kept()
        take_away()
        self.removed |= before - self.kept()

    def act(self, name: str) -> None:
        """One of the small ones."""
        match name:
            case "crash":
                self.crash()
            case "flush_now":
                self.server.forget()
                self.rig.flusher.flush_now()
            case "link_returned":
                self.rig.flusher.link_returned()
            case "another_key":
                self.server.forget()
                self.server.another_key = True
            case "step_clock":
                if not self.rig.clock.synchronized():
                    self.rig.clock.step(86_400.0)
            case "export":
                self.export()

    # -- what must hold ----------------------------------------------------------------------

    def kept(self) -> set[int]:
        """Queued, or dead."""
        with self.rig.queue._store.read() as db:
            both = "SELECT id FROM sync_queue UNION SELECT id FROM dead_letters"
            return {number for (number,) in db.execute(both)}

    def dead(self) -> set[int]:
        with self.rig.queue._store.read() as db:
            return {number for (number,) in db.execute("SELECT id FROM dead_letters")}

    def check_request(self, batch: Batch) -> None:
        """As it is about to go."""
        settlement, now = self.rig.flusher._settlement, self.rig.clock.monotonic()
        assert now >= self.server.closed_until, "the server wanted to be left alone"
        assert self.rig.queue.still_queued(batch.ids) == set(batch.ids)
        frozen = settlement.frozen
        assert batch in frozen or not frozen.ids & set(batch.ids), "frozen rows went otherwise"
        fresh = [row.id for row in batch.rows if row.id in self.unsent[row.priority]]
        jury = settlement.jury
        alone = jury.server_at_fault or jury.wants_witness or frozen.stepped_back > 1
        if self.rig.settings.backlog_order == OLDEST_FIRST and not alone:
            self._check_order(fresh)
        for number in fresh:
            self.unsent[self.items[number][0]].remove(number)
        quota = self.rig.flusher.quota
        if quota.reached and batch not in frozen and not alone:
            assert batch.most_urgent <= Priority.ANOMALY

    def _check_order(self, fresh: list[int]) -> None:
        """What goes for the first time are the oldest of its priority that never went."""
        for priority in Priority:
            ours = [number for number in fresh if self.items[number][0] is priority]
            waiting = [n for n in self.unsent[priority] if n not in self.removed]
            assert ours == waiting[: len(ours)], "out of order"

    def check(self) -> None:
        """Between any two moves."""
        held = self.rig.flusher._settlement.frozen._held
        rows = [number for one in held for number in one.batch.ids]
        assert len(rows) == len(set(rows)), "a row stands in two frozen batches"
        assert len(held) <= MOST_FROZEN
        self._check_dead()
        assert self.rig.queue.ledger().closes

    def _check_dead(self) -> None:
        """Each by a verdict on it alone, and with a witness in this configuration's life."""
        dead = self.dead()
        for number in dead - self.known_dead:
            assert number in self.server.condemned, "dead without a verdict on it alone"
            assert self.server.accepted - {number}, "dead without a witness"
        self.known_dead = dead

    def finish(self) -> None:
        """The server behaves from now on: everything comes to its end, soon and without haste."""
        self.server.script.clear()
        self.reload(OLDEST_FIRST, None)
        before = len(self.server.requests)
        for _ in range(60):
            # Without others nothing shows whether the server is at fault: an agent goes on reading.
            self.put(Priority.TELEMETRY, BATCH)
            self.run(CAP_S)
            if self.left() <= self.poisoned("break"):
                break
        assert self.left() <= self.poisoned("break"), "not delivered"
        most = 40 + 4 * len(self.items) + 60 * len(self.poisoned("break"))
        assert len(self.server.requests) - before <= most
        taken = {number for _, number in self.server.taken}
        ends = taken | self.dead() | self.removed | self.left()
        assert ends == set(self.items), "a reading is nowhere"

    def left(self) -> set[int]:
        """Still queued."""
        return self.kept() - self.dead()

    def poisoned(self, *kinds: str) -> set[int]:
        return {number for number, (_, kind) in self.items.items() if kind in kinds}


@contextlib.contextmanager
def a_world(
    factory: pytest.TempPathFactory, draw: float = 0.3, *, synchronized: bool = True
) -> Iterator[World]:
    world = World(factory.mktemp("world"), draw, synchronized=synchronized)
    try:
        yield world
    finally:
        world.rig.queue.close()
