"""The shipped examples: they pass the checker, they run, and they do what their comments promise.

Each lives through a quiet day, whose traffic is held against the number in its comments, and some
hours of the trouble that it is for.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import example_days
from fakes.clock import FakeClock
from fakes.example_days import DAY_S, HOUR_S
from fakes.played import play
from fakes.server import FakeServer
from fakes.whole import Agent
from fakes.wire import batch_of
from jsonschema import Draft202012Validator

from edge_agent.cli.main import main
from edge_agent.cloud_sync import HTTPCloudUploader
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Verdict
from edge_agent.config import document
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.config.schema import json_schema
from edge_agent.errors import ConfigError
from edge_agent.processing.filters import Median
from edge_agent.receiver import Receiver
from edge_agent.types import Priority

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))
MIDNIGHT = 1_749_945_600.0
PROMISE = re.compile(
    r"# A quiet day sends at most (?P<readings>\d+) readings in (?P<requests>\d+) requests, "
    r"(?P<kib>\d+) KiB\."
)
NUMBERS = {"eight": 8, "ten": 10}

#: Whose alarm, its limit and priority, and the trouble's beginning and end in hours of the next
#: day. Nothing else alarms: not what is shorter than ``for`` allows, and nothing on a quiet day.
ALARMS = {
    "classroom_air": [
        ("air.co2", 1000, Priority.TELEMETRY, 1, 4),
        ("air.co2", 2000, Priority.ANOMALY, 3, 4),
    ],
    "fridge_and_door": [
        ("temp.fridge", 8, Priority.CRITICAL, 2, 2.5),
        ("temp.fridge", 2, Priority.CRITICAL, 3, 3.2),
        ("door.fridge", 0, Priority.CRITICAL, 4, 4.05),
    ],
    "greenhouse": [
        ("climate.temperature", 3, Priority.CRITICAL, 1, 2),
        ("soil.tomatoes", 25, Priority.ANOMALY, 1, 4),
        ("water.rate", 0.2, Priority.CRITICAL, 1, 4),
    ],
    "solar_mast_2g": [
        ("battery.voltage", 11.5, Priority.CRITICAL, 1, 2),
        ("wind.rate", 30, Priority.CRITICAL, 2, 3),
    ],
    "van_lte": [
        ("cargo.temperature", 7, Priority.CRITICAL, 2, 3),
        ("battery.voltage", 11.8, Priority.ANOMALY, 2, 3),
    ],
}


class Metered(FakeServer):
    """Counts bytes as the uploader does, and notes when each reading came."""

    def __init__(self, clock: FakeClock, head_bytes: int) -> None:
        super().__init__()
        self._clock = clock
        self._head_bytes = head_bytes
        #: (seconds, priority, reading), in the order of arrival
        self.came: list[tuple[float, Priority, dict[str, Any]]] = []

    def send(self, batch: Batch) -> Verdict:
        sent_bytes = self.sent_bytes + self._head_bytes + _packed_bytes(batch)
        now = self._clock.wall() - MIDNIGHT
        self.came += [(now, row.priority, json.loads(row.payload)) for row in batch.rows]
        verdict = super().send(batch)
        self.sent_bytes = sent_bytes
        return verdict


@dataclasses.dataclass(frozen=True)
class Life:
    """What became of an example."""

    name: str
    text: str
    config: Config
    agent: Agent
    server: Metered
    #: of the quiet day
    readings: int
    requests: int
    sent_bytes: int

    def interval_and_filters_s(self, sensor_name: str) -> float:
        """How much later than it happens something is noticed at the most."""
        for sensor in self.config.sensors:
            for channel, settings in sensor.channels.items():
                if sensor.public_name(channel) == sensor_name:
                    windows = [f.window_size for f in settings.filters if isinstance(f, Median)]
                    return sensor.interval_s * (1 + sum(size // 2 for size in windows))
        raise AssertionError(sensor_name)

    def for_s(self, sensor_name: str, limit: float) -> float:
        """How long the alarm waits."""
        return next(
            alarm.for_s
            for sensor in self.config.sensors
            for channel, settings in sensor.channels.items()
            for alarm in settings.alarms
            if (sensor.public_name(channel), alarm.limit) == (sensor_name, limit)
        )


@pytest.fixture(scope="module")
def head_bytes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What a request of the real uploader has besides its body."""
    with Receiver(tmp_path_factory.mktemp("receiver") / "r.db", api_key="k" * 40) as receiver:
        uploader = HTTPCloudUploader(receiver.url, "k" * 40)
        batch = batch_of(1)
        uploader.send(batch)
        uploader.close()
    return uploader.sent_bytes - _packed_bytes(batch)


