"""A day of one probe in a cold store: what of its measurements leaves, and what that still tells.

The picture of it goes where the fixture ``artefacts`` says.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import statistics
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import chart, cold_store
from fakes.clock import FakeClock
from fakes.played import play
from fakes.server import FakeServer
from fakes.whole import Agent

from edge_agent.config.channels import Channel
from edge_agent.config.loader import load
from edge_agent.errors import SensorError
from edge_agent.processing.alarms import Alarm
from edge_agent.types import Value

MIDNIGHT, DAY_S = 1_749_945_600.0, 86_400.0
INTERVAL_S = 10.0
MEDIAN = 5
#: More than this between two measurements, and there was a fault.
LONGEST_PAUSE_S = 60.0
NAME = "temp.cold_chain"
CONFIGURATION = """
queue: {path: "${QUEUE}", durability: normal}
upload: {endpoint: "https://ingest.example/v1", auth: none}
health: {upload_interval: 0s}
sensors:
  - name: temp.cold_chain
    type: mcp9808
    interval: 10s
    filters: [{median: 5}]
    report: {deadband: 0.2, heartbeat: 10min}
    alarm:
      - {above: 8, hysteresis: 0.5, for: 30s, priority: critical}
      - {below: 0, hysteresis: 0.5, priority: critical}
    anomaly: {window: 60, deviation: 8}
