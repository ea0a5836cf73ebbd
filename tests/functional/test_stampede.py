"""A hundred agents after a common outage: the server that returns is not run over by them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.rig import CAP_S, Rig
from fakes.server import DOWN, answer, take

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict

AGENTS = 100
OUTAGE_S = 3_000.0
BIN_S = 60.0
BUSY = answer(Action.HELD, retry_after_s=120.0)


class Agent:
    """One of them, with chance of its own."""

    def __init__(self, path: Path, number: int) -> None:
        path.mkdir()
        self.rig = Rig(path, FakeClock())
        self.rig.flusher.link._draw = random.Random(number).random
        #: seconds after the server's return of each request that reached it
        self.arrivals: list[float] = []

    def live_through(self, *first_answers: Verdict) -> None:
        """The outage, and the hour after it."""
        rig = self.rig
        rig.put(*range(5), ttl_s=10**6)
        rig.server.usual = DOWN
        rig.run(OUTAGE_S)
        returned = rig.clock.monotonic()
        waiting = list(first_answers)

        def serve(server: object, batch: Batch) -> Verdict:
            self.arrivals.append(rig.clock.monotonic() - returned)
            return waiting.pop(0) if waiting else take(rig.server, batch)

        rig.server.usual = serve
        rig.run(2 * CAP_S)
        assert len(rig.server.taken) == 5
        rig.queue.close()


def histogram(title: str, seconds: list[float]) -> Counter[int]:
    """Printed, and returned by bin."""
    bins = Counter(int(second // BIN_S) for second in seconds)
    print(f"\n{title}: {len(seconds)} requests, by minute")
    for number in range(max(bins) + 1):
        print(f"{number:4} {'#' * bins[number]}")
    return bins


@pytest.fixture
def agents(tmp_path: Path) -> list[Agent]:
    return [Agent(tmp_path / str(number), number) for number in range(AGENTS)]


def test_agents_come_back_one_by_one(agents: list[Agent]) -> None:
    """Their first requests are spread over the longest back-off, not bundled at its end."""
    for agent in agents:
        agent.live_through()
    bins = histogram("first requests", [agent.arrivals[0] for agent in agents])
    assert max(bins.values()) <= AGENTS / 4
    assert len(bins) >= 10


def test_agents_that_were_sent_away_do_not_come_back_together(agents: list[Agent]) -> None:
    """Each comes no sooner than it was asked to, and at a time of its own."""
    busy = BUSY(agents[0].rig.server, Batch("", "", ()))
    for agent in agents:
        agent.live_through(busy)
    waits = [agent.arrivals[1] - agent.arrivals[0] for agent in agents]
    assert min(waits) >= 120.0
    histogram("first requests", [agent.arrivals[0] for agent in agents])
    bins = histogram("second requests", [agent.arrivals[1] for agent in agents])
    assert max(bins.values()) <= AGENTS / 4
