"""What is queued: each kind of payload that upkeep treats in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.cloud_sync.gaps import GAP_READING, Gap
from edge_agent.types import SensorReading, Submission

KINDS = ("number", "contact", "alarm", "window", "foreign")


def payload(kind: str, name: str, at: float, *, pad: str, **stamp: str) -> dict[str, Any]:
    """A payload of one of `KINDS`, made at ``at`` and no smaller than its pad."""
    if kind == "foreign":
        return {"x": pad}
    more: dict[str, Mapping[str, Any]] = {
        "alarm": {"alarm": "high"},
        "window": {"from": at - 60.0, "to": at},
    }
    value, unit = (True, "") if kind == "contact" else (1.5, "celsius")
    metadata = {"pad": pad, **stamp, **more.get(kind, {})}
    return SensorReading(name, at, value, unit, metadata).to_dict()


def gap_reading(gap: Gap, at: float) -> Submission:
    """What the far end is told of readings that it will not see."""
    metadata = {"sensor": gap.sensor, "why": gap.why, "from": gap.from_time, "to": gap.to_time}
    return Submission(SensorReading(GAP_READING, at, gap.items, "count", metadata).to_dict())