"""


@dataclasses.dataclass(frozen=True)
class Told:
    """A reading at the far end, by the time of day."""

    seconds: float
    value: float
    alarm: str
    limit: float
    score: float


@dataclasses.dataclass(frozen=True)
class Day:
    """What was measured, and what arrived."""

    settings: Channel
    #: (seconds, value); None where there was none
    measured: list[tuple[float, float | None]]
    told: list[Told]
    #: from the fault's reading to the recovery's
    faults: list[tuple[float, float]]

    def filtered(self) -> Iterator[tuple[float, float]]:
        """The medians of the last five, reckoned again; a fault begins them anew."""
        last: deque[float] = deque(maxlen=MEDIAN)
        for seconds, value in self.measured:
            if value is None:
                last.clear()
            else:
                last.append(value)
                yield seconds, statistics.median(last)

    def excursions(self, alarm: Alarm) -> list[tuple[float, float]]:
        """When the alarm ought to be entered and cleared, reckoned again."""
        found = []
        since = entered = before = None
        for seconds, value in self.filtered():
            beyond = value - alarm.limit if alarm.above is not None else alarm.limit - value
            if before is not None and seconds - before > LONGEST_PAUSE_S:
                since = None
            if since is not None and entered is None and seconds >= since + alarm.for_s:
                entered = since + alarm.for_s
            if entered is not None and beyond <= -alarm.hysteresis:
                found.append((entered, seconds))
                since = entered = None
            elif entered is None:
                since = (seconds if since is None else since) if beyond > 0 else None
                entered = seconds if since is not None and not alarm.for_s else None
            before = seconds
        assert entered is None
        return found

    def alarms(self, alarm: Alarm) -> list[tuple[float, float]]:
        """When it was entered and cleared, as the far end was told."""
        ours = [told for told in self.told if told.alarm and told.limit == alarm.limit]
        assert [told.alarm for told in ours] == ["entered", "cleared"] * (len(ours) // 2)
        return [(a.seconds, b.seconds) for a, b in itertools.pairwise(ours) if a.alarm == "entered"]


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Day:
    """From midnight to midnight, by the whole agent."""
    file = tmp_path / "agent.yaml"
    file.write_text(CONFIGURATION)
    config = load(file, {"QUEUE": str(tmp_path / "q.db")}).config
    store, measured = cold_store.ColdStore(), []

    def probe(seconds: float) -> dict[str, Value] | SensorError:
        said = store.script(seconds)
        measured.append((seconds, None if isinstance(said, SensorError) else said[""]))
        return said

    play(monkeypatch, config, {NAME: probe})
    clock, server = FakeClock(MIDNIGHT), FakeServer()
    agent = Agent(config, clock, server, upkeep_every_s=600)
    agent.run(DAY_S)
    agent.finish()
    assert agent.queue.ledger().closes
    agent.queue.close()
    readings = list(server.taken.values())
    told = sorted(map(_told, _named(readings, NAME)), key=lambda one: one.seconds)
    (settings,) = config.sensors[0].channels.values()
    return Day(settings, measured, told, _faults(_named(readings, "agent.sensor_fault")))


def _named(readings: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [reading for reading in readings if reading["sensor_name"] == name]


def _told(reading: dict[str, Any]) -> Told:
    kept = reading["metadata"]
    return Told(
        reading["timestamp"] - MIDNIGHT,
        reading["value"],
        kept.get("alarm", ""),
        kept.get("limit", 0.0),
        kept.get("score", 0.0),
    )


def _faults(readings: list[dict[str, Any]]) -> list[tuple[float, float]]:
    readings.sort(key=lambda reading: reading["timestamp"])
    assert [reading["value"] for reading in readings] == [1, 0] * (len(readings) // 2)
    times = [reading["timestamp"] - MIDNIGHT for reading in readings]
    return list(zip(times[::2], times[1::2], strict=True))


def test_cold_chain_day_leaves_few_readings_that_tell_all_of_it(day: Day, artefacts: Path) -> None:
    """Within the deadband of every filtered value, no excursion missed, none in the fault."""
    measured = sum(value is not None for _, value in day.measured)
    picture = artefacts / "cold_chain_day.png"
    _chart(day, measured).save(picture)
    print(f"measured {measured}, left {len(day.told)}: {measured / len(day.told):.1f} to 1")
    print(f"picture: {picture}")
    assert measured > 10 * len(day.told)
    for alarm, number in zip(day.settings.alarms, (2, 1), strict=True):
        told = day.alarms(alarm)
        assert len(told) == number
        for pair, expected in zip(told, day.excursions(alarm), strict=True):
            assert pair == pytest.approx(expected, abs=0.001)
    _check_the_fault(day)
    _check_the_deadband(day)
    _check_the_heartbeat(day)


def _check_the_fault(day: Day) -> None:
    """It is told for as long as it lasted, and nothing is said of the probe, too warm as it was."""
    ((begins, ends),) = day.faults
    assert begins == cold_store.FAULT[0]
    # A probe that fails is left alone for up to five minutes.
    assert cold_store.FAULT[1] <= ends <= cold_store.FAULT[1] + 300
    assert not [told for told in day.told if begins <= told.seconds < ends]
    *_, last = (value for seconds, value in day.filtered() if seconds < begins)
    assert last > day.settings.alarms[0].limit


def _check_the_deadband(day: Day) -> None:
    """Who holds each value until the next one comes is never farther off than it."""
    times = [told.seconds for told in day.told]
    farthest = max(
        abs(value - day.told[bisect.bisect(times, seconds + 0.001) - 1].value)
        for seconds, value in day.filtered()
    )
    print(f"farthest from what was measured and filtered: {farthest:.4f} celsius")
    assert day.settings.report.deadband is not None
    assert farthest <= day.settings.report.deadband.amount


def _check_the_heartbeat(day: Day) -> None:
    """A still night is told of by it alone; silence lasts no longer than it and one interval."""
    ((fault, _),) = day.faults
    longest = max(
        later.seconds - earlier.seconds
        for earlier, later in itertools.pairwise(day.told)
        if not earlier.seconds < fault <= later.seconds
    )
    print(f"longest silence: {longest:.0f} s")
    assert day.settings.report.heartbeat_s is not None
    assert abs(longest - day.settings.report.heartbeat_s) <= INTERVAL_S


def _chart(day: Day, measured: int) -> chart.Chart:
    """What a person is to see of it."""
    above, below = day.settings.alarms
    deadband = day.settings.report.deadband
    assert deadband is not None
    return chart.Chart(
        f"A cold store's probe over a day: measured {measured:,}, left {len(day.told):,} "
        f"({measured / len(day.told):.0f} to 1)",
        [(s, v) for s, v in day.measured if v is not None],
        [(told.seconds, told.value) for told in day.told],
        [(told.seconds, told.value) for told in day.told if told.score and not told.alarm],
        deadband.amount,
        [
            chart.Limit(
                above.limit,
                f"above {above.limit:g} °C\nfor {above.for_s:g} s",
                day.alarms(above),
                warm=True,
            ),
            chart.Limit(below.limit, f"below {below.limit:g} °C", day.alarms(below), warm=False),
        ],
        day.faults,
        [
            chart.Detail(
                "a still night, then the compressor's cycles", (7800, 14_400), 1200, (2.4, 5.6)
            ),
            chart.Detail("a delivery with the door open", (8.1 * 3600, 9.1 * 3600), 600),
        ],
    )
