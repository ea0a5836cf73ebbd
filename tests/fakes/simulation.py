"""Days of an agent's life from one seed: weather on the link, a server's moods, clocks, power.

The agent's own poller, pipeline, queue file and flusher run in one thread on simulated time. Each
reading's value is its number in the world's book, so the far end shows which reading it has, and
the book knows when it was really taken.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.config import model
from edge_agent.config.channels import Channel, Sensor
from edge_agent.sensors.simulated import Simulated, SimulatedOptions
from edge_agent.types import Measurement, Priority, SensorReading
from fakes import whole
from fakes.clock import FakeClock
from fakes.power import Power, PowerLostError
from fakes.server import Answer, FakeServer, answer, babble, lose_answer, name_items, take

DAY_S = 86_400.0
SENSORS = 4
#: Every so many readings one is poison to the server: refused for good.
POISON_EVERY = 1009
#: How far a time may be from the truth besides the clock's own error: what a reading waits for its
#: neighbours, and what NTP corrects.
TOLERANCE_S = 3.0


@dataclasses.dataclass
class Taken:
    """What the world knows of one reading."""

    #: Unix seconds, the true ones
    at: float
    #: by how much the machine's clock was wrong then
    clock_error_s: float


class Book:
    """Every reading that was ever taken, by its number."""

    def __init__(self) -> None:
        self.readings: list[Taken] = []
        #: those of which the queue said that they are stored
        self.stored: set[int] = set()

    def note(self, at: float, clock_error_s: float) -> int:
        self.readings.append(Taken(at, clock_error_s))
        return len(self.readings) - 1


class Numbered(Simulated):
    """A sensor whose values are numbers in the book; faults as the simulated one has them."""

    def __init__(self, like: Simulated, note: Callable[[], int]) -> None:
        self.__dict__.update(like.__dict__)
        self._note = note

    def read(self) -> Sequence[Measurement]:
        (measured,) = super().read()
        return [dataclasses.replace(measured, value=self._note())]


class Agent(whole.Agent):
    """An agent whose sensors count, and whose queue's word is noted."""

    def __init__(self, world: World, config: model.Config) -> None:
        self._world = world
        super().__init__(config, world.clock, world.server, world.random.random(), 60.0)
        enqueue_many = self.queue.enqueue_many

        def noted(submissions: Any, *more: Any) -> Any:
            submissions = list(submissions)
            ids = enqueue_many(submissions, *more)
            for one in submissions:
                if not str(one.payload["sensor_name"]).startswith("agent."):
                    world.book.stored.add(int(one.payload["value"]))
            return ids

        self.queue.enqueue_many = noted  # type: ignore[method-assign]

    def _new_poller(self) -> Any:
        poller = super()._new_poller()
        for slot in poller.slots.values():
            assert isinstance(slot.sensor, Simulated)
            slot.sensor = Numbered(slot.sensor, self._world.note)
        return poller


def _is_poison(payload: str) -> bool:
    number = payload.partition('"value":')[2].partition(",")[0].partition("}")[0]
    return number.isdigit() and int(number) % POISON_EVERY == POISON_EVERY - 1


def sound(server: FakeServer, batch: Batch) -> Verdict:
    """Takes everything but poison."""
    if any(_is_poison(row.payload) for row in batch.rows):
        return Verdict(Action.REFUSED, "HTTP 422 poison")
    return take(server, batch)


def _sound_or(bad: Answer, chance: float) -> Callable[[random.Random], Answer]:
    """Mostly sound."""

    def draw(rng: random.Random) -> Answer:
        def judge(server: FakeServer, batch: Batch) -> Verdict:
            return (bad if rng.random() < chance else sound)(server, batch)

        return judge

    return draw


