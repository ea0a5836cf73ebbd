"""Drivers that play a script where hardware would be: the genuine one's channels and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from edge_agent.config.model import Config
from edge_agent.errors import SensorError
from edge_agent.sensors import registry
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.types import Measurement, Value

#: What a sensor shows so many seconds after the start: a value by channel, or why there is none.
Script = Callable[[float], Mapping[str, Value] | SensorError]


class Played(Sensor):
    """Stands where a genuine driver would."""

    def __init__(self, genuine: Sensor, script: Script, surroundings: Surroundings) -> None:
        self.bus_name = genuine.bus_name
        self.channels = genuine.channels
        self._script = script
        self._surroundings = surroundings
        self._monotonic = surroundings.monotonic
        self._started = surroundings.monotonic()

    def trigger(self) -> float:
        return 0.0

    def read(self) -> Sequence[Measurement]:
        said = self._script(self._monotonic() - self._started)
        if isinstance(said, SensorError):
            raise said
        return [
            Measurement(channel.name, said[channel.name], channel.unit)
            for channel in self.channels
            if channel.name in said
        ]

    def announce(self) -> None:
        """Say that there is something to be read now, as a pin's edge does."""
        self._surroundings.announce(self)

    def close(self) -> None: ...


def play(
    monkeypatch: pytest.MonkeyPatch, config: Config, scripts: Mapping[str, Script]
) -> Mapping[str, Played]:
    """Have sensors of this configuration, by name, play their scripts; each needs one.

    Returns:
        the drivers that play, by name, once an agent is built.
    """
    names = {id(sensor.options): sensor.name for sensor in config.sensors}
    assert set(names.values()) == scripts.keys()
    genuine = registry.find
    playing: dict[str, Played] = {}

    def find(type_name: str) -> Any:
        def build(options: Any, surroundings: Surroundings) -> Sensor:
            driver, name = genuine(type_name)(options, surroundings), names[id(options)]
            playing[name] = Played(driver, scripts[name], surroundings)
            return playing[name]

        return build

    monkeypatch.setattr(registry, "find", find)
    return playing
