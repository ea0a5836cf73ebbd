"""SERVER.md on what comes besides values: made by the agent, and compared with the tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench
from fakes.clock import FakeClock
from fakes.crowd import Open, pour, stored
from fakes.pages import SERVER, tables
from fakes.sensors import ScriptedSensor, slot
from fakes.server import DOWN, FakeServer, take
from fakes.whole import Agent

from edge_agent.config.loader import load
from edge_agent.types import Measurement, Priority

HOUR_S = 3_600.0
#: Name, value, metadata and priority of each row.
ROWS = next(table[1:] for table in tables(SERVER) if table[0][0] == "`sensor_name`")
MARKS = next(table[1:] for table in tables(SERVER) if table[0] == ["Key", "Says"])
CONFIG = """
device: {{id: pi-7}}
queue: {{path: {path}/q.db, durability: normal}}
upload: {{endpoint: 'https://ingest.example/'}}
sensors:
  - {{name: plain, type: simulated}}
  - {{name: windows, type: simulated, report: {{every: 1min, stats: [mean, min, max]}}}}
  - {{name: alarm, type: simulated, spike_every: 10, alarm: {{above: 100}}}}
  - {{name: odd, type: simulated, noise: 1, spike_every: 50, anomaly: {{window: 20, deviation: 6}}}}
  - {{name: fails, type: simulated, fail_every: 10}}
"""

#: A reading as it was stored, and how urgent it was.
Told = tuple[Priority, dict[str, Any]]


@pytest.fixture
def told(tmp_path: Path, clock: FakeClock) -> list[Told]:
    """What an agent says in two hours, with a gap, and with another probe in a sensor's place."""
    file = tmp_path / "agent.yaml"
    file.write_text(CONFIG.format(path=tmp_path))
    server = FakeServer()
    agent = Agent(load(file, {}).config, clock, server)
    agent.run(HOUR_S)
    with agent.queue._store.write() as db:
        db.execute("INSERT INTO gaps VALUES ('plain', 'shed', 7, 10.0, 20.0)")
    agent.run(HOUR_S)
    agent.finish()
    agent.queue.close()
    sent = [row for batch in server.requests for row in batch.rows]
    return [(row.priority, server.taken[key]) for row, key in zip(sent, server.taken, strict=True)]


def another_probe(path: Path, clock: FakeClock) -> Told:
    """What is said when it hangs in the place of the one before."""
    bench = Bench(path, clock)
    probes = [[Measurement("", 4.0, "celsius", metadata={"probe_id": one})] for one in "ab"]
    bench.poll(slot("fridge", ScriptedSensor(*probes)))
    bench.run(20)
    (item,) = (i for i in bench.queue.dequeue(9) if i.payload["sensor_name"].startswith("agent."))
    bench.queue.close()
    return item.priority, item.payload


def keys_told(cell: str) -> set[str]:
    """The keys in a cell; what may stand behind one is in parentheses."""
    return {*re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell))}


def row(*words: str) -> tuple[set[str], str]:
    """Metadata and priority of the one row that has these words in front."""
    (found,) = (row for row in ROWS if all(word in f"{row[0]} {row[1]}" for word in words))
    return keys_told(found[2]), found[3].split(",")[0]


def kinds(readings: Iterable[Told], which: Callable[[dict[str, Any]], bool]) -> set[str]:
    """The priority and the metadata's keys of those readings, as a cell would have them."""
    return {
        f"{priority.word} {sorted(reading['metadata'])}"
        for priority, reading in readings
        if which(reading)
    }


def cell(keys: set[str], priority: str) -> set[str]:
    return {f"{priority} {sorted(keys)}"}


def test_page_s_kinds_of_readings_are_the_agent_s(
    told: list[Told], tmp_path: Path, clock: FakeClock
) -> None:
    """Each with its metadata and its priority, and none besides."""

    def named(name: str, *marks: str) -> set[str]:
        return kinds(told, lambda r: r["sensor_name"] == name and {*marks} <= r["metadata"].keys())

    assert named("plain") == cell(*row("the sensor's measured"))
    assert named("windows.mean") == cell(*row("NAME.mean"))
    assert named("alarm", "alarm") == cell(*row("the sensor's the value that did it"))
    assert named("odd", "score") == cell(*row("the sensor's out of the ordinary"))
    assert named("agent.sensor_fault") == cell(*row("agent.sensor_fault"))
    assert named("agent.gap") == cell(*row("agent.gap"))
    priority, replaced = another_probe(tmp_path / "probe", clock)
    assert {replaced["sensor_name"]} < {name.strip("`") for name, *_ in ROWS}
    assert {f"{priority.word} {sorted(replaced['metadata'])}"} == cell(*row("sensor_replaced"))
    # What there is not is left out of the line.
    assert all(line.startswith(row("agent.queue")[1]) for line in named("agent.queue"))
    names = {reading["sensor_name"] for _, reading in told} | {replaced["sensor_name"]}
    assert {name for name in names if name.startswith("agent.")} == {
        name.strip("`") for name, *_ in ROWS if name.startswith("`agent.")
    }


def test_page_s_words_of_an_alarm_and_of_a_fault_are_the_agent_s(told: list[Told]) -> None:
    """Entered and cleared; 1 and 0."""
    alarms = {reading["metadata"].get("alarm") for _, reading in told} - {None}
    (cell,) = (row[2] for row in ROWS if "`limit`" in row[2])
    assert alarms == {*re.findall(r"`(\w+)`", re.findall(r"\(.*\)", cell)[0])}
    faults = {r["value"] for _, r in told if r["sensor_name"] == "agent.sensor_fault"}
    (cell,) = (row[1] for row in ROWS if row[0] == "`agent.sensor_fault`")
    assert faults == {*map(int, re.findall(r"\d", cell))}


def test_page_s_marks_of_a_clock_are_the_agent_s(tmp_path: Path) -> None:
    """Of one that is set while readings wait: some were sent before, some are put right."""
    clock = FakeClock(synchronized=False)
    file = tmp_path / "agent.yaml"
    file.write_text(CONFIG.format(path=tmp_path))
    server = FakeServer()
    agent = Agent(load(file, {}).config, clock, server)
    agent.run(120)
    server.usual = DOWN
    agent.run(120)
    clock.trust()
    clock.step(86_400)
    server.usual = take
    agent.run(HOUR_S)
    agent.queue.close()
    seen = {reading["metadata"].get("clock") for reading in server.taken.values()} - {None}
    assert seen == {*re.findall(r"`clock: (\w+)`", " ".join(key for key, _ in MARKS))}


def test_page_s_mark_of_a_full_queue_is_the_queue_s(open_queue: Open) -> None:
    """A reading that stands for others says for how many."""
    with open_queue(when_full="thin") as queue:
        pour(queue, 60)
        marked = [item["metadata"] for item in stored(queue) if len(item["metadata"]) > 1]
    assert marked
    assert {*marked[0]} - {"pad"} == {key.strip("`") for key, _ in MARKS if "clock" not in key}
