"""Rows of the README's table "What happens when" that no other test shows as a whole."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.server import DOWN, FakeServer, take
from fakes.whole import Agent

from edge_agent.config import model
from edge_agent.config.loader import load

DAY_S = 86_400.0
HOUR_S = 3_600.0
#: Sunday, 26 October 2025, 00:00 in Paris; at three o'clock it is two once more.
SHORT_OF_WINTER = 1_761_429_600.0


def config(directory: Path, device: str = "pi-7", upload: str = "") -> model.Config:
    """One sensor, a reading every half minute."""
    file = directory / f"{device}.yaml"
    file.write_text(
        f"device: {{id: {device}}}\n"
        f"queue: {{path: {directory}/q.db, durability: normal}}\n"
        f"upload: {{endpoint: 'https://ingest.example/', {upload}}}\n"
        "health: {upload_interval: 0s}\n"
        "sensors: [{name: probe, type: simulated}]\n"
    )
    return load(file, {}).config


def begun(directory: Path, clock: FakeClock, **how: str) -> tuple[Agent, FakeServer]:
    """An agent that ran for an hour without a link."""
    server = FakeServer(DOWN)
    agent = Agent(config(directory, **how), clock, server)
    agent.run(HOUR_S)
    return agent, server


def test_pi_switched_off_for_two_weeks_sends_what_it_had(tmp_path: Path, clock: FakeClock) -> None:
    """And nothing stands in for what nobody read."""
    first, _ = begun(tmp_path, clock)
    first.finish()
    first.queue.close()
    off_since = clock.wall()
    clock.reboot(wall=off_since + 14 * DAY_S, synchronized=True)
    server = FakeServer()
    second = Agent(config(tmp_path), clock, server)
    second.run(HOUR_S)
    second.finish()
    books = second.queue.ledger()
    times = [reading["timestamp"] for reading in server.taken.values()]
    assert books.closes
    assert (books.queued, books.expired) == (0, 0)
    assert sum(moment < off_since for moment in times) == 120
    assert not [moment for moment in times if off_since < moment < off_since + 14 * DAY_S]
    second.queue.close()


def test_pi_switched_off_for_longer_than_the_ttl_expires_what_it_had(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A time to live is one; it counts while nobody runs, and what goes is counted."""
    first, _ = begun(tmp_path, clock)
    first.finish()
    first.queue.close()
    clock.reboot(wall=clock.wall() + 31 * DAY_S, synchronized=True)
    second = Agent(config(tmp_path), clock, FakeServer())
    second.run(HOUR_S)
    books = second.queue.ledger()
    assert books.closes
    assert books.expired == 120
    second.queue.close()


@pytest.mark.fault(
    "copies",
    "a cloned card",
    how="one queue file is used on two machines",
    part="the agent's own parts in one thread, on a simulated clock",
)
def test_card_copied_to_another_pi_sends_nothing_twice_and_mixes_nothing(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Two machines with the same backlog: it is stored once, and from there on each is itself."""
    original, _ = begun(tmp_path, clock)
    original.finish()
    original.queue.close()
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "q.db", tmp_path / "copy/q.db")
    server = FakeServer()
    for directory, device in ((tmp_path, "pi-7"), (tmp_path / "copy", "pi-8")):
        agent = Agent(config(directory, device), clock, server)
        agent.run(HOUR_S)
        agent.finish()
        agent.queue.close()
    backlog, *own = [
        [batch for batch in server.requests if batch.queue_id == queue_id]
        for queue_id in dict.fromkeys(batch.queue_id for batch in server.requests)
    ]
    assert {batch.device_id for batch in backlog} == {"pi-7"}
    assert [{batch.device_id for batch in batches} for batches in own] == [{"pi-7"}, {"pi-8"}]
    assert server.duplicates == 120
    assert len(server.taken) == 3 * 120


@pytest.mark.fault(
    "clock",
    "by years",
    "while running",
    how="a clock that was right is set a year ahead, and back",
    part="the agent's own parts in one thread, on a simulated clock",
)
@pytest.mark.parametrize("jump_s", [365 * DAY_S, -365 * DAY_S])
def test_time_that_jumps_by_a_year_expires_and_freezes_nothing(
    tmp_path: Path, clock: FakeClock, jump_s: float
) -> None:
    """A clock that was right is set wrong, with a backlog in the queue; sending goes on."""
    agent, server = begun(tmp_path, clock)
    clock.step(jump_s)
    agent.run(HOUR_S)
    server.usual = take
    agent.run(2 * HOUR_S)
    agent.finish()
    books = agent.queue.ledger()
    assert books.closes
    assert (books.queued, books.expired, books.dead) == (0, 0, 0)
    assert len(server.taken) == books.enqueued == agent.poller.intake.read_total >= 479
    assert len(agent.told.about("clock_step")) == 1
    agent.queue.close()


def test_server_that_forgets_everything_gets_what_is_new_and_nothing_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A 2xx hands a reading over for good."""
    server = FakeServer()
    agent = Agent(config(tmp_path), clock, server)
    agent.run(HOUR_S)
    before = set(server.taken)
    server.taken.clear()
    agent.run(HOUR_S)
    assert len(before) > 100
    assert len(server.taken) > 100
    assert before.isdisjoint(server.taken)
    agent.queue.close()


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time of a place with daylight saving."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Europe/Paris")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("paris")
def test_end_of_daylight_saving_moves_no_reading_and_makes_a_day_of_25_hours(
    tmp_path: Path,
) -> None:
    """Times are Unix seconds; a day's quota is from one local midnight to the next."""
    clock = FakeClock(SHORT_OF_WINTER + 1)
    server = FakeServer()
    agent = Agent(config(tmp_path, upload="quota: {daily: {messages: 2880}}"), clock, server)
    agent.run(24.9 * HOUR_S)
    assert len(server.taken) == 2880
    agent.run(0.2 * HOUR_S)
    assert len(server.taken) > 2880
    times = [reading["timestamp"] for reading in server.taken.values()]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert steps == pytest.approx([30.0] * len(steps))
    agent.queue.close()
