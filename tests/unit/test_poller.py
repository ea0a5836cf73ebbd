"""The poller: schedule, faults, and what reaches the queue, on a clock that stands still."""

from __future__ import annotations

import itertools
import json
import logging
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, StuckReaders, slot
from fakes.server import FakeServer, take

from edge_agent.daemon.flusher import Flusher, FlushSettings
from edge_agent.daemon.intake import MOST_OFFERED
from edge_agent.daemon.link import Link
from edge_agent.daemon.readers import InlineReaders, Result
from edge_agent.daemon.schedule import HANG_S, LONGEST_PAUSE_S, SPREAD_S
from edge_agent.errors import SensorError, StoreError
from edge_agent.processing.alarms import Alarm
from edge_agent.processing.channel import ChannelPlan
from edge_agent.processing.pipeline import SensorLine
from edge_agent.processing.valid import Valid
from edge_agent.types import Measurement, Priority, SensorReading


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


# -- the schedule ---------------------------------------------------------------------------------


def test_poller_first_measurements_are_spread_over_the_interval(
    bench: Bench, clock: FakeClock
) -> None:
    """Five sensors of ten seconds each: one every other second, for ever."""
    start = clock.wall()
    bench.poll(*(slot(f"s{n}") for n in range(5)))
    bench.run(19.9)
    assert [(d["sensor_name"], d["timestamp"] - start) for d in bench.stored()] == [
        (f"s{n % 5}", 2.0 * n) for n in range(10)
    ]


def test_poller_first_measurements_of_slow_sensors_come_soon(
    bench: Bench, clock: FakeClock
) -> None:
    """Who starts the agent wants to see every sensor; who watches misses everything until then."""
    start = clock.wall()
    counter = ScriptedSensor()
    counter.watches = True  # type: ignore[misc]  # of this one alone
    slots = [slot(f"s{n}", interval_s=3600) for n in range(4)]
    bench.poll(*slots, slot("counter", counter, interval_s=3600))
    bench.run(3599)
    times = {data["sensor_name"]: data["timestamp"] - start for data in bench.stored()}
    spread = {f"s{n}": n * SPREAD_S / 5 for n in range(4)}
    assert times == spread | {"counter": 0}


def test_poller_late_steps_do_not_move_the_schedule(bench: Bench, clock: FakeClock) -> None:
    """``next += interval``: each step comes 0.3 s late and no error adds up."""
    start = clock.monotonic()
    poller = bench.poll(slot("s", interval_s=1.0))
    for _ in range(50):
        due = poller.step(clock.monotonic())
        assert (due - start) % 1.0 == pytest.approx(0.0)
        clock.advance(due - clock.monotonic() + 0.3)
    assert (len(bench.stored()), poller.overruns_total) == (50, 0)


def test_poller_missed_ticks_are_counted_and_not_made_up(bench: Bench, clock: FakeClock) -> None:
    """Nobody called for 47 s: one reading, four overruns, and the old rhythm."""
    poller = bench.poll(slot("s"))
    poller.step(clock.monotonic())
    clock.advance(47)
    due = poller.step(clock.monotonic())
    assert (len(bench.stored()), poller.overruns_total) == (2, 3)
    assert due - clock.monotonic() == pytest.approx(3)


def test_poller_conversion_is_waited_for_without_sleeping(bench: Bench, clock: FakeClock) -> None:
    """``trigger`` now, ``read`` when it is due, other sensors in between."""
    slow = ScriptedSensor(1.0, wait_s=0.75)
    bench.poll(slot("slow", slow), slot("quick", ScriptedSensor(2.0), interval_s=0.2))
    start = clock.wall()
    bench.run(1.0)
    assert slow.calls == ["trigger", "read"]
    assert bench.stored("slow")[0]["timestamp"] - start == pytest.approx(0.75)
    assert len(bench.stored("quick")) == 5


def test_poller_conversion_longer_than_the_interval_counts_overruns(bench: Bench) -> None:
    """A measurement under way is never begun a second time."""
    slow = ScriptedSensor(1.0, wait_s=25.0)
    poller = bench.poll(slot("slow", slow, interval_s=10.0))
    bench.run(29)
    assert slow.calls == ["trigger", "read"]
    assert poller.overruns_total == 2


def test_poller_wakes_rarely(bench: Bench) -> None:
    """Five sensors each ten seconds want half a step a second, not a polling loop."""
    bench.poll(*(slot(f"s{n}") for n in range(5)))
    bench.run(100)
    assert bench.wakes <= 51


