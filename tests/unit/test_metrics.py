"""The agent's numbers as a Prometheus text file, read back by a strict parser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fakes import exposition
from fakes.clock import FakeClock
from fakes.rig import Rig
from fakes.sensors import ScriptedSensor, slot
from fakes.server import DOWN

from edge_agent.daemon import health, metrics
from edge_agent.daemon.runs import ENDS
from edge_agent.errors import SensorError
from edge_agent.types import Priority

AWKWARD = 'a "quoted" back\\slash\nand more'


def document(parts: health.Parts) -> dict[str, Any]:
    """As it stands in the status file."""
    status: dict[str, Any] = json.loads(json.dumps(health.document(health.line(parts), parts)))
    return status


def read(status: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Samples by label value, by the metric's name."""
    families = exposition.parse(metrics.exposition(status))
    return {name: family.samples for name, family in families.items()}


def test_metrics_say_what_the_status_says(rig: Rig) -> None:
    """An outage with a sensor that is gone."""
    rig.put(*range(10))
    rig.run(5)
    rig.server.usual = DOWN
    rig.put(*range(10, 20))
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run(12)
    parts = rig.parts(slot("well"), slot("lost", ScriptedSensor(SensorError("gone"))))
    rig.clock.advance(10)
    parts.poller.step(rig.clock.monotonic())
    said = read(document(parts))
    assert said["pyvorin_queue_rows"]["critical"] == 1
    assert said["pyvorin_delivered_total"] == {"": 10}
    assert {state for state, on in said["pyvorin_link_state"].items() if on} == {"down"}
    assert said["pyvorin_link_state_seconds"] == {"": 22}
    assert said["pyvorin_sensor_well"] == {"well": 1, "lost": 0}
    assert list(said["pyvorin_sensor_last_reading_timestamp_seconds"]) == ["well"]
    assert said["pyvorin_status_timestamp_seconds"] == {"": rig.clock.wall()}


def test_metrics_labels_are_the_few_that_are_promised(rig: Rig) -> None:
    """More of them would make more series; and a name carries its unit or what it counts."""
    families = exposition.parse(metrics.exposition(document(rig.parts(slot("well")))))
    assert {family.label for family in families.values()} == {"", "priority", "sensor", "state"}
    unit = re.compile(
        r"pyvorin_\w+_(bytes|seconds|total|rows)"
        r"|pyvorin_(link_state|clock_synchronized|config_current|sensor_(well|failures)|previous_run_end)"
    )
    assert [name for name in families if not unit.fullmatch(name)] == []


def test_metrics_of_what_nobody_knows_have_no_sample(rig: Rig) -> None:
    """A 0 would be a lie, and a file with `None` in it is refused as a whole."""
    said = read(document(rig.parts(sends=False)))
    for name in ("queue_left_seconds", "last_delivery_seconds", "link_next_try_seconds"):
        assert said[f"pyvorin_{name}"] == {}
    assert said["pyvorin_link_state"]["store_only"] == 1


def test_metrics_hours_that_fit_are_told_in_seconds(rig: Rig) -> None:
    """Base units, as everybody's dashboards expect."""
    status = document(rig.parts())
    status["health"]["hours_left"] = 3
    assert read(status)["pyvorin_queue_left_seconds"] == {"": 10_800}


def test_metrics_of_a_backlog_that_drains_say_until_when(rig: Rig) -> None:
    """Absent while it grows."""
    status = document(rig.parts())
    assert read(status)["pyvorin_queue_drain_seconds"] == {}
    status["drain_s"] = 90
    assert read(status)["pyvorin_queue_drain_seconds"] == {"": 90}


def test_metrics_count_the_bytes_of_the_day(rig: Rig) -> None:
    """Failed attempts too: the link's owner charges for them."""
    rig.put(*range(10))
    rig.run(5)
    assert read(document(rig.parts()))["pyvorin_sent_today_bytes"] == {"": rig.server.sent_bytes}


@pytest.mark.parametrize("ended", ENDS)
def test_metrics_say_how_the_run_before_ended(rig: Rig, ended: str) -> None:
    """For an alarm on watchdogs and power cuts; nothing on the first run of all."""
    status = document(rig.parts())
    assert read(status)["pyvorin_previous_run_end"] == {}
    status["previous_run"] = {"ended": ended}
    said = read(status)["pyvorin_previous_run_end"]
    assert {end for end, on in said.items() if on} == {ended}


def test_metrics_count_the_faults_of_each_sensor(rig: Rig) -> None:
    """Also those that are over."""
    lost = ScriptedSensor(SensorError("gone"), 1.0)
    parts = rig.parts(slot("well"), slot("lost", lost))
    rig.clock.advance(10)
    parts.poller.step(rig.clock.monotonic())
    assert read(document(parts))["pyvorin_sensor_faults_total"] == {"well": 0, "lost": 1}


def test_metrics_label_values_are_escaped(rig: Rig) -> None:
    """A sensor may be called anything, and must not forge a line."""
    assert read(document(rig.parts(slot(AWKWARD))))["pyvorin_sensor_well"] == {AWKWARD: 1}


def test_metrics_counters_of_the_ledger_go_on_over_a_restart(
    tmp_path: Path, clock: FakeClock
) -> None:
    """So that a rate over a restart is right."""
    before = Rig(tmp_path, clock)
    before.put(*range(30))
    before.run_until_empty()
    first = read(document(before.parts()))
    before.queue.close()
    after = Rig(tmp_path, clock)
    again = read(document(after.parts()))
    after.queue.close()
    assert first["pyvorin_delivered_total"] == {"": 30}
    counted = [f"pyvorin_{name}_total" for name in ("enqueued", "delivered", "expired", "shed")]
    assert [again[name] for name in counted] == [first[name] for name in counted]


def test_metrics_dead_letters_are_no_counter(rig: Rig) -> None:
    """Replayed, they are fewer: a counter that falls reads as a restart."""
    rig.put(*range(3))
    rig.queue.dead_letter([1, 2], "HTTP 400")
    assert read(document(rig.parts()))["pyvorin_dead_rows"] == {"": 2}
    rig.queue.restore([1])
    assert read(document(rig.parts()))["pyvorin_dead_rows"] == {"": 1}


@pytest.mark.parametrize(
    "broken",
    [
        "# HELP a A.\n# TYPE a gauge\na 1",
        "a 1\n",
        "# HELP a A.\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na None\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        '# HELP a A.\n# TYPE a gauge\na{b="c"d"} 1\n',
        "# HELP a A.\n# TYPE a gauge\n# HELP b B.\n# TYPE b gauge\na 1\n",
    ],
)
def test_metrics_parser_refuses_what_is_not_the_format(broken: str) -> None:
    """Else it would show nothing."""
    with pytest.raises(ValueError):  # noqa: PT011  # whichever it is
        exposition.parse(broken)
