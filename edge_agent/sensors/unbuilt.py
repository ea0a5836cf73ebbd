"""What stands for a sensor whose driver could not be built: a fault at each turn, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor
from edge_agent.types import Measurement


class Unbuilt(Sensor):
    """Says why there is no sensor. The others go on, and the far end is told."""

    Options = object
    channels = ()
    bus_name = "unbuilt"

    def __init__(self, options: Any, surroundings: Any, why: str = "") -> None:
        del options, surroundings
        self._why = why

    def trigger(self) -> float:
        """Never starts anything.

        Raises:
            SensorError: ``driver``, always.
        """
        raise SensorError(self._why, reason="driver")

    def read(self) -> Sequence[Measurement]:
        """Nothing; it is never called."""
        return []

    def close(self) -> None:
        """Nothing to let go of."""
