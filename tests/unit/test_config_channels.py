"""Channels with options of their own, beside what every channel has; the driver is given them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.config.channels import Channel, Filters, Sensor
from edge_agent.config.loader import load
from edge_agent.errors import ConfigError
from edge_agent.options import options_of
from edge_agent.processing import filters
from edge_agent.processing.alarms import Alarm
from edge_agent.processing.anomaly import Anomaly
from edge_agent.processing.kinds import Margin
from edge_agent.processing.reporting import Report
from edge_agent.processing.valid import Valid
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


def test_channel_has_its_filters_and_all_the_rest(sensors: Sensors) -> None:
    """The example of the documentation: what is composed from it is just this."""
    (probe,) = sensors(
        "{name: temp, type: bme280, channels: {temperature: {"
        "filters: [{offset: -0.4}, {median: 5}, {median: {window_size: 3, send_every: 2}}, "
        "{calibrate_linear: ['2.8 -> 0', '1.2 -> 100']}, {round: 1}, {delta: 2%}], "
        "valid: {min: -40, max: 85}, report: {deadband: 0.2, heartbeat: 10min}, "
        "alarm: [{above: 8, hysteresis: 0.5, for: 30s, priority: anomaly}, {below: 0}], "
        "anomaly: {window: 60, deviation: 4}}, "
        "humidity: {report: {every: 1min, stats: [mean, count]}, alarm: {below: 20}, anomaly: {}}}}"
    )

    assert probe.channels["temperature"] == Channel(
        filters=(
            filters.Offset(-0.4),
            filters.Median(window_size=5),
            filters.Median(window_size=3, send_every=2),
            filters.CalibrateLinear(((2.8, 0.0), (1.2, 100.0))),
            filters.Round(1),
            filters.Delta(Margin(2, percent=True)),
        ),
        valid=Valid(-40, 85),
        report=Report(Margin(0.2), heartbeat_s=600.0),
        alarms=(
            Alarm(above=8.0, hysteresis=0.5, for_s=30.0, priority="anomaly"),
            Alarm(below=0.0),
        ),
        anomaly=Anomaly(60, 4.0),
    )
    assert probe.channels["humidity"] == Channel(
        report=Report(every_s=60.0, stats=("mean", "count")),
        alarms=(Alarm(below=20.0),),
        anomaly=Anomaly(),
    )
    assert probe.channels["pressure"] == Channel()


def test_channel_has_every_filter_by_its_name(sensors: Sensors) -> None:
    """All that are declared can be written."""
    written = {
        "offset": "1",
        "multiply": "2",
        "calibrate_linear": "{datapoints: ['0 -> 0', '1 -> 1'], method: exact}",
        "median": "3",
        "moving_average": "{}",
        "exponential_moving_average": "0.5",
        "clamp": "{min_value: 0}",
        "round": "0",
        "delta": "0.5",
        "throttle": "1min",
        "skip_initial": "3",
    }
    assert list(written) == [option.key for option in options_of(Filters)]

    items = ", ".join(f"{{{name}: {value}}}" for name, value in written.items())
    (probe,) = sensors(
        f"{{name: a, type: sht4x, channels: {{temperature: {{filters: [{items}]}}}}}}"
    )

    kinds = [type(one) for one in probe.channels["temperature"].filters]
    assert kinds == [option.kind.of for option in options_of(Filters)]


def test_point_from_the_environment_stays_out_of_messages(tmp_path: Path) -> None:
    """It may be a secret in the wrong place."""
    (tmp_path / "agent.yaml").write_text(
        "sensors:\n  - {name: a, type: i2c_register, address: 0x10, register: 1, unit: x,\n"
        "     filters: [{calibrate_linear: ['${KEY}', '${KEY}']}, {delta: '${KEY}'}]}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "agent.yaml", {"KEY": "sesame"})

    assert len(caught.value.problems) == 3
    assert "sesame" not in str(caught.value)


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