def test_poller_asks_no_line_that_nothing_happened_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred sensors with alarms: a step costs what happens in it, not what there is."""
    asked: list[SensorLine] = []
    due = SensorLine.due
    monkeypatch.setattr(SensorLine, "due", lambda line: asked.append(line) or due(line))  # type: ignore[func-returns-value]  # counts
    plans = ({"": ChannelPlan(f"s{n}", alarms=(Alarm(above=8.0),))} for n in range(200))
    bench.poll(*(slot(f"s{n}", channels=plan) for n, plan in enumerate(plans)))
    bench.run(9.99)
    assert len(bench.stored()) == 200
    assert len(asked) <= 2 * 200


def test_poller_without_sensors_has_nothing_due(bench: Bench, clock: FakeClock) -> None:
    """An empty list of sensors is a configuration too."""
    assert bench.poll().step(clock.monotonic()) == math.inf


# -- hangs ----------------------------------------------------------------------------------------


@pytest.mark.fault(
    "sensor",
    "hangs in the kernel",
    how="a driver that does not return, and later does",
    part="the poller on a clock that stands still",
)
def test_poller_hanging_sensor_is_faulty_and_recovers_when_it_answers(
    bench: Bench, clock: FakeClock
) -> None:
    """Told once each way; while it hangs it is given no second job."""
    readers = StuckReaders()
    poller = bench.poll(slot("stuck"), readers=readers)
    bench.run(HANG_S - 0.001)
    assert bench.faults() == []
    bench.run(300)
    assert bench.faults() == [("stuck", 1, "hang")]
    assert len(readers.jobs) == 1
    stamp = clock.wall()
    readers.answers.append(Result("stuck", measurements=[Measurement("", 5.0, "", stamp)]))
    bench.run(0)
    assert bench.faults() == [("stuck", 1, "hang"), ("stuck", 0, "hang")]
    assert bench.stored("stuck")[0]["value"] == 5.0
    assert bench.told.events == ["sensor_faulty", "sensor_recovered"]
    bench.run(10)
    assert len(readers.jobs) == 2
    assert poller.intake.faults.faulty == {}


def test_poller_late_trigger_after_a_hang_is_followed_by_its_read(
    bench: Bench, clock: FakeClock
) -> None:
    """The hang was in `trigger`: its wait is kept, and a second hang is found again."""
    readers = StuckReaders()
    bench.poll(slot("stuck"), readers=readers)
    bench.run(60)
    readers.answers.append(Result("stuck", wait_s=0.5))
    bench.run(1)
    assert [job.fetch for job in readers.jobs] == [False, True]
    readers.answers.append(Result("stuck", error=SensorError("gone", reason="nack")))
    bench.run(600)
    assert bench.faults() == [("stuck", 1, "hang")]
    assert len(readers.jobs) == 3


@pytest.mark.fault(
    "sensor",
    "hangs in the kernel",
    how="a driver that does not return",
    part="the poller on a clock that stands still",
)
def test_poller_hanging_sensor_leaves_others_alone(bench: Bench, clock: FakeClock) -> None:
    """Every tick of theirs is kept."""

    class OneStuck(InlineReaders):
        def submit(self, job: Any) -> None:
            if job.name != "stuck":
                super().submit(job)

    poller = bench.poll(slot("stuck"), slot("well", interval_s=1.0), readers=OneStuck(clock))
    bench.run(59.9)
    assert len(bench.stored("well")) == 60
    assert poller.slots["well"].overruns == 0
    assert poller.overruns_total == 5


def test_poller_sensor_that_stands_in_line_behind_others_is_not_stuck(bench: Bench) -> None:
    """Twenty 1-wire probes take 15 s to convert, one after the other: the wire is well."""
    readers = StuckReaders()
    bench.poll(*(slot(f"s{n}", interval_s=1.0) for n in range(20)), readers=readers)
    bench.run(0.99)
    for n in range(19):
        bench.run(0.75)
        readers.answers.append(Result(f"s{n}", measurements=[Measurement("", 1.0, "")]))
        bench.run(0)
    assert bench.faults() == []
    bench.run(HANG_S)
    assert bench.faults()[0] == ("s19", 1, "hang")


# -- faults ---------------------------------------------------------------------------------------


def test_poller_fault_and_recovery_are_a_line_and_an_anomaly_each(
    bench: Bench, clock: FakeClock
) -> None:
    """However often it fails in between."""
    lost = SensorError("no answer from 0x76 on i2c-1", reason="nack")
    bench.poll(slot("s", ScriptedSensor(1.0, lost, lost, lost, 2.0)))
    bench.run(200)
    assert bench.faults() == [("s", 1, "nack"), ("s", 0, "nack")]
    levels = [level for level, _ in bench.told.lines]
    assert levels == [logging.WARNING, logging.INFO + 5]
    assert bench.told.about("sensor_faulty") == [
        'sensor_faulty sensor=s reason="no answer from 0x76 on i2c-1"'
    ]
    first = next(item for item in bench.queue.dequeue(1))
    assert (first.priority, first.ttl_seconds) == (Priority.ANOMALY, 86_402)


def test_poller_faulty_sensor_is_tried_in_growing_pauses_of_five_minutes_at_the_most(
    bench: Bench, clock: FakeClock
) -> None:
    """After 10, 20, 40 … 300 seconds, for ever; closed in between."""
    sensor = ScriptedSensor(SensorError("gone", reason="nack"))
    tries: list[float] = []
    sensor.trigger = lambda: tries.append(clock.monotonic()) or 0.0  # type: ignore[func-returns-value, method-assign]  # notes the time
    bench.poll(slot("s", sensor))
    bench.run(1300)
    gaps = [round(b - a) for a, b in itertools.pairwise(tries)]
    assert gaps == [10, 20, 40, 80, 160, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert sensor.calls == ["read", "close"] * len(tries)


@pytest.mark.fault(
    "sensor",
    "garbage",
    how="a driver returns NaN, infinity, nothing, a list",
    part="the poller on a clock that stands still",
)
@pytest.mark.parametrize("value", [math.nan, math.inf, None, [1], 10**400, 60.1])
def test_poller_unbelievable_value_is_a_fault_and_never_sent(bench: Bench, value: Any) -> None:
    """One fault and one recovery for a sensor of one channel, not one a reading."""
    plan = {"": ChannelPlan("s", valid=Valid(-40, 60))}
    wrong = [Measurement("", value, "celsius")]
    bench.poll(slot("s", ScriptedSensor(wrong, wrong, wrong, 20.0), channels=plan))
    bench.run(39)
    reason = "range" if value == 60.1 else "garbage"
    assert bench.faults() == [("s", 1, reason), ("s", 0, reason)]
    assert [data["value"] for data in bench.stored("s")] == [20.0]
    assert bench.told.events == ["sensor_faulty", "sensor_recovered"]


def test_poller_channel_out_of_range_leaves_the_others_alone(bench: Bench) -> None:
    """A fault bears the channel's public name; the sensor's own is another matter."""
    wrong = [Measurement("t", 99.0, "celsius"), Measurement("h", 50.0, "percent")]
    plan = {"t": ChannelPlan("room.t", valid=Valid(max=85)), "h": ChannelPlan("room.h")}
    lost = SensorError("gone", reason="nack")
    bench.poll(slot("room", ScriptedSensor(wrong, lost, wrong), channels=plan))
    bench.run(29)
    assert bench.faults() == [("room.t", 1, "range"), ("room", 1, "nack"), ("room", 0, "nack")]
    assert [data["value"] for data in bench.stored("room.h")] == [50.0, 50.0]
    assert bench.stored("room.t") == []


# -- what is stored -------------------------------------------------------------------------------


def test_poller_reading_bears_name_labels_and_the_clocks_mark(tmp_path: Path) -> None:
    """The wire's shape, from a machine that does not know the time yet."""
    bench = Bench(tmp_path, FakeClock(100.0, synchronized=False))
    measured = [Measurement("t", 20.5, "celsius", metadata={"probe": "28-1"})]
    bench.poll(slot("room", ScriptedSensor(measured), channels={}, site="lyon"))
    bench.run(0)
    assert json.dumps(bench.stored()[0]) == (
        '{"sensor_name": "room.t", "timestamp": 100.0, "value": 20.5, "unit": "celsius",'
        ' "metadata": {"site": "lyon", "probe": "28-1", "clock": "unsynced"}}'
    )
    bench.queue.close()


