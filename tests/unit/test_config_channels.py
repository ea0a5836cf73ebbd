"""Channels with options of their own, beside what every channel has; the driver is given them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.config.channels import Sensor
from edge_agent.config.loader import load
from edge_agent.errors import ConfigError
from edge_agent.sensors.chips.ads1115 import Ads1115Options, inputs_of

Sensors = Callable[[str], tuple[Sensor, ...]]


@pytest.fixture
def sensors(tmp_path: Path) -> Sensors:
    """The sensors of a text, with our own drivers."""

    def load_them(text: str) -> tuple[Sensor, ...]:
        (tmp_path / "agent.yaml").write_text(f"sensors:\n  - {text}\n", encoding="utf-8")
        return load(tmp_path / "agent.yaml", {}).config.sensors

    return load_them


def test_channel_options_reach_the_driver_and_the_rest_the_channel(sensors: Sensors) -> None:
    """The example of the documentation: one input, its range, its unit, its name."""
    (soil,) = sensors(
        "{name: soil, type: ads1115, channels: {a0: {unit: percent, gain: 2.048, name: wet, "
        "valid: {min: 0}}, a2: }}"
    )

    assert isinstance(soil.options, Ads1115Options)
    assert soil.options.channels["a0"].gain == 2.048
    assert soil.options.channels["a0"].unit == "percent"
    assert soil.options.channels["a2"].unit == "volt"
    assert [soil.public_name(channel) for channel in soil.channels] == ["wet", "soil.a2"]
    assert soil.channels["a0"].valid.min == 0


def test_channels_that_are_not_written_are_all_of_them(sensors: Sensors) -> None:
    """A sensor works without a word about its channels."""
    (soil,) = sensors("{name: soil, type: ads1115}")

    assert list(soil.channels) == ["a0", "a1", "a2", "a3"]
    assert inputs_of(soil.options) == tuple(soil.channels)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("channels: {a0: {gian: 1.024}}", "sensors.s.channels.a0.gian: is unknown (did you"),
        ("channels: {a0: {gain: 5}}", "sensors.s.channels.a0.gain: 5 is not one of 6.144"),
        ("channels: {b0: {gain: 1.024}}", "sensors.s.channels.b0: is unknown"),
        ("rate: 8, channels: {a0: , a1: }", "sensors.s.rate: is too slow for 2 inputs"),
    ],
)
def test_mistake_in_a_channel_has_its_place(sensors: Sensors, written: str, problem: str) -> None:
    """In the channel's options, in its name, and in what does not fit the channels."""
    with pytest.raises(ConfigError) as caught:
        sensors(f"{{name: s, type: ads1115, {written}}}")

    (found,) = caught.value.problems
    place, _, sentence = found.partition(": ")
    assert "agent.yaml:2:" in place
    assert sentence.startswith(problem)