#: How the way to the server can be for a while, and how often it is so.
WEATHER: dict[str, tuple[int, Callable[[random.Random], Answer]]] = {
    "fine": (10, lambda _: sound),
    "down": (6, lambda _: answer(Action.LINK_DOWN)),
    "flapping": (3, _sound_or(answer(Action.LINK_DOWN), 0.5)),
    "lossy": (3, _sound_or(lose_answer, 0.3)),
    "busy": (2, _sound_or(answer(Action.HELD, 120.0), 0.7)),
    "broken": (2, _sound_or(answer(Action.BROKEN), 0.7)),
    "suspended": (1, lambda _: answer(Action.SUSPENDED)),
    "refusing": (1, lambda _: answer(Action.REFUSED)),
    "babbling": (1, _sound_or(babble, 0.3)),
    "conflict": (1, _sound_or(answer(Action.IN_PROGRESS), 0.5)),
    "choosy": (1, _sound_or(name_items(retry=2), 0.5)),
}


class World:
    """One machine, its agent, and everything around it."""

    def __init__(self, seed: int, folder: Path, power: Power) -> None:
        self.random = random.Random(seed)
        self.book = Book()
        self.server = FakeServer(sound)
        self.clock = FakeClock()
        self.folder = folder
        self.power = power
        self.cuts = 0
        #: what happened, for who reads of a failure: true time and words
        self.story: list[tuple[float, str]] = []
        self._boot = (self.clock.wall(), self.clock.monotonic())
        self._begun = self.clock.wall()
        #: the most that the queue's files ever took
        self.largest_bytes = 0
        self._config = self._draw_config()
        self.agent = Agent(self, self._config)

    # -- the truth ----------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The true time, Unix seconds."""
        at, monotonic = self._boot
        return at + self.clock.monotonic() - monotonic

    def note(self) -> int:
        """A reading is taken; its number."""
        return self.book.note(self.now, self.clock.wall() - self.now)

    @property
    def path(self) -> Path:
        """The queue's file; each power cut leaves another, as the next boot finds it."""
        return self.folder / f"{self.cuts}.db"

    def _draw_config(self) -> model.Config:
        rng = self.random
        sensors = tuple(
            Sensor(
                f"s{n}",
                "simulated",
                rng.choice((120.0, 600.0, 900.0)),
                {},
                {"": Channel()},
                SimulatedOptions(fail_every=rng.choice((0, 0, 41)), bus=f"b{n}"),
            )
            for n in range(SENSORS)
        )
        return model.Config(
            device=model.Device(id="pi"),
            queue=model.Queue(
                path=str(self.path),
                durability="normal",
                min_free_disk_bytes=0,
                max_size_bytes=rng.choice((4, 512)) * 1024**2,
                when_full=rng.choice(("thin", "shed", "reject")),
            ),
            upload=model.Upload(
                endpoint="https://ingest.example/",
                batch_size=rng.choice((1, 10, 50, 500)),
                interval_s=rng.choice((10.0, 60.0, 900.0)),
                backlog_order=rng.choice(("oldest_first", "newest_first", "interleave")),
            ),
            health=model.Health(upload_interval_s=rng.choice((0.0, 3600.0))),
            sensors=sensors,
        )

    # -- what happens --------------------------------------------------------------------------

    def tell(self, words: str) -> None:
        self.story.append((self.now - self._begun, words))

    def live(self, seconds: float) -> None:
        """Let time pass; and if the power is lost in it, start again."""
        end = self.now + seconds
        while self.now < end:
            try:
                self.agent.run(end - self.now)
                self.largest_bytes = max(self.largest_bytes, self.agent.queue.size_bytes())
            except PowerLostError:
                self.tell("the power is lost in the middle of something")
                self._come_up()

    def weather(self) -> None:
        words, weights = list(WEATHER), [weight for weight, _ in WEATHER.values()]
        (word,) = self.random.choices(words, weights)
        self.server.usual = WEATHER[word][1](self.random)
        self.tell(f"the link is {word}")

    def alarm(self) -> None:
        """A critical reading, numbered as all are."""
        reading = SensorReading("alarm", self.clock.wall(), self.note())
        with self._power_may_fail():
            self.agent.poller.offer(reading, Priority.CRITICAL)

    def cut(self) -> None:
        """Lose the power after so many more statements."""
        self.power.left = self.random.randrange(60)

    def restart(self) -> None:
        self.tell("the service is restarted")
        with self._power_may_fail():
            self.agent.finish()
            self.agent.queue.close()
            self._start()

    def reload(self) -> None:
        self.tell("the configuration is loaded anew")
        with self._power_may_fail():
            self.agent.reload()

    def step(self) -> None:
        """A person sets a right clock wrong; a time service finds it out a while later.

        A clock that nobody has set yet has nothing to tell a wrong step from the first right one:
        the contract excepts it, as it does a wrong clock that is carried over a reboot.
        """
        if not self.clock.synchronized():
            return
        error = self.random.choice((-7200.0, 3600.0, -30 * DAY_S, 400 * DAY_S, 2.0))
        self.tell(f"the clock is set wrong by {error:.0f} s")
        self.clock.step(error)
        self.live(self.random.uniform(1.0, 3600.0))
        self.synchronize()

    def synchronize(self) -> None:
        """A time service answers."""
        self.clock.step(self.now - self.clock.wall())
        self.clock.trust()
        self.tell("the clock is right")

    @contextlib.contextmanager
    def _power_may_fail(self) -> Iterator[None]:
        try:
            yield
        except PowerLostError:
            self.tell("the power is lost in the middle of that")
            self._come_up()

    def _come_up(self) -> None:
        """Boot after a power cut: hours may have passed, and the clock may be anything."""
        old, self.cuts = self.path, self.cuts + 1
        self.power.restore(old, self.path)
        old.unlink(missing_ok=True)
        dark_s = self.random.choice((5.0, 60.0, 3600.0, 12 * 3600.0))
        true = self.now + dark_s
        error = self.random.choice((0.0, -dark_s, -dark_s, -3 * DAY_S, -true))
        self.clock.reboot(wall=true + error, synchronized=False)
        self._boot = (true, self.clock.monotonic())
        self.tell(f"it boots after {dark_s:.0f} s, with a clock wrong by {error:.0f} s")
        self._config = dataclasses.replace(
            self._config, queue=dataclasses.replace(self._config.queue, path=str(self.path))
        )
        self._start()

    def _start(self) -> None:
        self.agent = Agent(self, self._config)

    # -- days --------------------------------------------------------------------------------

    def play(self, days: float) -> None:
        """Let happen what the seed has in store; then all is well for a while."""
        end = self._begun + days * DAY_S
        acts: tuple[tuple[Callable[[], None], int], ...] = (
            (self.weather, 12),
            (self.alarm, 6),
            (self.cut, 3),
            (self.restart, 2),
            (self.reload, 1),
            (self.step, 1),
            (self.synchronize, 4),
        )
        while self.now < end:
            self.live(min(self.random.expovariate(1 / 3000.0), end - self.now + 1.0))
            (act,) = self.random.choices(*zip(*acts, strict=True))
            act()
        self._heal()

    def _heal(self) -> None:
        """Power, network, server and clock are well, for long enough to be done with it all."""
        self.power.left = None
        self.server.usual = sound
        self.synchronize()
        for _ in range(40):
            self.live(3600.0)
            if not self.agent.queue.ledger().queued:
                break
        self.agent.finish()


@contextlib.contextmanager
def simulated(seed: int, folder: Path) -> Iterator[World]:
    """A world whose files are in this folder; what was patched for it is put back."""
    with pytest.MonkeyPatch.context() as patch:
        power = Power()
        patch.setattr(sqlite3, "connect", power.connect)
        patch.setattr("edge_agent.cloud_sync.schema._SYNCHRONOUS", {"normal": "OFF"})
        world = World(seed, folder, power)
        yield world
        world.agent.queue.close()
