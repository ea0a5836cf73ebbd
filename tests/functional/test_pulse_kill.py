"""Pins under a real agent: totals through kills, stops and reloads; changes without a tick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence

import pytest
from fakes import wired
from fakes.processes import Process, Site, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import ReceiverStore

PIN = 27
#: So many kills, each in the middle of pulses.
KILLS = 4


class Wired:
    """A site whose agent has a pin that this test drives."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.within = (sys.executable, wired.__file__, str(site.directory))
        self.drive(0)
        _, self._url = site.receiver()

    def configure(self, sensor: str) -> None:
        self.site.configure(
            f"upload: {{endpoint: '{self._url}', auth: none, interval: 100ms}}\n"
            f"sensors:\n  - {sensor}\n",
            queue="commit_interval: 50ms",
        )

    def agent(self) -> Process:
        return self.site.agent(GPIOZERO_PIN_FACTORY="mock")

    def drive(self, edges: int) -> None:
        """Have the pin driven until it had so many edges in all."""
        (self.site.directory / f"{PIN}.wanted").write_text(str(edges))

    @property
    def edges(self) -> int:
        """How many it had."""
        made = self.site.directory / f"{PIN}.made"
        return int(made.read_text()) if made.exists() else 0

    def received(self, name: str) -> Sequence[float]:
        """The values of one name at the receiver, in the order of their times."""
        store = ReceiverStore(self.site.directory / "received.db")
        try:
            found = [item.data for item in store.items()]
        finally:
            store.close()
        found.sort(key=lambda data: data["timestamp"])
        return [data["value"] for data in found if data["sensor_name"] == name]


@pytest.fixture
def pulses(site: Site) -> Wired:
    made = Wired(site)
    made.configure("{name: water, type: pulse, pin: 27, initial: 1000, interval: 100ms}")
    return made


def grown(pulses: Wired, by: float) -> Callable[[], bool]:
    """Whether the total at the receiver has gone up so much."""
    before = max(pulses.received("water.total"), default=1_000.0)
    return lambda: max(pulses.received("water.total"), default=0.0) >= before + by


def test_pulse_total_goes_on_after_each_kill_and_is_never_lower(pulses: Wired) -> None:
    """`kill -9` while it counts: what was delivered or queued is never taken back."""
    pulses.drive(10_000_000)
    for _ in range(KILLS):
        agent = pulses.agent()
        until(grown(pulses, by=40), "pulses at the receiver")
        agent.end(signal.SIGKILL)
    edges = pulses.edges
    pulses.drive(0)
    agent = pulses.agent()
    rounds = len(pulses.received("water.total"))
    until(lambda: len(pulses.received("water.total")) > rounds + 3, "totals after the last kill")
    assert agent.end() == 0

    totals = pulses.received("water.total")
    assert totals == sorted(totals)
    # Each kill may leave half a pulse, which the next start ends.
    assert KILLS * 40 <= totals[-1] - 1_000.0 <= (edges + KILLS) / 2
    assert min(pulses.received("water.rate")) >= 0.0
    with CloudSyncQueue(pulses.site.queue) as queue:
        assert queue.ledger().closes
        assert queue.ledger().queued == 0


def test_pulse_total_is_exact_through_stops_and_reloads(pulses: Wired) -> None:
    """What is counted after the last reading counts, too; a new interval changes no total."""
    agent = pulses.agent()
    for stopped, edges in ((False, 500), (True, 1_000), (False, 1_500)):
        pulses.drive(edges)
        until(lambda edges=edges: pulses.edges == edges, "the pulses")
        if stopped:
            assert agent.end() == 0
            agent = pulses.agent()
        else:
            agent.send(signal.SIGHUP)
        total = 1_000.0 + edges / 2
        until(lambda total=total: total in pulses.received("water.total"), f"a total of {total}")
    assert agent.end() == 0

    totals = pulses.received("water.total")
    assert totals == sorted(totals)
    assert totals[-1] == 1_750.0


def test_contact_sends_each_change_without_waiting_for_its_tick(site: Site) -> None:
    """An hour between two ticks; the state at the start, then ten changes, in turn."""
    door = Wired(site)
    door.configure("{name: door, type: contact, pin: 27, debounce: 0s, interval: 1h}")
    agent = door.agent()
    until(lambda: door.received("door") == [0], "the state at the start")
    for edges in range(1, 11):
        door.drive(edges)
        until(lambda edges=edges: len(door.received("door")) == edges + 1, "the change")
    assert agent.end() == 0

    assert door.received("door") == [0, 1] * 5 + [0]
