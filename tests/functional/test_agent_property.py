"""The whole agent by seeds: pins, alarms, deadbands, windows, stops, reloads, power cuts.

What must hold whatever happens, as the far end sees it: totals never fall, alarms and faults come
and go in turns, nothing is told that a deadband holds back, windows do not overlap.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.gpio import MockPins
from fakes.whole import Agent, Network

from edge_agent.config import model
from edge_agent.config.channels import Channel, Sensor
from edge_agent.errors import StoreError
from edge_agent.processing.alarms import Alarm
from edge_agent.processing.kinds import Margin
from edge_agent.processing.reporting import Report
from edge_agent.processing.valid import Valid
from edge_agent.sensors.gpio.contact import ContactOptions
from edge_agent.sensors.gpio.pulse import PulseOptions
from edge_agent.sensors.simulated import SimulatedOptions

DOOR, WATER = 17, 27
INITIAL = 1000.0
INTERVAL_S, HEARTBEAT_S = 10.0, 300.0
DEADBAND = 0.4
TURNS = 20


def _sensors(seed: int) -> Iterator[Sensor]:
    both = Report(deadband=Margin(DEADBAND), heartbeat_s=HEARTBEAT_S)
    limits = (Alarm(above=20.5, hysteresis=0.2), Alarm(below=19.5, for_s=30.0, priority="anomaly"))
    walk = SimulatedOptions(waveform="random_walk", noise=0.3, seed=seed, fail_every=13)
    fridge = Channel(valid=Valid(min=18.2), report=both, alarms=limits)
    yield Sensor("fridge", "simulated", INTERVAL_S, {}, {"": fridge}, walk)
    # Faults make the next value news, and those of a loose contact are not all told.
    steady = dataclasses.replace(walk, fail_every=0)
    cellar = Channel(report=both, alarms=limits)
    yield Sensor("cellar", "simulated", INTERVAL_S, {}, {"": cellar}, steady)
    mean = Channel(report=Report(every_s=60.0, stats=("mean", "count")))
    yield Sensor("room", "simulated", INTERVAL_S, {}, {"": mean}, SimulatedOptions(nan_every=31))
    open_long = Channel(alarms=(Alarm(above=0.5, for_s=45.0),))
    yield Sensor("door", "contact", 60.0, {}, {"": open_long}, ContactOptions(pin=DOOR))
    total = Channel(report=Report(deadband=Margin(2.0)))
    pulse = PulseOptions(pin=WATER, initial=INITIAL)
    yield Sensor("water", "pulse", INTERVAL_S, {}, {"total": total, "rate": Channel()}, pulse)


class Site:
    """An agent that is started, stopped, reloaded and cut off, and a world that goes on."""

    def __init__(self, directory: Path, clock: FakeClock, pins: MockPins, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.network = Network(clock, seed)
        self.pins = pins
        self.pulses = 0
        self.config = model.Config(
            device=model.Device(id="pi-7"),
            queue=model.Queue(path=str(directory / "q.db"), durability="normal"),
            upload=model.Upload(endpoint="https://ingest.example/", batch_size=50),
            sensors=tuple(_sensors(seed)),
        )
        self._seed = seed
        self.is_closed = False
        self.start()

    def start(self) -> None:
        self.agent = Agent(self.config, self.clock, self.network.server, self._seed)

    def live(self) -> None:
        """Some minutes in which the door and the meter do what they do."""
        for _ in range(self.random.randrange(1, 12)):
            self.agent.run(self.random.choice((0.005, 0.3, 7.0, 25.0, 70.0)))
            pin = self.random.choice((DOOR, WATER, WATER, WATER))
            self.pins.flip(pin)
            self.pulses += pin == WATER and not self.pins.factory.pin(WATER).state
        self.agent.run(0.1)

    def stop(self) -> None:
        self.agent.finish()
        self.agent.queue.close()
        self.start()

    def cut_power(self) -> None:
        self.agent.cut_power()
        self.start()

    def reload(self) -> None:
        self.agent.reload()

    def lose_the_link(self) -> None:
        self.network.fails_from_now(0.0, self.random.uniform(10.0, 1500.0))

    def lose_the_card(self) -> None:
        """The store takes nothing for a while; then a stop, a cut, a reload, or it heals."""

        def fail(*_: Any) -> None:
            raise StoreError("q.db: disk I/O error (SQLITE_IOERR)", reason="SQLITE_IOERR")

        with pytest.MonkeyPatch.context() as patch:
            for name in self.random.choice((("enqueue_many",), ("enqueue_many", "tick"))):
                patch.setattr(self.agent.queue, name, fail)
            self.live()
            what = self.random.choice((self.reload, self.live, self.agent.finish))
            what()
        self.random.choice((self.live, self.cut_power))()

    def play(self) -> None:
        things: tuple[tuple[Callable[[], None], int], ...] = (
            (self.live, 10),
            (self.stop, 2),
            (self.cut_power, 3),
            (self.reload, 2),
            (self.lose_the_link, 2),
            (self.lose_the_card, 2),
        )
        for act in self.random.choices(*zip(*things, strict=True), k=TURNS):
            act()
            self.live()
        self.network.outages.clear()
        self.network.loses_answers = 0
        self.agent.run(1000.0)
        # Now: whoever lets go of a mock pin pulls it.
        self.is_closed = not self.pins.factory.pin(DOOR).state
        self.agent.finish()

    def received(self) -> list[dict[str, Any]]:
        """What the far end has, in the order it was committed: ids go up over all runs."""
        taken = sorted(self.network.server.taken.items(), key=lambda item: item[0][1])
        return [data for _, data in taken]


@dataclasses.dataclass
class Far:
    """What the far end can say of one name."""

    readings: list[dict[str, Any]]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for data in self.readings if data["sensor_name"] == name]

    def alarms(self, name: str, limit: float) -> list[str]:
        marks = [data["metadata"] for data in self.of(name)]
        return [mark["alarm"] for mark in marks if mark.get("limit") == limit]

    def faults(self, name: str) -> list[int]:
        faults = self.of("agent.sensor_fault")
        return [data["value"] for data in faults if data["metadata"]["sensor"] == name]


def _in_turns(said: list[Any], first: Any, second: Any) -> bool:
    return said == [(first, second)[number % 2] for number in range(len(said))]


def _is_news(before: dict[str, Any], after: dict[str, Any]) -> bool:
    moved = abs(after["value"] - before["value"]) > DEADBAND
    late = after["timestamp"] - before["timestamp"] >= HEARTBEAT_S - INTERVAL_S
    return moved or late or "alarm" in after["metadata"]


@pytest.mark.parametrize("seed", range(5))
def test_agent_by_seeds_keeps_what_it_promises_the_far_end(tmp_path: Path, seed: int) -> None:
    """Twenty turns of fate each."""
    clock = FakeClock()
    with MockPins.plugged(clock) as pins:
        site = Site(tmp_path, clock, pins, seed)
        site.play()
        far = Far(site.received())
        books = site.agent.queue.ledger()
        assert books.closes
        assert (books.queued, books.dead, books.expired) == (0, 0, 0)
        assert books.delivered == len(far.readings) > 500
        site.agent.queue.close()
    totals = [data["value"] for data in far.of("water.total")]
    assert totals == sorted(totals)
    assert INITIAL <= totals[-1] <= INITIAL + site.pulses
    watched = itertools.product(("fridge", "cellar", "door"), (20.5, 19.5, 0.5))
    assert all(_in_turns(far.alarms(*one), "entered", "cleared") for one in watched)
    assert all(_in_turns(far.faults(name), 1, 0) for name in ("fridge", "room", "door", "water"))
    assert far.of("door")[-1]["value"] == site.is_closed
    windows = [data["metadata"] for data in far.of("room.mean")]
    assert all(one["to"] <= next_one["from"] for one, next_one in itertools.pairwise(windows))
    assert all(itertools.starmap(_is_news, itertools.pairwise(far.of("cellar"))))
