"""The vocabulary: what travels down the corridor, as frozen records.

Imports nothing of ours. Every field names its unit.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any

#: What a sensor can say: a finite number, a switch or a word.
Value = float | int | bool | str

#: A time to live for what must never expire: a thousand years, so that SQL needs no special case.
NEVER_S = 1_000 * 365 * 86_400


class Priority(enum.IntEnum):
    """Which reading goes first. A lower value is a higher priority.

    An ``IntEnum``, so that ``priority >= Priority.LOGS`` means what it says.
    """

    CRITICAL = 1
    ANOMALY = 2
    TELEMETRY = 3
    LOGS = 4

    @property
    def word(self) -> str:
        """The lower-case name used in YAML, journal and status."""
        return self.name.lower()


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """What a driver returns: a value that has neither a public name nor a wall-clock time yet."""

    #: the driver's channel (``temperature``), or ``""`` where a sensor has just one
    channel: str
    #: finite number, bool or word, in ``unit``
    value: Value
    #: a word such as ``celsius``
    unit: str
    #: Unix seconds when it was measured, or None: the reader stamps it as it returns
    timestamp: float | None = None
    #: what the driver knows besides (a probe's id, as ``probe_id``)
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    #: how many seconds ago it was measured, where there is no ``timestamp``; a driver needs no
    #: wall clock for what a pin did before it was asked
    age_s: float = 0.0
    #: one word if this channel alone failed (``saturated``): ``value`` is then not looked at
    fault: str = ""
    #: what is wrong then and what to do, in a sentence
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SensorReading:
    """One value of one sensor at one time, as it goes over the wire.

    Raises:
        ValueError: the name is empty, or ``value`` or ``timestamp`` is no finite number.
    """

    #: public name, ``temp.cold_chain``
    sensor_name: str
    #: Unix seconds when it was measured
    timestamp: float
    #: finite float, int, bool or str, in ``unit``
    value: Value
    #: a word: ``celsius``, ``percent``, ``count``
    unit: str = ""
    #: labels and what the sensor adds
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sensor_name:
            raise ValueError("sensor_name is empty; a reading needs the name of its sensor")
        if not math.isfinite(self.timestamp):
            raise ValueError(
                f"timestamp of {self.sensor_name} is {self.timestamp}; Unix seconds are finite"
            )
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError(
                f"value of {self.sensor_name} is {self.value}; a reading is a finite number"
            )

    def to_dict(self) -> dict[str, Any]:
        """The reading as a JSON-representable dictionary, keys in the order of the wire."""
        return {
            "sensor_name": self.sensor_name,
            "timestamp": self.timestamp,
            "value": self.value,
            "unit": self.unit,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> SensorReading:
        """The reading that ``to_dict`` wrote.

        Raises:
            KeyError: ``sensor_name``, ``timestamp`` or ``value`` is absent.
            ValueError: as the constructor.
        """
        return cls(
            sensor_name=d["sensor_name"],
            timestamp=float(d["timestamp"]),
            value=d["value"],
            unit=d.get("unit", ""),
            metadata=dict(d.get("metadata", {})),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Submission:
    """What processing hands to the queue: a payload, how urgent it is and how long it keeps."""

    #: JSON-representable dictionary
    payload: Mapping[str, Any]
    priority: Priority = Priority.TELEMETRY
    #: seconds after which it may be dropped unsent; `NEVER_S` for never
    ttl_s: int = 86_400
