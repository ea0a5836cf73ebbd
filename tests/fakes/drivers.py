"""Two drivers without hardware, for tests of what stands around drivers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.config.sensors import Drivers
from edge_agent.errors import ConfigError
from edge_agent.options import Duration, Whole, option
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement


@dataclasses.dataclass(frozen=True)
class ChipOptions:
    bus: int = option(Whole(0, 9), 1, help="The bus.")
    address: int = option(Whole(0x76, 0x77, hexadecimal=True), 0x76, help="The address.")


@dataclasses.dataclass(frozen=True)
class ProbeOptions:
    pin: int = option(Whole(0, 27), help="The pin.")
    settle_s: float = option(Duration(), 0.1, help="How long to wait.")


class Chip(Sensor):
    Options = ChipOptions

    def __init__(self, options: Any, surroundings: Any) -> None: ...

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        del options
        return ("temperature", "humidity")

    def trigger(self) -> float:
        return 0.0

    def read(self) -> Sequence[Measurement]:
        return ()

    def close(self) -> None: ...


class Probe(Chip):
    Options = ProbeOptions

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        del options
        return ("",)


TYPES: Mapping[str, type[Sensor]] = {"chip": Chip, "probe": Probe}


def _find(name: str) -> type[Sensor]:
    if name == "broken":
        raise ConfigError("the sensor type 'broken' cannot be used; remove it")
    return TYPES[name]


DRIVERS = Drivers(_find, lambda: sorted(TYPES))
