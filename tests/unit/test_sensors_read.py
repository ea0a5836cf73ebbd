"""`sensors read`: which sensors, a running agent's last readings, and the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge_agent.cli.sensors.once import Outcome
from edge_agent.cli.sensors.read import chosen, gather, last_read, text_of
from edge_agent.cli.sensors.schemas import READ
from edge_agent.config.loader import Loaded
from edge_agent.errors import ConfigError
from edge_agent.processing.privacy import Shield
from edge_agent.types import SensorReading

READING = SensorReading("room.temperature", 1_000.0, 21.5, "celsius", {"zone": "A"})
STATUS = {
    "room": {"last": {"room.temperature": READING.to_dict()}, "faults": {}},
    "fridge": {"last": {}, "faults": {"fridge": "absent"}},
    "new": {"last": {}, "faults": {}},
}


@pytest.fixture
def sensors(load_text: Callable[..., Loaded]) -> Any:
    text = "sensors: [{name: room, type: chip}, {name: fridge, type: probe, pin: 4},"
    return load_text(f"{text} {{name: new, type: chip, address: 0x77}}]\n").config.sensors


def names(outcomes: Any) -> list[str]:
    return [outcome.name for outcome in outcomes]


def test_read_chooses_all_sensors_or_those_named(sensors: Any) -> None:
    """In the order given, each once."""
    assert names(chosen(sensors, [])) == ["room", "fridge", "new"]
    assert names(chosen(sensors, ["new", "room", "new"])) == ["new", "room"]


def test_read_of_an_unknown_name_is_an_error_with_a_suggestion(sensors: Any) -> None:
    """As everywhere."""
    with pytest.raises(ConfigError, match=r"'frigde' is no sensor .* \(did you mean 'fridge'\?\)"):
        chosen(sensors, ["frigde"])


def test_read_beside_an_agent_tells_what_it_read_last(sensors: Any) -> None:
    """Readings and faults as they stand in the status; one it has not read yet has neither."""
    room, fridge, new = last_read(sensors, STATUS)
    assert room == Outcome("room", [READING])
    assert fridge == Outcome("fridge", [], {"fridge": "absent"})
    assert new == Outcome("new", [])


def test_read_beside_an_agent_that_does_not_know_a_sensor_says_what_to_do(sensors: Any) -> None:
    """The file was changed, and nobody has reloaded it."""
    (room,) = last_read(chosen(sensors, ["room"]), {})
    assert room.faults == {"room": "the running agent does not know it; reload the configuration"}


def test_read_table_shows_age_beside_an_agent_only(sensors: Any) -> None:
    """Right after a reading, its age would say nothing."""
    told = last_read(sensors, STATUS)
    assert text_of(gather(told, 1_003.4, running=True, shield=Shield())) == (
        "SENSOR            VALUE  UNIT     AGE\n"
        "room.temperature  21.5   celsius  3 s\n"
        "fridge            failed: absent (it is not there: check its wiring)\n"
        "new               not read yet\n"
    )
    assert text_of(gather(told[:1], 1_003.4, running=False, shield=Shield())) == (
        "SENSOR            VALUE  UNIT\nroom.temperature  21.5   celsius\n"
    )


def test_read_table_keeps_a_fault_in_its_line() -> None:
    """A plugin may say anything."""
    told = [Outcome("probe", [], {"probe": "two\nlines\x1b[2J"})]
    assert text_of(gather(told, 0.0, running=False, shield=Shield())).splitlines() == [
        "SENSOR  VALUE  UNIT",
        "probe   failed: two?lines?[2J",
    ]


def test_read_json_keeps_to_its_schema(sensors: Any) -> None:
    """Written and read, as a program gets it; no age is negative, whatever the clock does."""
    Draft202012Validator.check_schema(READ)
    facts = json.loads(
        json.dumps(gather(last_read(sensors, STATUS), 900.0, running=True, shield=Shield()))
    )
    Draft202012Validator(READ).validate(facts)
    assert facts["sensors"][0]["readings"][0]["age_s"] == 0.0
