"""How often each sensor was faulty, and when: over restarts, reloads and clocks that are set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, slot

from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.schedule import Slot
from edge_agent.errors import SensorError, StoreError
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.fault_history import KEPT, FaultHistory, Moment
from edge_agent.types import Measurement

LOST = SensorError("gone", reason="nack")
HOUR_S = 3600.0


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


def door(*reads: Any) -> Slot:
    """Read every hour: nobody takes that for a loose contact."""
    return slot("door", ScriptedSensor(*reads), HOUR_S)


def past(bench: Bench, sensor: str = "door") -> dict[str, Any]:
    """As the status file tells it."""
    told: dict[str, Any] = json.loads(json.dumps(bench.poller.intake.history.told(sensor)))
    return told


def restarted(bench: Bench, *slots: Slot) -> None:
    """The agent stops in order, and another one begins."""
    bench.poller.finish()
    bench.queue.close()
    bench.queue = CloudSyncQueue(bench.queue.path, durability="normal", clock=bench.clock)
    bench.poll(*slots)


def fault(began: float, ended: float | None, name: str = "door") -> dict[str, Any]:
    return {"name": name, "reason": "nack", "from": began, "to": ended}


def test_fault_history_begins_with_the_sensor(bench: Bench) -> None:
    """No fault yet, and the count says since when."""
    bench.poll(door(1.0))
    began = bench.clock.wall()
    bench.run(HOUR_S)
    assert past(bench) == {"since": began, "total": 0, "last": []}


def test_fault_history_goes_on_over_a_restart(bench: Bench) -> None:
    """Also in the middle of a fault, which begins but once."""
    bench.poll(door(1.0, LOST))
    began = bench.clock.wall()
    bench.run(2 * HOUR_S)
    assert past(bench) == {"since": began, "total": 1, "last": [fault(began + HOUR_S, None)]}
    restarted(bench, door(LOST, 1.0))
    bench.run(HOUR_S)
    assert past(bench)["last"] == [fault(began + HOUR_S, began + 3 * HOUR_S)]
    restarted(bench, door(LOST))
    bench.run(0)
    first = fault(began + HOUR_S, began + 3 * HOUR_S)
    assert past(bench) == {
        "since": began,
        "total": 2,
        "last": [first, fault(began + 3 * HOUR_S, None)],
    }


def test_fault_history_tells_channels_apart(bench: Bench) -> None:
    """One sensor's past, with the name of what was faulty."""
    wild = [Measurement("t", float("nan"), "celsius"), Measurement("h", 1.0, "percent")]
    plans = {"t": ChannelPlan("wild.t"), "h": ChannelPlan("wild.h")}
    bench.poll(slot("wild", ScriptedSensor(wild), HOUR_S, plans))
    bench.run(0)
    assert [one["name"] for one in past(bench, "wild")["last"]] == ["wild.t"]


def test_fault_history_moves_when_the_clock_is_set(tmp_path: Path) -> None:
    """A Pi that boots in the past: its sensors fail first, it is reloaded, then the time comes."""
    bench = Bench(tmp_path, FakeClock(synchronized=False))
    former = bench.poll(door(LOST))
    began = bench.clock.wall()
    bench.run(1)
    bench.poll(door(LOST))
    bench.poller.intake.inherit(former.intake, bench.clock.monotonic())
    bench.run(0)
    bench.clock.step(86_400)
    bench.run(0)
    moved = {"since": began + 86_400, "total": 1, "last": [fault(began + 86_400, None)]}
    assert past(bench) == moved
    restarted(bench, door(LOST))
    bench.run(0)
    assert past(bench) == moved
    bench.clock.step(3600)
    bench.run(0)
    assert past(bench) == moved
    bench.queue.close()


def test_fault_history_of_a_sensor_that_comes_back_ended_when_it_went(bench: Bench) -> None:
    """At the latest when it is there again: nobody read it meanwhile."""
    bench.poll(door(LOST))
    began = bench.clock.wall()
    bench.run(0)
    restarted(bench, slot("other", interval_s=HOUR_S))
    bench.run(HOUR_S)
    restarted(bench, door(1.0))
    bench.run(HOUR_S)
    assert past(bench)["last"] == [fault(began, began + HOUR_S)]


def test_fault_history_that_cannot_be_read_yet_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card answers late: what it kept, and what happened meanwhile, both count."""

    def fail(*_: object) -> None:
        raise StoreError("q.db: disk I/O error (SQLITE_IOERR)")

    bench.poll(door(LOST, 1.0))
    bench.run(HOUR_S)
    since = past(bench)["since"]
    restarted(bench, door(LOST))
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue.memory, "load", fail)
        bench.run(0)
    bench.run(HOUR_S)
    assert (past(bench)["since"], past(bench)["total"]) == (since, 2)


def test_fault_history_survives_a_reload(bench: Bench) -> None:
    """The sensors that stay have theirs; a new one's begins."""
    former = bench.poll(door(LOST))
    bench.run(HOUR_S)
    bench.poll(door(LOST), slot("other"))
    bench.poller.intake.inherit(former.intake, bench.clock.monotonic())
    bench.run(0)
    assert past(bench)["total"] == 1
    assert past(bench, "other") == {"since": bench.clock.wall(), "total": 0, "last": []}


def test_fault_history_keeps_the_last_ones_and_those_that_go_on() -> None:
    """All are counted; since when a fault goes on is never forgotten."""
    history = FaultHistory()
    history.began("s", "s.a", "nack", Moment(0.0, sure=True))
    for number in range(20):
        history.began("s", "s.b", "nack", Moment(number, sure=True))
        history.ended("s", "s.b", Moment(number + 0.5, sure=True))
    told = history.told("s")
    assert told["total"] == 21
    assert [one["from"] for one in told["last"]] == [0, 16, 17, 18, 19]
    assert len(told["last"]) == KEPT


@pytest.mark.parametrize("state", [None, [], {"last": 5}, {"total": 1, "since": 1, "last": [{}]}])
def test_fault_history_of_nonsense_begins_now(state: object) -> None:
    """A damaged file costs the past, not the sensor."""
    history = FaultHistory()
    history.restore("s", state, Moment(7.0, sure=True))
    assert history.told("s") == {"since": 7.0, "total": 0, "last": []}
    assert history.told("nobody")["since"] is None