def _packed_bytes(batch: Batch) -> int:
    return len(gzip.compress(batch.body(), 6, mtime=0))


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def life(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, head_bytes: int
) -> Iterator[Life]:
    """A quiet day and the trouble after it, by the whole agent with sensors that play."""
    path: Path = request.param
    config = load(path, {}).config
    file = str(tmp_path_factory.mktemp(path.stem) / "q.db")
    # Nobody cuts the power here, and waiting for the disk is all that it would change.
    queue = dataclasses.replace(config.queue, path=file, durability="normal")
    config = dataclasses.replace(config, queue=queue)
    scripts = example_days.DAYS[path.stem]()
    clock = FakeClock(MIDNIGHT)
    server = Metered(clock, head_bytes)
    with pytest.MonkeyPatch.context() as patch:
        playing = play(patch, config, scripts)
        agent = Agent(config, clock, server, upkeep_every_s=600)
    for name, seconds in example_days.edges(scripts):
        agent.at(seconds, playing[name].announce)
    agent.run(DAY_S)
    quiet = (agent.poller.intake.read_total, len(server.requests), server.sent_bytes)
    agent.run(5 * HOUR_S)
    yield Life(path.stem, path.read_text(), config, agent, server, *quiet)
    agent.queue.close()


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request: pytest.FixtureRequest) -> Path:
    """One of the files."""
    path: Path = request.param
    return path


def only(name: str) -> pytest.MarkDecorator:
    """For what one example alone promises."""
    path = ROOT / f"config/examples/{name}.yaml"
    return pytest.mark.parametrize("life", [path], indirect=True, ids=[name])


# -- as files ----------------------------------------------------------------------------------


