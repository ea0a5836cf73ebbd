"""What one channel's values go through: filters, range, alarms, anomaly, report, in this order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.processing.alarms import Alarm, Alarms, Transition
from edge_agent.processing.anomaly import Anomaly, AnomalyWatch
from edge_agent.processing.filters import Chain, Filter
from edge_agent.processing.numbers import tidy, to_millisecond
from edge_agent.processing.reporting import Report, Reporter
from edge_agent.processing.valid import Valid
from edge_agent.types import Measurement, Priority, SensorReading, Value


@dataclasses.dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What becomes of one channel's values."""

    #: ``sensor_name`` on the wire
    public_name: str
    filters: Sequence[Filter] = ()
    valid: Valid = dataclasses.field(default_factory=Valid)
    report: Report = dataclasses.field(default_factory=Report)
    alarms: Sequence[Alarm] = ()
    anomaly: Anomaly | None = None
    #: seconds between two measurements
    interval_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Quality:
    """Whether a channel's value is to be believed."""

    #: the channel's public name
    name: str
    #: one word if it is not
    fault: str = ""
    #: the same in a sentence
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Outgoing:
    """A reading that is to be sent."""

    reading: SensorReading
    priority: Priority = Priority.TELEMETRY


#: What comes of a measurement, in this order: the quality first.
Shaped = Quality | Outgoing


class ChannelLine:
    """One channel at work. Not for two threads at once."""

    def __init__(self, plan: ChannelPlan) -> None:
        """``plan``: as configured; nothing is remembered yet."""
        self.name = plan.public_name
        #: whether there is something to be known again after a restart
        self.keeps_state = bool(plan.alarms) or plan.report.deadband is not None
        self._valid = plan.valid
        self._chain = Chain(plan.filters)
        self._alarms = Alarms(plan.alarms)
        self._anomaly = AnomalyWatch(plan.anomaly) if plan.anomaly else None
        self._reporter = Reporter(plan.report, plan.interval_s)
        #: the last good one, for an alarm that the clock enters
        self._last: SensorReading | None = None
        self._now = -math.inf

    def take(
        self, measured: Measurement, timestamp: float, metadata: Mapping[str, Any], now: float
    ) -> list[Shaped]:
        """Take in a measurement.

        Args:
            measured: what the driver said.
            timestamp: when it was measured, Unix seconds.
            metadata: of its readings, the clock's mark among it.
            now: when it was measured, monotonic seconds.
        """
        # What happened before an earlier call was over is told late, but in order.
        now = self._now = max(now, self._now)
        fault, detail = measured.fault, measured.detail
        value: Value | None = None
        if not fault:
            value, fault, detail = self._believed(measured, now)
        if fault:
            return [Quality(self.name, fault, detail), *self.fail(now)]
        if value is None:
            return [Quality(self.name)]
        self._last = SensorReading(self.name, timestamp, value, measured.unit, metadata)
        return [Quality(self.name), *self._told(self._last, now)]

    def fail(self, now: float) -> list[Outgoing]:
        """Nothing, or nothing to be believed, was measured: what is known is no longer current."""
        self._chain.reset()
        self._alarms.fault()
        return [Outgoing(reading) for reading in self._reporter.fault(now)]

    def close(self, now: float) -> list[Outgoing]:
        """Tell what would be forgotten at a stop: the open window."""
        return [Outgoing(reading) for reading in self._reporter.close(now)]

    def due(self) -> float:
        """Monotonic seconds at which `tick` is to be called; infinity where it need not be."""
        return min(self._alarms.due(), self._reporter.due())

    def tick(self, now: float, wall: float, mark: Mapping[str, Any]) -> list[Outgoing]:
        """What the clock alone brings about: alarms are entered, windows close.

        Args:
            now: monotonic seconds.
            wall: Unix seconds.
            mark: the clock's mark, as metadata.
        """
        told = [Outgoing(reading) for reading in self._reporter.tick(now)]
        changes = self._alarms.tick(now)
        if self._last is None or not changes:
            return told
        unmarked = {key: kept for key, kept in self._last.metadata.items() if key != "clock"}
        still = dataclasses.replace(
            self._last, timestamp=to_millisecond(wall), metadata={**unmarked, **mark}
        )
        self._reporter.note(still, now)
        return told + [_alarm(still, change, {}) for change in changes]

    def state(self) -> Any:
        """What is to be known again after a restart, JSON-representable."""
        return {"alarms": self._alarms.state(), "report": self._reporter.state()}

    def restore(self, state: Any, now: float, wall: float) -> None:
        """Know again what `state` returned before a restart; what it cannot have is passed over."""
        if isinstance(state, dict):
            # Also where nothing of it is configured any more: it is to be known that it is over.
            self.keeps_state = True
            self._alarms.restore(state.get("alarms"))
            self._reporter.restore(state.get("report"), now, wall)

    def _believed(self, measured: Measurement, now: float) -> tuple[Value | None, str, str]:
        """The value after the filters, None where they hold it back; or a fault and its detail."""
        if not _is_value(measured.value):
            return None, "garbage", f"{type(measured.value).__name__} is no type of value"
        value = self._chain.step(measured.value, now)
        if isinstance(value, float) and math.isnan(value):
            return None, "garbage", "the value, or what the filters make of it, is no number"
        if value is not None and not self._valid.holds(value):
            detail = f"{value} {measured.unit} is outside what was declared valid, {self._valid}"
            return None, "range", detail
        return tidy(value) if isinstance(value, float) else value, "", ""

    def _told(self, reading: SensorReading, now: float) -> list[Outgoing]:
        """What is sent of a good reading: once, however many want it sent."""
        score = self._anomaly.take(reading.value) if self._anomaly else None
        marks = {} if score is None else {"score": score}
        changes = self._alarms.take(reading.value, now)
        # An alarm that the clock entered bears the value before: then this one is still news.
        bear_it = [change.value == reading.value for change in changes]
        urgent = [
            _alarm(reading, change, marks if bears_it else {})
            for change, bears_it in zip(changes, bear_it, strict=True)
        ]
        if marks and not any(bear_it):
            scored = dataclasses.replace(reading, metadata={**reading.metadata, **marks})
            urgent.append(Outgoing(scored, Priority.ANOMALY))
        usual = self._reporter.take(reading, now, queued=bool(marks) or any(bear_it))
        return [*urgent, *map(Outgoing, usual)]


def _alarm(reading: SensorReading, change: Transition, marks: Mapping[str, Any]) -> Outgoing:
    """The reading that tells of an alarm."""
    metadata = {**reading.metadata, **marks, **change.metadata()}
    told = dataclasses.replace(reading, value=change.value, metadata=metadata)
    return Outgoing(told, change.priority)


def _is_value(value: object) -> bool:
    """A third party's driver may return anything."""
    return isinstance(value, bool | int | float | str)
