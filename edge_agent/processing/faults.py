"""Which sensors are faulty, and the reading that tells the far end when that changes.

A fault never bears the sensor's name with a number that could be true: it travels as
``agent.sensor_fault``, 1 when it begins and 0 when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.types import SensorReading

FAULT = "agent.sensor_fault"
#: says 1 when another probe measures than did before
REPLACED = "agent.sensor_replaced"


class FaultBook:
    """Remembers who is faulty and why; pure but for that memory."""

    def __init__(self) -> None:
        #: faulty names -> the reason it began with
        self.faulty: dict[str, str] = {}

    def report(
        self, name: str, reason: str, *, timestamp: float, metadata: Mapping[str, Any]
    ) -> SensorReading | None:
        """Take note of how ``name`` is doing.

        Args:
            name: a sensor, or a channel's public name.
            reason: one word; empty while it is well.
            timestamp: Unix seconds.
            metadata: what else the reading is to carry.

        Returns:
            a reading if this is a change between well and faulty, else None.
        """
        if bool(reason) == (name in self.faulty):
            return None
        if reason:
            self.faulty[name] = reason
        else:
            reason = self.faulty.pop(name)
        value = int(name in self.faulty)
        return SensorReading(
            FAULT, timestamp, value, "", {**metadata, "sensor": name, "reason": reason}
        )