def test_example_passes_the_checker_and_the_schema_as_it_stands(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing in the environment and no file beside it."""
    assert main(["check", "--config", str(example)]) == 0
    assert capsys.readouterr().out.endswith(", no problems\n")
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator(schema).validate(document.read(example).data)


def test_example_says_what_it_is_for_how_it_is_wired_and_what_to_change(example: Path) -> None:
    """Before the first key; and each sensor on pins or I2C is in the wiring."""
    head, _, _ = example.read_text().partition("\n\n")
    assert head.splitlines()[0].endswith(".")
    assert "# Wiring" in head
    assert "# Change: the endpoint and the key's file" in head
    for sensor in load(example, {}).config.sensors:
        options = dataclasses.asdict(sensor.options)
        if "address" in options:
            assert re.search(rf"{options['address']:#04x}\b", head)
        if "pin" in options:
            assert re.search(rf"GPIO{options['pin']}\b", head)


def test_example_has_no_key_without_effect(example: Path, tmp_path: Path) -> None:
    """Taken away, each changes what is loaded, or is missed: none repeats a default."""
    whole = dataclasses.asdict(load(example, {}).config)
    file = tmp_path / "agent.yaml"
    idle = []
    for path, rest in _each_without_one_key(document.read(example).data):
        file.write_text(json.dumps(rest))
        try:
            if dataclasses.asdict(load(file, {}).config) == whole:
                idle.append(path)
        except ConfigError:
            continue
    assert idle == []


def _each_without_one_key(node: Any) -> Iterator[tuple[str, Any]]:
    """The path of each key, and everything without it."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(node, dict):
            yield str(key), {other: kept for other, kept in node.items() if other != key}
        if isinstance(value, dict | list):
            for path, rest in _each_without_one_key(value):
                copy = dict(node) if isinstance(node, dict) else list(node)
                copy[key] = rest
                yield f"{key}.{path}", copy


def test_examples_are_shipped_and_stand_in_the_readme() -> None:
    """A file that nobody finds helps nobody."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["setuptools"]["data-files"]["share/pyvorin-agent/examples"]
    assert sorted(path for glob in shipped for path in ROOT.glob(glob)) == EXAMPLES
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(
        r"^\| \[`(.+)`\]\((.+)\) \|.*\| (\d+) readings, (\d+) KiB \|$", readme, re.MULTILINE
    )
    promises = {path: next(PROMISE.finditer(path.read_text())) for path in EXAMPLES}
    assert sorted(rows) == [
        (path.name, str(path.relative_to(ROOT)), promise["readings"], promise["kib"])
        for path, promise in promises.items()
    ]


# -- at work -----------------------------------------------------------------------------------


def test_example_quiet_day_sends_no_more_than_its_comment_says(life: Life) -> None:
    """And not much less: a promise that is too large says nothing."""
    (promise,) = PROMISE.finditer(life.text)
    kib = life.sent_bytes / 1024
    print(f"{life.name}: {life.readings} readings, {life.requests} requests, {kib:.1f} KiB")
    for sent, key in ((life.readings, "readings"), (life.requests, "requests"), (kib, "kib")):
        assert 0.7 * int(promise[key]) <= sent <= int(promise[key])


def test_example_alarms_come_and_go_as_its_comments_say(life: Life) -> None:
    """Once in and once out for each trouble, after its wait, at its priority; and no others."""
    told: dict[tuple[str, float, Priority], list[float]] = {}
    for _, priority, reading in life.server.came:
        if "alarm" in reading["metadata"]:
            key = (reading["sensor_name"], reading["metadata"]["limit"], priority)
            told.setdefault(key, []).append(reading["timestamp"] - MIDNIGHT - DAY_S)
    expected = {entry[:3]: entry[3:] for entry in ALARMS[life.name]}
    assert told.keys() == expected.keys()
    for (name, limit, _), times in told.items():
        begins, ends = expected[name, limit, _]
        late_s = life.interval_and_filters_s(name)
        entered, cleared = times
        since = begins * HOUR_S + life.for_s(name, limit)
        assert since - 1 <= entered <= since + late_s + 1
        assert ends * HOUR_S - 1 <= cleared <= ends * HOUR_S + late_s + 1


def test_example_urgent_readings_wait_for_no_interval(life: Life) -> None:
    """Alarms and anomalies are there in the second in which they are known."""
    urgent = [
        now - (reading["timestamp"] - MIDNIGHT)
        for now, priority, reading in life.server.came
        if priority <= Priority.ANOMALY
    ]
    assert urgent
    assert max(urgent) <= 1


def test_example_requests_keep_to_their_limits_and_nothing_is_lost(life: Life) -> None:
    """No more items or bytes than it says; no tick missed, no fault, no quota reached."""
    upload, agent = life.config.upload, life.agent
    assert max(len(batch.rows) for batch in life.server.requests) <= upload.batch_size
    assert max(len(batch.body()) for batch in life.server.requests) <= upload.max_body_bytes
    assert agent.told.lines == []
    assert agent.poller.overruns_total == 0
    books = agent.queue.ledger()
    assert books.closes
    assert books.delivered == len(life.server.taken)
    assert books.delivered + books.queued == agent.poller.intake.read_total


def test_example_quota_has_room_for_a_month_of_quiet_days(life: Life) -> None:
    """Where there is one: it is for the other days. A comment that counts days counts right."""
    quota = life.config.upload.quota
    if quota.monthly.bytes is None:
        assert quota.daily.bytes is None
        return
    (promise,) = PROMISE.finditer(life.text)
    quiet_bytes = int(promise["kib"]) * 1024
    assert 31 * quiet_bytes <= quota.monthly.bytes
    ((word,),) = [re.findall(r"(\w+) quiet days in one", life.text)]
    assert quota.daily.bytes is not None
    assert quota.daily.bytes // quiet_bytes == NUMBERS[word]


@only("fridge_and_door")
def test_fridge_door_that_is_shut_in_time_draws_no_alarm(life: Life) -> None:
    """Twenty changes on a quiet day, each with its own time."""
    door = [
        (round(reading["timestamp"] - MIDNIGHT), reading["value"])
        for reading in life.server.taken.values()
        if reading["sensor_name"] == "door.fridge" and "alarm" not in reading["metadata"]
    ]
    for hour in range(8, 18):
        assert (hour * HOUR_S, 1) in door
        assert (hour * HOUR_S + 45, 0) in door


@only("fridge_and_door")
def test_fridge_sends_a_tenth_of_what_its_probes_measure(life: Life) -> None:
    """The deadbands keep the compressor's small waves here."""
    probes = [sensor for sensor in life.config.sensors if sensor.type == "w1"]
    measured = sum(DAY_S / probe.interval_s for probe in probes)
    assert life.readings <= measured / 10


@only("van_lte")
def test_van_says_nothing_that_its_privacy_keeps(life: Life) -> None:
    """Neither in a reading nor in the queue's files, where the label that may be seen still is."""
    labels = life.config.device.labels
    sent = "".join(row.payload for batch in life.server.requests for row in batch.rows)
    files = life.agent.queue.path.parent.glob("q.db*")
    kept = b"".join(file.read_bytes() for file in files)
    assert str(labels["vehicle"]).encode() in kept
    for secret in ("operator", "badge", "depot_lat", "depot_lon"):
        assert str(labels[secret]) not in sent
        assert str(labels[secret]).encode() not in kept
    metadata = [json.loads(row.payload)["metadata"] for row in life.server.requests[0].rows]
    (badge,) = {each["badge"] for each in metadata}
    assert re.fullmatch("[0-9a-f]{64}", badge)
    assert {(each["depot_lat"], each["depot_lon"]) for each in metadata} == {(45.8, 4.8)}
    assert not any("operator" in each for each in metadata)


@only("greenhouse")
def test_greenhouse_soil_is_told_in_percent(life: Life) -> None:
    """2.0 V at the tomatoes is half way between its two points."""
    values = [
        (reading["value"], reading["unit"])
        for reading in life.server.taken.values()
        if reading["sensor_name"] == "soil.tomatoes"
    ]
    assert {unit for _, unit in values} == {"percent"}
    assert 45 <= values[0][0] <= 55
