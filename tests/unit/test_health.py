"""How the agent is, told in one line, one file, one reading."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.rig import INTERVAL_S, Rig
from fakes.sensors import ScriptedSensor, slot
from fakes.server import DOWN

from edge_agent.daemon import health
from edge_agent.daemon.growth import LOOK_EVERY_S
from edge_agent.daemon.quota import Allowance
from edge_agent.daemon.wear import Wear
from edge_agent.errors import SensorError
from edge_agent.processing.channel import ChannelPlan
from edge_agent.types import Measurement, Priority, Submission

#: design: queue_health.
KEYS = [
    "depth",
    "critical",
    "anomaly",
    "telemetry",
    "logs",
    "oldest_s",
    "retrying",
    "dead",
    "expired",
    "shed",
    "thinned",
    "link",
    "link_s",
    "link_reason",
    "next_try_s",
    "last_delivery_s",
    "sent_today",
    "sent_bytes_month",
    "size_bytes",
    "free_bytes",
    "hours_left",
    "wear_bytes_today",
    "clock",
    "config",
    "sensors_ok",
    "faulty",
]


def test_health_line_has_its_keys_in_order(rig: Rig) -> None:
    """People and their scripts read it by position, too."""
    assert list(health.line(rig.parts())) == KEYS


def test_health_line_of_an_outage(rig: Rig) -> None:
    """Ten delivered, then the link goes down with one batch in hand."""
    rig.put(*range(10))
    rig.run(5)
    rig.server.usual = DOWN
    rig.put(*range(10, 20))
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run(12)
    fields = health.line(rig.parts())
    assert {name: fields[name] for name in KEYS[:7]} == {
        "depth": 11,
        "critical": 1,
        "anomaly": 0,
        "telemetry": 10,
        "logs": 0,
        "oldest_s": 12,
        "retrying": 1,
    }
    assert (fields["link"], fields["link_s"], fields["next_try_s"]) == ("down", 12, 18)
    assert (fields["last_delivery_s"], fields["sent_today"]) == (17, 10)
    assert health.brief(fields) == "depth 11, link down, because_link_down"


def test_health_document_says_how_much_goes_into_a_request(rig: Rig) -> None:
    """As the link has taught it; and which quota keeps the rest back."""
    rig.configure(daily=Allowance(messages=5))
    rig.put(*range(8))
    rig.run(INTERVAL_S)
    rig.flusher.sizing.too_large(4, 3000)
    parts = rig.parts()
    fields = health.line(parts)
    assert fields["sent_bytes_month"] == len(rig.server.requests[0].body())
    assert health.document(fields, parts)["request"] == {
        "items": 2,
        "max_bytes": 1500,
        "quota_reached": "daily messages",
    }


def test_health_of_a_quiet_agent_leaves_out_what_there_is_not(rig: Rig) -> None:
    """Before the first request, and with nowhere to send to."""
    untried = health.line(rig.parts())
    assert (untried["link"], untried["link_s"], untried["next_try_s"]) == ("untried", None, None)
    assert health.line(rig.parts(sends=False))["link"] == "store_only"


def test_health_counts_a_sensor_with_any_fault_as_faulty(rig: Rig) -> None:
    """Its own, or a channel's that never had a reading."""
    lost = ScriptedSensor(SensorError("gone", reason="nack"))
    wild = ScriptedSensor([Measurement("t", float("nan"), "celsius")])
    parts = rig.parts(
        slot("well"),
        slot("lost", lost),
        slot("wild", wild, channels={"t": ChannelPlan("wild.t")}),
    )
    rig.clock.advance(10)
    parts.poller.step(rig.clock.monotonic())
    fields = health.line(parts)
    assert (fields["sensors_ok"], fields["faulty"]) == (1, "lost,wild.t")
    document = health.document(fields, parts)
    assert document["sensors"]["wild"]["faults"] == {"wild.t": "garbage"}
    assert document["sensors"]["lost"]["faults"] == {"lost": "nack"}
    assert document["sensors"]["well"]["last"]["well"]["value"] == 1.0
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("synchronized", [True, False])
def test_health_reading_marks_the_clock_as_every_reading_does(
    tmp_path: Path, synchronized: bool
) -> None:
    """``metadata.clock`` is there only where the clock is not right."""
    rig = Rig(tmp_path, FakeClock(synchronized=synchronized))
    parts = rig.parts()
    reading = health.reading(health.line(parts), parts)
    assert (reading.sensor_name, reading.value, reading.unit) == ("agent.queue", 0, "count")
    assert reading.metadata.get("clock") == (None if synchronized else "unsynced")
    assert "depth" not in reading.metadata
    assert None not in reading.metadata.values()
    rig.queue.close()


