"""One channel from measurement to readings: the order of its parts, and what each leaves over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.processing.alarms import Alarm
from edge_agent.processing.anomaly import Anomaly
from edge_agent.processing.channel import ChannelLine, ChannelPlan, Outgoing, Quality
from edge_agent.processing.filters import Median, Offset, SkipInitial
from edge_agent.processing.kinds import Margin
from edge_agent.processing.reporting import Report
from edge_agent.processing.valid import Valid
from edge_agent.types import Measurement, Priority

EPOCH = 1_750_000_020.0


class Track:
    """A channel that is measured every ten seconds."""

    def __init__(self, **plan: Any) -> None:
        self.plan = ChannelPlan("fridge", interval_s=10.0, **plan)
        self.line = ChannelLine(self.plan)
        self.now = 0.0
        self.faults: list[str] = []

    def say(self, *values: Any, **more: Any) -> list[tuple[Any, Priority, dict[str, Any]]]:
        """Measure these; what is sent, as value, priority and metadata."""
        return [told for value in values for told in self._measure(value, more)]

    def wait(self, seconds: float) -> list[tuple[Any, Priority, dict[str, Any]]]:
        """Let time pass; the clock does what is due."""
        self.now += seconds
        told = []
        while (due := self.line.due()) <= self.now:
            told += self.line.tick(due, EPOCH + due, {})
        return [_plain(one) for one in told]

    def restart(self) -> None:
        state = json.loads(json.dumps(self.line.state()))
        self.line = ChannelLine(self.plan)
        self.line.restore(state, self.now, EPOCH + self.now)

    def _measure(self, value: Any, more: dict[str, Any]) -> Any:
        measured = Measurement("", value, "celsius", **more)
        quality, *told = self.line.take(measured, EPOCH + self.now, {"zone": "A"}, self.now)
        self.now += 10
        assert isinstance(quality, Quality)
        self.faults.append(quality.fault)
        return [_plain(one) for one in told if isinstance(one, Outgoing)]


def _plain(told: Outgoing) -> tuple[Any, Priority, dict[str, Any]]:
    reading = told.reading
    kept = {key: value for key, value in reading.metadata.items() if key != "zone"}
    assert reading.metadata["zone"] == "A"
    return reading.value, told.priority, kept


USUAL, CRITICAL = Priority.TELEMETRY, Priority.CRITICAL


def test_channel_range_judges_what_the_filters_made() -> None:
    """An offset brings a value into the range, or out of it."""
    track = Track(filters=(Offset(-10),), valid=Valid(0, 20))
    assert track.say(25, 5) == [(15, USUAL, {})]
    assert track.faults == ["", "range"]


def test_channel_value_that_a_filter_holds_back_is_well_and_silent() -> None:
    """The sensor is no longer faulty though nothing leaves yet."""
    track = Track(filters=(SkipInitial(1),))
    assert track.say(1, 2) == [(2, USUAL, {})]
    assert track.faults == ["", ""]


def test_channel_fault_makes_the_filters_begin_anew() -> None:
    """The median of before and after a fault would be a value that never was."""
    track = Track(filters=(Median(window_size=3),), valid=Valid(-40, 85))
    assert [told[0] for told in track.say(1, 1, 999, 999, 9)] == [1, 1, 1, 9]
    assert track.faults == ["", "", "", "range", ""]


def test_channel_fault_of_the_driver_is_passed_on_with_its_sentence() -> None:
    """A channel may fail alone; its value is not looked at."""
    line = ChannelLine(ChannelPlan("a1"))
    measured = Measurement("a1", 0.0, "volt", fault="saturated", detail="a1 is too high")
    assert line.take(measured, 1.0, {}, 0.0) == [Quality("a1", "saturated", "a1 is too high")]


def test_channel_alarm_goes_out_past_the_deadband_and_once() -> None:
    """One reading on entry and one on clearing, each the value that did it, and no second copy."""
    track = Track(report=Report(deadband=Margin(100)), alarms=(Alarm(above=8, hysteresis=0.5),))
    assert track.say(4, 7, 8.5, 8.6, 7.8, 7.4, 7) == [
        (4, USUAL, {}),
        (8.5, CRITICAL, {"alarm": "entered", "limit": 8}),
        (7.4, CRITICAL, {"alarm": "cleared", "limit": 8}),
    ]


def test_channel_deadband_is_against_what_an_alarm_sent() -> None:
    """The far end knows that value, whoever sent it."""
    track = Track(report=Report(deadband=Margin(2)), alarms=(Alarm(above=8),))
    assert [told[0] for told in track.say(7.9, 8.5, 6.6, 6.4)] == [7.9, 8.5, 6.6, 6.4][:3]


def test_channel_alarm_enters_by_the_clock_without_a_new_value() -> None:
    """A door that stays open says nothing more; the alarm does."""
    track = Track(alarms=(Alarm(above=0, for_s=120),), report=Report(deadband=Margin(0)))
    assert track.say(1) == [(1, USUAL, {})]
    assert track.wait(100) == []
    assert track.wait(10) == [(1, CRITICAL, {"alarm": "entered", "limit": 0})]
    assert track.wait(1000) == []


@pytest.mark.parametrize(
    ("anomaly", "priority", "marks"),
    [
        (None, Priority.TELEMETRY, {}),
        (Anomaly(window=5, deviation=4), Priority.ANOMALY, {"score": -55.56}),
    ],
)
def test_channel_value_that_comes_as_the_clock_enters_an_alarm_is_not_held_back(
    anomaly: Anomaly | None, priority: Priority, marks: dict[str, Any]
) -> None:
    """The alarm bears the value before; this one is news by itself, and its score is its own."""
    alarm = Alarm(above=8, hysteresis=5, for_s=30)
    track = Track(alarms=(alarm,), report=Report(deadband=Margin(0.2)), anomaly=anomaly)
    track.say(9, 9, 9)
    assert track.say(4) == [
        (9, Priority.CRITICAL, {"alarm": "entered", "limit": 8}),
        (4, priority, marks),
    ]


def test_channel_alarm_that_was_entered_before_a_restart_is_cleared_after_it() -> None:
    """And not entered a second time."""
    track = Track(alarms=(Alarm(above=8),), report=Report(deadband=Margin(1)))
    assert len(track.say(9)) == 1
    track.restart()
    assert track.say(9.5, 7) == [(7, CRITICAL, {"alarm": "cleared", "limit": 8})]


def test_channel_alarm_and_anomaly_share_a_reading() -> None:
    """The more urgent one has it, and it bears both."""
    track = Track(alarms=(Alarm(above=8),), anomaly=Anomaly(window=5, deviation=4))
    track.say(4, 4.1, 3.9, 4, 4.1)
    ((value, priority, metadata),) = track.say(20)
    assert (value, priority, metadata["alarm"]) == (20, CRITICAL, "entered")
    assert metadata["score"] > 4


def test_channel_anomaly_goes_out_past_the_deadband_with_its_score() -> None:
    """At its own priority."""
    track = Track(report=Report(deadband=Margin(100)), anomaly=Anomaly(window=5, deviation=4))
    assert len(track.say(4, 4.1, 3.9, 4, 4.1)) == 1
    ((value, priority, metadata),) = track.say(20)
    assert (value, priority, set(metadata)) == (20, Priority.ANOMALY, {"score"})


def test_channel_window_is_told_by_the_clock_and_alarms_beside_it() -> None:
    """Alarms are single readings where everything else is in windows."""
    track = Track(report=Report(every_s=60, stats=("mean",)), alarms=(Alarm(above=8),))
    assert track.say(4, 9) == [(9, CRITICAL, {"alarm": "entered", "limit": 8})]
    ((mean, priority, metadata),) = track.wait(60)
    assert (mean, priority, metadata["count"]) == (6.5, USUAL, 2)
    assert track.line.close(track.now) == []


def test_channel_window_that_is_open_at_the_stop_is_told() -> None:
    """A minute that was begun is not lost for a restart."""
    track = Track(report=Report(every_s=60, stats=("max",)))
    track.say(4, 5)
    assert [told.reading.value for told in track.line.close(track.now)] == [5]


def test_channel_restores_nothing_from_what_it_cannot_have_said() -> None:
    """A state of another version, or of a file that was edited."""
    for state in (None, 7, [], {"alarms": 3, "report": []}, {"alarms": [None], "report": {}}):
        line = ChannelLine(ChannelPlan("s", alarms=(Alarm(above=8),)))
        line.restore(state, 0.0, EPOCH)
        assert line.state() == {"alarms": [], "report": None}


def test_channel_value_has_no_noise_in_its_last_digits() -> None:
    """What 25.3 - 0.4 gives in floating point is no news to anybody."""
    assert 25.3 - 0.4 != 24.9
    assert Track(filters=(Offset(-0.4),)).say(25.3) == [(24.9, USUAL, {})]


def test_channel_value_a_moment_before_the_clock_enters_the_alarm_itself() -> None:
    """Measurements are not on time to the millisecond; it is not told twice."""
    track = Track(alarms=(Alarm(above=8, for_s=10.02),))
    assert track.say(9, 9.5) == [
        (9, USUAL, {}),
        (9.5, CRITICAL, {"alarm": "entered", "limit": 8}),
    ]
    assert track.wait(100) == []