def test_poller_offered_reading_is_stored_with_labels_and_counted(bench: Bench) -> None:
    """From another thread; bounded, the oldest give way."""
    poller = bench.poll(site="lyon")
    for number in range(MOST_OFFERED + 5):
        poller.offer(SensorReading("agent.queue", 1.0, number), Priority.LOGS)
    bench.run(0)
    assert [data["value"] for data in bench.stored()] == list(range(5, MOST_OFFERED + 5))
    assert bench.stored()[0]["metadata"] == {"site": "lyon"}
    assert poller.intake.read_total == MOST_OFFERED


def test_poller_step_of_the_clock_is_told_and_moves_no_tick(bench: Bench) -> None:
    """The schedule is on the monotonic clock."""
    bench.poll(slot("s"))
    bench.run(9)
    bench.clock.step(86_400)
    bench.run(10.9)
    assert bench.told.about("clock_step") == ["clock_step wall_s=86400 first=no"]
    assert len(bench.stored("s")) == 2


def test_poller_reads_on_while_the_store_is_down(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a commit nor the note of a clock step that fails stops a sensor."""

    def fail(*_: object) -> None:
        raise StoreError("q.db: attempt to write a readonly database (SQLITE_READONLY)")

    bench.poll(slot("s", interval_s=1.0))
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue, "enqueue_many", fail)
        patch.setattr(bench.queue, "tick", fail)
        bench.run(59.9)
    assert len(bench.pending) == 60
    bench.run(30)
    assert len(bench.stored("s")) == 90


# -- the end, and a new beginning -----------------------------------------------------------------


def test_poller_finish_commits_what_waits_and_closes_the_sensors(bench: Bench) -> None:
    """What was read or offered is stored before the stop."""
    sensor = ScriptedSensor(1.0)
    poller = bench.poll(slot("s", sensor))
    poller.step(bench.clock.monotonic())
    poller.offer(SensorReading("agent.queue", 1.0, 1), Priority.LOGS)
    poller.finish()
    assert [data["sensor_name"] for data in bench.stored()] == ["s", "agent.queue"]
    assert sensor.calls[-1] == "close"


def test_poller_inherits_faults_counts_and_what_the_store_did_not_take(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload in the middle of an outage of the card loses nothing and repeats no fault."""

    def fail(*_: object) -> None:
        raise StoreError("q.db: disk I/O error (SQLITE_IOERR)")

    lost = SensorError("gone", reason="nack")
    former = bench.poll(slot("s", ScriptedSensor(1.0, lost)), slot("removed", ScriptedSensor(lost)))
    with monkeypatch.context() as patch:
        patch.setattr(bench.queue, "enqueue_many", fail)
        bench.run(11)
        former.finish()
    poller = bench.poll(slot("s", ScriptedSensor(lost)))
    poller.inherit(former)
    bench.run(20)
    assert poller.intake.faults.faulty == {"s": "nack"}
    assert poller.intake.details == {"s": "gone"}
    assert poller.intake.read_total == 4
    assert len(bench.stored("s")) == 1
    assert sorted(bench.faults()) == [
        ("removed", 0, "nack"),
        ("removed", 1, "nack"),
        ("s", 1, "nack"),
    ]


def test_poller_keeps_every_tick_while_a_request_hangs(bench: Bench, clock: FakeClock) -> None:
    """The flusher's thread is blocked in `send` for 30 s of the poller's time."""
    server, sending, answered = FakeServer(), threading.Event(), threading.Event()

    def hang(server: FakeServer, batch: Any) -> Any:
        sending.set()
        assert answered.wait(60)
        return take(server, batch)

    server.usual = hang
    link = Link(base_s=60, cap_s=900, draw=lambda: 0.5, say=bench.told)
    flusher = Flusher(bench.queue, server, FlushSettings(1), link, clock, say=bench.told)
    bench.queue.enqueue({"sensor_name": "before", "value": 0})
    start = clock.wall()
    poller = bench.poll(slot("s", interval_s=0.1))
    thread = threading.Thread(target=flusher.step, args=(clock.monotonic(),))
    thread.start()
    try:
        assert sending.wait(60)
        bench.run(29.95)
        stored = bench.stored("s")
        times = [data["timestamp"] - start for data in stored]
        assert times == pytest.approx([0.1 * number for number in range(300)], abs=1e-3)
        assert (poller.overruns_total, len(bench.pending)) == (0, 0)
    finally:
        answered.set()
        thread.join()
    assert server.values == [0]
