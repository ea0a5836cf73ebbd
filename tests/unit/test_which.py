"""Which rows go: by sensor and by field, however they say it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.cloud_sync import which
from edge_agent.cloud_sync.gaps import Gap
from edge_agent.cloud_sync.which import Candidate


def reading(sensor: str, /, **metadata: Any) -> dict[str, Any]:
    return {
        "sensor_name": sensor,
        "timestamp": 1.0,
        "value": 2.0,
        "unit": "celsius",
        "metadata": metadata,
    }


def candidate(payload: Any, created_at: float = 0.0, *, expired: bool = False) -> Candidate:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return Candidate(1, text, created_at, expired)


@pytest.mark.parametrize(
    ("payload", "goes"),
    [
        (reading("fridge"), True),
        (reading("fridge.temperature"), True),
        (reading("fridge2"), False),
        (reading("old.fridge"), False),
        (reading("freezer", note="beside the fridge"), False),
        (reading("agent.gap", sensor="fridge", why="shed"), True),
        (reading("agent.sensor_fault", sensor="fridge.temperature"), True),
        (reading("agent.queue", faulty="door,fridge"), True),
        (reading("agent.queue", faulty="fridge-2,my-fridge"), False),
        ({"free": "form"}, False),
        ({"about": "fridge"}, True),
        ('{"sensor_name":"fridge', True),
        ("{", False),
        ('["fridge"]', True),
    ],
)
def test_which_of_sensor_takes_its_readings_and_what_the_agent_says_of_it(
    payload: Any, goes: bool
) -> None:
    """Channels too; another sensor that merely has the name in its own does not."""
    assert which.of_sensor("fridge").takes(candidate(payload)) is goes


def test_which_of_sensor_knows_the_name_however_it_was_escaped() -> None:
    """In a payload, in a state, and in a line of the journal."""
    kuehl = which.of_sensor("Kühl")

    assert kuehl.takes(candidate(reading("Kühl.t")))
    assert kuehl.takes_note('alarm {"sensor": "K\\u00fchl"}')
    assert kuehl.takes_note("sensor_fault sensor=K\\xfchl")
    assert kuehl.takes_gap(Gap("Kühl", "shed", 1, 0.0, 0.0))
    assert not kuehl.takes_note("sensor_fault sensor=Kuhl")


@pytest.mark.parametrize(
    ("path", "value", "goes"),
    [
        ("metadata.badge_id", "17", True),
        ("metadata.badge_id", "1", False),
        ("metadata.text", "17", True),
        ("metadata.flag", "true", True),
        ("metadata.flag", "1", False),
        ("metadata.one", "true", False),
        ("metadata.none", "null", True),
        ("metadata.list.1.x", "y", True),
        ("metadata.list.7", "y", False),
        ("metadata.badge_id.deeper", "17", False),
        ("nowhere", "17", False),
        ("nowhere", "null", False),
        ("value", "2", True),
    ],
)
def test_which_matching_compares_as_typed(path: str, value: str, goes: bool) -> None:
    """17 is the number and the text; true is no 1."""
    payload = reading(
        "door", badge_id=17, text="17", flag=True, one=1, none=None, list=[0, {"x": "y"}]
    )
    assert which.matching(path, value).takes(candidate(payload)) is goes


@pytest.mark.parametrize(("make", "argument"), [("of_sensor", ""), ("matching", "metadata..x")])
def test_which_without_a_name_is_refused(make: str, argument: str) -> None:
    """An empty name would take everything, or nothing."""
    with pytest.raises(ValueError, match="empty"):
        getattr(which, make)(*([argument, "17"] if make == "matching" else [argument]))
