"""The two threads under a reload and a stop: real threads, held at events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.server import FakeServer, take
from fakes.told import Told

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.config import model
from edge_agent.config.channels import Channel, Sensor
from edge_agent.daemon import assembly
from edge_agent.daemon import crew as crew_module
from edge_agent.daemon.crew import Crew
from edge_agent.sensors.simulated import SimulatedOptions
from edge_agent.types import Priority, SensorReading

#: A real thread that does not do its part in this time never will.
FAR_S = 60.0


def _config(*names: str, type_name: str = "simulated") -> model.Config:
    sensors = tuple(
        Sensor(name, type_name, 3600.0, {}, {"": Channel()}, SimulatedOptions()) for name in names
    )
    return model.Config(sensors=sensors)


class Gate(FakeServer):
    """Lets no request through before it is opened."""

    def __init__(self) -> None:
        super().__init__(self._wait)
        self.entered, self.opened = threading.Semaphore(0), threading.Event()
        self.inside = 0
        self.most_inside = 0

    def _wait(self, _: FakeServer, batch: Any) -> Any:
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        self.entered.release()
        assert self.opened.wait(FAR_S)
        self.inside -= 1
        return take(self, batch)


class Bridge:
    """A crew whose uploader is a gate."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.server = Gate()
        self.queue = CloudSyncQueue(path / "q.db", durability="normal", clock=clock)
        self.crew = Crew(_config("a"), self.queue, clock, {}, say=Told())

    def send_one(self) -> None:
        """Have a request in flight."""
        self.queue.enqueue({"value": 1}, Priority.CRITICAL)
        self.crew.flush_now()
        assert self.server.entered.acquire(timeout=FAR_S)

    def settle(self) -> None:
        """Open the gate, and let the crew change over."""
        retiring = self.crew._retiring
        assert retiring is not None
        self.server.opened.set()
        assert retiring[1].join(FAR_S)
        self.crew.settle()


@pytest.fixture
def bridge(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    made: list[Bridge] = []
    monkeypatch.setattr(assembly, "make_uploader", lambda *_: made[0].server if made else None)
    bridge = Bridge(tmp_path, clock)
    made.append(bridge)
    bridge.crew.flusher._uploader = bridge.server
    yield bridge
    bridge.server.opened.set()
    bridge.crew.stop()
    bridge.queue.close()


def test_crew_reload_waits_for_the_request_in_flight(bridge: Bridge) -> None:
    """The poller changes at once; the new flusher starts when the old one is through."""
    bridge.crew.start()
    bridge.send_one()
    bridge.crew.reload(_config("b"))
    assert list(bridge.crew.poller.slots) == ["b"]
    bridge.crew.settle()
    former = bridge.crew.threads[1]
    assert not former.join(0.0)
    bridge.settle()
    assert bridge.crew.threads[1] is not former
    assert bridge.crew.flusher.delivered_total >= 1
    bridge.crew.flush_now()
    bridge.crew.stop()
    assert bridge.server.most_inside == 1
    assert bridge.server.duplicates == 0
    assert bridge.queue.pending_count() == 0


def test_crew_second_reload_replaces_the_flusher_that_never_started(bridge: Bridge) -> None:
    """Two HUPs during one slow request."""
    bridge.crew.start()
    bridge.send_one()
    bridge.crew.reload(_config("b"))
    bridge.crew.reload(_config("c"))
    bridge.settle()
    assert list(bridge.crew.poller.slots) == ["c"]
    bridge.crew.stop()
    assert (bridge.server.most_inside, bridge.server.duplicates) == (1, 0)


def test_crew_stop_during_a_reload_ends_everything(bridge: Bridge) -> None:
    """The new flusher was never started, and need not be waited for; its rows stay."""
    bridge.crew.start()
    bridge.send_one()
    bridge.crew.reload(_config("b"))
    bridge.server.opened.set()
    assert bridge.crew.stop()
    assert bridge.queue.ledger().closes
    assert len(bridge.server.taken) >= 1


def test_crew_stop_commits_and_sends_what_is_left(bridge: Bridge) -> None:
    """Telemetry that was read a moment ago waits neither for company nor for the interval."""
    bridge.server.opened.set()
    bridge.queue.enqueue({"value": 1})
    bridge.crew.start()
    bridge.crew.poller.offer(SensorReading("agent.queue", 1.0, 2), Priority.LOGS)
    assert bridge.crew.stop()
    assert {1, 2} <= set(bridge.server.values)
    assert bridge.queue.pending_count() == 0


def test_crew_reload_with_a_sensor_that_cannot_be_built_changes_nothing(bridge: Bridge) -> None:
    """A driver's constructor may raise, too: the old poller keeps running."""
    bridge.crew.start()
    former = bridge.crew.threads
    with pytest.raises(KeyError):
        bridge.crew.reload(_config("b", type_name="no_such_driver"))
    assert bridge.crew.threads == former
    assert not any(worker._stopping.is_set() for worker in former)


def _stuck_in_a_commit(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Start a crew whose poller goes no further before the event is set."""
    entered, opened = threading.Semaphore(0), threading.Event()
    enqueue_many = bridge.queue.enqueue_many

    def slowly(*args: Any) -> list[int]:
        entered.release()
        assert opened.wait(FAR_S)
        return enqueue_many(*args)

    monkeypatch.setattr(bridge.queue, "enqueue_many", slowly)
    bridge.server.opened.set()
    bridge.crew.start()
    bridge.crew.poller.offer(SensorReading("agent.queue", 1.0, 2), Priority.CRITICAL)
    bridge.crew.wake_poller()
    assert entered.acquire(timeout=FAR_S)
    return opened


def test_crew_reload_waits_for_a_poller_that_is_stuck_in_a_commit(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once would go on from a total that the first has not stored yet."""
    opened = _stuck_in_a_commit(bridge, monkeypatch)
    monkeypatch.setattr(crew_module, "POLLER_ENDS_S", 0.0)
    former = bridge.crew.threads[0]
    for name in ("b", "c"):
        bridge.crew.reload(_config(name))
        bridge.crew.settle()
        # It is the one that must make progress: the watchdog is not to look at another.
        assert bridge.crew.threads[0] is former
        assert bridge.crew._polling.ident is None
    opened.set()
    assert former.join(FAR_S)
    bridge.crew.settle()
    assert bridge.crew.threads[0] is not former
    assert bridge.crew.threads[0].ident is not None
    assert list(bridge.crew.poller.slots) == ["c"]
    assert bridge.crew.poller.intake.read_total >= 1


def test_crew_stop_while_a_former_poller_is_stuck_waits_for_that_one(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is committed; the new one never began."""
    opened = _stuck_in_a_commit(bridge, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(crew_module, "POLLER_ENDS_S", 0.0)
        bridge.crew.reload(_config("b"))
    opened.set()
    assert bridge.crew.stop()
    queued = [item.payload["value"] for item in bridge.queue.dequeue(10)]
    assert 2 in [*bridge.server.values, *queued]
    assert bridge.crew._polling.ident is None
