"""The whole agent in one thread: real queue file, simulated sensors, network and time.

Poller and flusher are stepped from event to event, as their threads would call them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fakes import whole
from fakes.clock import FakeClock
from fakes.whole import Network

from edge_agent.config import model
from edge_agent.config.channels import Channel, Sensor
from edge_agent.processing.valid import Valid
from edge_agent.sensors.simulated import SimulatedOptions

HOUR_S = 3600.0
INTERVAL_S = 10.0


def _sensor(name: str, valid: Valid | None = None, **options: Any) -> Sensor:
    channel = Channel(valid=valid or Valid())
    return Sensor(
        name, "simulated", INTERVAL_S, {"zone": "A"}, {"": channel}, SimulatedOptions(**options)
    )


def _config(path: Path) -> model.Config:
    return model.Config(
        device=model.Device(id="pi-7", labels={"site": "lyon"}),
        queue=model.Queue(path=str(path), durability="normal"),
        upload=model.Upload(endpoint="https://ingest.example/", batch_size=50),
        health=model.Health(upload_interval_s=0),
        sensors=(
            _sensor("sine"),
            _sensor("walk", waveform="random_walk", noise=0.1),
            _sensor("failing", fail_every=17),
            _sensor("broken", nan_every=23),
            _sensor("spiking", Valid(min=0, max=100), spike_every=29),
        ),
    )


class Agent(whole.Agent):
    """One run of the agent with these sensors, before this network."""

    def __init__(self, path: Path, clock: FakeClock, network: Network, seed: int = 1) -> None:
        super().__init__(_config(path), clock, network.server, seed)


def _kind(reading: dict[str, Any]) -> str:
    return {"alarm": "critical", "agent.sensor_fault": "anomaly"}.get(
        reading["sensor_name"], "telemetry"
    )


def _in_order(taken: Iterable[tuple[tuple[str, int], dict[str, Any]]]) -> bool:
    """Whether each priority's readings arrived first in the order of their ids."""
    arrived: dict[str, list[int]] = {}
    for (_, number), reading in taken:
        arrived.setdefault(_kind(reading), []).append(number)
    return all(numbers == sorted(numbers) for numbers in arrived.values())


@pytest.mark.parametrize("seed", range(3))
def test_agent_hour_with_an_outage_delivers_every_reading_once(tmp_path: Path, seed: int) -> None:
    """Twenty minutes without a link, lost answers, faulty sensors, alarms: nothing is lost."""
    clock = FakeClock()
    network = Network(clock, seed)
    network.fails_from_now(1200, 2400)
    agent = Agent(tmp_path / "q.db", clock, network, seed)
    for number in range(12):
        agent.alarm(number)
        agent.run(HOUR_S / 12)
    network.loses_answers = 0
    agent.run(900)
    agent.finish()
    books, server = agent.queue.ledger(), network.server
    assert books.closes
    assert books.enqueued == agent.poller.intake.read_total > 1800
    assert (books.queued, books.delivered) == (0, books.enqueued)
    assert len(server.taken) == books.enqueued
    assert _in_order(server.taken.items())
    assert [r["value"] for r in server.taken.values() if _kind(r) == "critical"] == [*range(12)]
    assert agent.poller.overruns_total == 0
    assert server.duplicates > 0
    ends = agent.told.about("link_up")
    assert agent.told.events.count("link_down") == len(ends)
    assert max(int(line.split("after_s=")[1].split()[0]) for line in ends) >= 1200 - INTERVAL_S
    agent.queue.close()


@pytest.mark.fault(
    "clock",
    "by days",
    "while stopped",
    "before and after a reboot",
    how="a power cut, after which the clock comes up three days behind and is set later",
    part="the agent's own parts in one thread, on a simulated clock",
)
def test_agent_restart_and_power_cut_in_an_outage_lose_nothing_that_was_committed(
    tmp_path: Path,
) -> None:
    """A stop, then a power cut with a clock that comes up three days behind and is set later."""
    clock = FakeClock()
    network = Network(clock, seed=7)
    path = tmp_path / "q.db"
    first = Agent(path, clock, network)
    network.fails_from_now(600, 1e9)
    first.run(900)
    first.alarm(1)
    first.run(300)
    first.finish()
    first.queue.close()
    second = Agent(path, clock, network)
    second.alarm(2)
    second.run(605)
    lost = second.cut_power()
    clock.reboot(wall=clock.wall() - 3 * 86_400)
    network.outages = [(0.0, 1200.0)]
    third = Agent(path, clock, network)
    third.run(900)
    clock.step(3 * 86_400)
    network.loses_answers = 0
    third.run(HOUR_S)
    third.alarm(3)
    third.finish()
    books, server = third.queue.ledger(), network.server
    read = sum(agent.poller.intake.read_total for agent in (first, second, third))
    assert books.closes
    assert (books.queued, books.expired, books.dead) == (0, 0, 0)
    assert books.delivered == len(server.taken) == read - lost
    assert _in_order(server.taken.items())
    assert len({queue_id for queue_id, _ in server.taken}) == 3
    marks = [reading["metadata"].get("clock") for reading in server.taken.values()]
    assert marks.count("corrected") > 400
    assert marks[-1] is None
    assert "unsynced" not in marks
    assert third.told.about("clock_step") == ["clock_step wall_s=259200 first=yes"]
    third.queue.close()


@pytest.mark.fault(
    "clock",
    "by days",
    "while running",
    how="a boot thirty days behind; NTP answers later",
    part="the agent's own parts in one thread, on a simulated clock",
)
def test_agent_that_starts_behind_delivers_readings_with_the_right_time(tmp_path: Path) -> None:
    """A Pi boots thirty days behind, loses its agent twice, and NTP answers: all times are right.

    What a request carried before that stays as it was sent, byte for byte.
    """
    right = FakeClock()
    clock = FakeClock(right.wall() - 30 * 86_400, synchronized=False)
    network = Network(clock, seed=3)
    network.outages, network.loses_answers = [(0.0, 1e9)], 0
    path = tmp_path / "q.db"
    for _ in range(2):
        agent = Agent(path, clock, network)
        agent.run(605)
        agent.cut_power()
        right.advance(clock.monotonic() - right.monotonic())
    # Nothing runs while the clock is set.
    clock.step(30 * 86_400)
    network.outages = []
    agent = Agent(path, clock, network)
    agent.run(HOUR_S)
    agent.finish()
    books, server = agent.queue.ledger(), network.server
    assert books.closes
    assert (books.queued, books.expired, books.dead) == (0, 0, 0)
    assert agent.told.about("clock_step") == ["clock_step wall_s=2592000 first=yes"]
    wrong = [r for r in server.taken.values() if r["metadata"].get("clock") == "unsynced"]
    others = [r for r in server.taken.values() if r["metadata"].get("clock") != "unsynced"]
    assert 0 < len(wrong) <= 100
    assert all(r["timestamp"] < right.wall() - 29 * 86_400 for r in wrong)
    assert sum(r["metadata"].get("clock") == "corrected" for r in others) > 300
    assert all(right.wall() - 1300 <= r["timestamp"] <= clock.wall() for r in others)
    agent.queue.close()
