"""Which sensors are faulty, and the reading that tells the far end when that changes.

A fault never bears the sensor's name with a number that could be true: it travels as
``agent.sensor_fault``, 1 when it begins and 0 when it is over. A loose contact that comes and goes
would tell that all day long: a sensor that is faulty again soon after it was well has to be well
for longer each time before that is told. Its values are sent all the while.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from edge_agent.types import SensorReading

FAULT = "agent.sensor_fault"
#: says 1 when another probe measures than did before
REPLACED = "agent.sensor_replaced"

#: A sensor that was well for so long before it is faulty again is not flapping.
STEADY_S = 600.0
#: How long one that flaps must be well before it is told; twice as long each time.
FIRST_HOLD_S = 30.0
LONGEST_HOLD_S = STEADY_S


@dataclasses.dataclass(slots=True)
class _Past:
    """How a sensor did lately, in monotonic seconds."""

    failed_at: float = -math.inf
    recovered_at: float = -math.inf
    hold_s: float = 0.0


class FaultBook:
    """Remembers who is faulty and why; pure but for that memory."""

    def __init__(self) -> None:
        #: faulty names -> the reason it began with; replaced or changed by the owner's thread only
        self.faulty: dict[str, str] = {}
        self._past: dict[str, _Past] = {}

    def report(
        self, name: str, reason: str, now: float, *, timestamp: float, metadata: Mapping[str, Any]
    ) -> SensorReading | None:
        """Take note of how ``name`` is doing.

        Args:
            name: a sensor, or a channel's public name.
            reason: one word; empty while it is well.
            now: monotonic seconds.
            timestamp: Unix seconds.
            metadata: what else the reading is to carry.

        Returns:
            a reading if this is a change between well and faulty, else None.
        """
        if not (self._has_failed(name, now) if reason else self._is_well_again(name, now)):
            return None
        if reason:
            self.faulty[name] = reason
        else:
            reason = self.faulty.pop(name)
        value = int(name in self.faulty)
        return SensorReading(
            FAULT, timestamp, value, "", {**metadata, "sensor": name, "reason": reason}
        )

    def restore(self, faulty: Mapping[str, str]) -> None:
        """Know again who was faulty before a restart; what happened since counts for more."""
        self.faulty = {**faulty, **self.faulty}

    def forget(self, name: str) -> str:
        """Let go of a faulty name that nobody bears any more; returns why it was faulty."""
        self._past.pop(name, None)
        return self.faulty.pop(name)

    def _has_failed(self, name: str, now: float) -> bool:
        """Note the failure; whether it is news."""
        past = self._past.setdefault(name, _Past())
        past.failed_at = now
        if name in self.faulty:
            return False
        if now - past.recovered_at >= STEADY_S:
            past.hold_s = 0.0
        else:
            past.hold_s = min(max(2 * past.hold_s, FIRST_HOLD_S), LONGEST_HOLD_S)
        return True

    def _is_well_again(self, name: str, now: float) -> bool:
        """Note that it is well; whether it was not, and is well for long enough by now."""
        if name not in self.faulty:
            return False
        past = self._past.setdefault(name, _Past())
        if now < past.failed_at + past.hold_s:
            return False
        past.recovered_at = now
        return True
