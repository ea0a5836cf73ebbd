"""`sensors types`: every driver, as the declarations and its own docstring tell of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.drivers import DRIVERS
from jsonschema import Draft202012Validator

from edge_agent.cli.sensors.schemas import TYPES
from edge_agent.cli.sensors.types import gather, text_of
from edge_agent.config.sensors import Drivers
from edge_agent.errors import ConfigError
from edge_agent.options import options_of
from edge_agent.sensors import registry

WITH_BROKEN = Drivers(DRIVERS.find, lambda: ["broken", *DRIVERS.type_names()])


def one(name: str) -> dict[str, Any]:
    (told,) = gather([name])["types"]
    return told


@pytest.mark.parametrize("name", registry.type_names())
def test_types_tell_of_every_driver_all_that_there_is(name: str) -> None:
    """A summary, each option, and what it measures where that is known without its options."""
    told = one(name)
    driver = registry.find(name)
    keys = {option.key for option in options_of(driver.Options)}
    assert keys == {row["key"] for row in told["options"] if not row["key"].startswith("channels.")}
    assert told["summary"].endswith(".")
    assert [c["name"] for c in told["channels"]] == [
        c.name for c in getattr(driver, "channels", ())
    ] or (driver.ChannelOptions is not None)


@pytest.mark.parametrize("name", registry.type_names())
def test_types_of_chips_tell_the_wiring(name: str) -> None:
    """Whoever holds a board in his hand looks for this."""
    driver = registry.find(name)
    if driver.__module__.startswith("edge_agent.sensors.chips."):
        assert one(name)["wiring"]


def test_types_tell_channels_that_stand_in_no_class() -> None:
    """An ADS1115 measures all four inputs unless it is told which."""
    assert one("ads1115")["channels"] == [{"name": f"a{n}", "unit": "volt"} for n in range(4)]
    assert {row["key"] for row in one("ads1115")["options"]} >= {"channels.NAME.gain"}


def test_types_named_are_told_in_that_order() -> None:
    """And no others."""
    assert [t["type"] for t in gather(["system", "bme280"])["types"]] == ["system", "bme280"]


def test_types_list_a_broken_plugin_with_its_reason() -> None:
    """The others are of use all the same."""
    told = gather(drivers=WITH_BROKEN)
    assert [(t["type"], t["broken"] is None) for t in told["types"]] == [
        ("broken", False),
        ("chip", True),
        ("probe", True),
    ]
    assert text_of(told).startswith(
        "broken\n  broken: the sensor type 'broken' cannot be used; remove it\n\nchip\n"
    )


def test_types_named_and_broken_is_an_error() -> None:
    """Who asks for one wants that one."""
    with pytest.raises(ConfigError, match="cannot be used; remove it"):
        gather(["broken"], WITH_BROKEN)


def test_types_unknown_is_an_error_with_a_suggestion() -> None:
    """As everywhere."""
    with pytest.raises(ConfigError, match=r"'bme28' is no type of sensor \(did you mean 'bme280'"):
        gather(["bme28"])


def test_types_text_is_what_a_person_needs() -> None:
    """Required options say so, and defaults stand as they would be written."""
    assert text_of(gather(["probe"], DRIVERS)).splitlines()[1:] == [
        "  Two drivers without hardware, for tests of what stands around drivers.",
        "  Measures: as its options say.",
        "    pin: required  # a whole number: from 0 to 27",
        "        The pin.",
        "    settle: 100ms  # a duration",
        "        How long to wait.",
    ]


def test_types_json_keeps_to_its_schema() -> None:
    """Written and read, as a program gets it."""
    Draft202012Validator.check_schema(TYPES)
    Draft202012Validator(TYPES).validate(json.loads(json.dumps(gather())))
    Draft202012Validator(TYPES).validate(gather(drivers=WITH_BROKEN))