def test_health_document_says_since_when_a_sensor_is_faulty(rig: Rig) -> None:
    """In wall time; not of a fault that was there before the start, and no more once it is well."""
    door = ScriptedSensor(SensorError("gone", reason="nack"))
    began = rig.clock.wall()
    parts = rig.parts(slot("door", door), slot("gate"))
    parts.poller.intake.faults.restore({"gate": "nack"})
    rig.clock.advance(3600)
    sensors = health.document(health.line(parts), parts)["sensors"]
    assert sensors["gate"]["faulty_since"] == {}
    assert sensors["door"]["faulty_since"] == {"door": began}
    door.reads = [1.0]
    for _ in range(3):
        rig.clock.advance(3600)
        parts.poller.step(rig.clock.monotonic())
    assert health.document(health.line(parts), parts)["sensors"]["door"]["faulty_since"] == {}


def test_health_document_has_the_whole_sentence_of_a_fault(rig: Rig) -> None:
    """As the journal has it, while it goes on; a restart leaves the word alone."""
    door = ScriptedSensor(SensorError("no answer on i2c-1", reason="nack"))
    parts = rig.parts(slot("door", door), slot("gate"))
    parts.poller.intake.faults.restore({"gate": "nack"})
    rig.clock.advance(3600)
    sensors = health.document(health.line(parts), parts)["sensors"]
    assert sensors["door"]["details"] == {"door": "no answer on i2c-1"}
    assert sensors["gate"]["details"] == {}
    door.reads = [1.0]
    rig.clock.advance(3600)
    parts.poller.step(rig.clock.monotonic())
    assert health.document(health.line(parts), parts)["sensors"]["door"]["details"] == {}
    assert parts.poller.intake.details == {}


def test_health_of_a_new_start_says_when_something_was_delivered_last(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Three days offline and a power cut: that is when a person asks."""
    rig = Rig(tmp_path, clock)
    rig.put(1)
    rig.run(INTERVAL_S)
    assert rig.server.values == [1]
    rig.queue.close()
    again = Rig(tmp_path, clock)
    clock.advance(3600)
    assert health.line(again.parts())["last_delivery_s"] == 3600
    clock.step(-86_400)
    assert health.line(again.parts())["last_delivery_s"] is None
    again.queue.close()


def test_health_line_says_for_how_long_an_outage_still_fits(rig: Rig) -> None:
    """A row a second: in an hour the room has shrunk by about as much as was said."""
    parts = rig.parts()
    said = []
    for _ in range(10):
        rig.queue.enqueue_many([Submission({"value": "x" * 150})] * int(LOOK_EVERY_S))
        said.append(health.line(parts)["hours_left"])
        rig.clock.advance(LOOK_EVERY_S)
    left = rig.queue.bounds.vacancy().left_bytes
    assert said[0] is None
    assert said[-1] == int(left / rig.queue.row_bytes() / 3600) > 0


def test_health_line_counts_what_was_written_today(rig: Rig) -> None:
    """By this run; and left out where nobody can count."""
    parts = rig.parts()
    parts.run.wear = Wear(rig.queue.traffic, lambda: 4096)
    assert health.line(parts)["wear_bytes_today"] == 4096
    parts.run.wear = Wear(rig.queue.traffic, lambda: None)
    assert "wear_bytes_today" not in health.reading(health.line(parts), parts).metadata


def test_health_file_is_replaced_in_one_go_and_readable_by_all(tmp_path: Path) -> None:
    """``status`` may be asked by anybody."""
    path = tmp_path / "status.json"
    for number in range(2):
        health.write_atomically(path, f"{number}")
    assert path.read_text() == "1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]
