"""What is reported: by exception (deadband, heartbeat), or as windows."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.kinds import Margin
from edge_agent.processing.reporting import Report, Reporter
from edge_agent.processing.windows import LATE_S, STATS
from edge_agent.types import SensorReading, Value

#: Unix seconds of a full minute, and the monotonic seconds of the same moment.
MINUTE, START = 1_700_000_040.0, 500.0


def reading(value: Value, after_s: float = 0.0, **metadata: Any) -> SensorReading:
    """Measured so many seconds after the full minute."""
    return SensorReading("room", MINUTE + after_s, value, "celsius", metadata)


def take(reporter: Reporter, value: Value, after_s: float, **metadata: Any) -> list[SensorReading]:
    """Measured and taken so many seconds after the full minute."""
    return reporter.take(reading(value, after_s, **metadata), START + after_s)


def reported(reporter: Reporter, values: Iterable[Value], step_s: float = 10.0) -> list[Value]:
    """What is reported of values that follow each other."""
    outputs = [take(reporter, value, index * step_s) for index, value in enumerate(values)]
    return [one.value for one in itertools.chain.from_iterable(outputs)]


def exception(deadband: Margin, heartbeat_s: float | None = None) -> Reporter:
    return Reporter(Report(deadband, heartbeat_s), interval_s=10.0)


def windows(*stats: str, every_s: float = 60.0) -> Reporter:
    return Reporter(Report(every_s=every_s, stats=stats), interval_s=10.0)


def told(outputs: list[SensorReading]) -> dict[str, Value]:
    return {output.sensor_name: output.value for output in outputs}


def test_reporter_without_settings_reports_everything() -> None:
    """Unchanged."""
    reporter = Reporter(Report(), interval_s=10.0)

    assert take(reporter, 1, 0, zone="A") == [reading(1, 0, zone="A")]
    assert take(reporter, 1, 10) == [reading(1, 10)]
    assert (reporter.due(), reporter.tick(1e9), reporter.close(0)) == (math.inf, [], [])
    assert reporter.state() is None


@pytest.mark.parametrize(
    ("margin", "values", "expected"),
    [
        (Margin(0.5), [1, 1.5, 1.51, 1.2, 1.0], [1, 1.51, 1.0]),
        (Margin(0.5), [0, 0.3, 0.6, 0.9, 1.2], [0, 0.6, 1.2]),
        (Margin(0), [0, 0, 1, 1, 0], [0, 1, 0]),
        (Margin(2, percent=True), [-100, -102, -103, -101], [-100, -103]),
        (Margin(2, percent=True), [0, 0, 0.001], [0, 0.001]),
        (Margin(5), ["open", "open", "shut", 1, True, True, 1.0], ["open", "shut", 1, True, 1.0]),
        (Margin(5), [False, True, True], [False, True]),
    ],
)
def test_deadband_reports_what_is_farther_from_the_last_report(
    margin: Margin, values: list[Value], expected: list[Value]
) -> None:
    """Strictly farther, also by creeping; of switches and words every change."""
    found = reported(exception(margin), values)

    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_deadband_is_bypassed_by_a_change_of_quality() -> None:
    """The far end was told of a fault, so it must see that the value is there again."""
    reporter = exception(Margin(5))
    assert reported(reporter, [20, 20]) == [20]

    assert reporter.fault(START + 20) == []

    assert reporter.state() is None
    assert [len(take(reporter, 20, 30)), len(take(reporter, 20, 40))] == [1, 0]


def test_deadband_is_against_what_was_queued_for_an_alarm() -> None:
    """That reading is not sent twice, and the next is compared with it."""
    reporter = exception(Margin(1))
    assert reported(reporter, [20]) == [20]

    assert reporter.take(reading(20.5), START + 10, queued=True) == []

    assert take(reporter, 21.4, 20) == []
    assert len(take(reporter, 21.6, 30)) == 1


def test_heartbeat_comes_on_time() -> None:
    """Ten minutes are sixty readings of ten seconds, also where ticks come a moment early."""
    reporter = exception(Margin(5), heartbeat_s=600.0)

    times = [index * 10.0 - (0.2 if index % 60 else -0.1 * (index < 60)) for index in range(181)]

    assert [at for at in times if take(reporter, 20, at)] == [0.1, 600.0, 1200.0, 1800.0]


def test_heartbeat_counts_from_the_last_report() -> None:
    """Whatever caused it."""
    reporter = exception(Margin(5), heartbeat_s=60.0)

    assert [at for at in range(0, 200, 10) if take(reporter, 20 if at < 30 else 30, at)] == [
        *(0, 30, 90, 150)
    ]


@pytest.mark.parametrize(
    ("wall_s", "value", "expected"),
    [(50, 20, 0), (50, 26, 1), (600, 20, 1), (-100, 20, 1)],
)
def test_reporter_restored_goes_on_where_it_was(wall_s: float, value: float, expected: int) -> None:
    """Deadband and heartbeat, by the wall clock; a heartbeat comes early if that went back."""
    before = exception(Margin(5), heartbeat_s=600.0)
    take(before, 20, 0)
    state = json.loads(json.dumps(before.state()))
    after = exception(Margin(5), heartbeat_s=600.0)

    after.restore(state, 3.0, MINUTE + wall_s)

    assert len(after.take(reading(value, wall_s), 3.0)) == expected


@pytest.mark.parametrize(
    "state",
    [None, [], 5, {}, {"value": 1}, {"value": [], "timestamp": 1}, {"value": 1, "timestamp": "x"}],
)
def test_reporter_restored_from_nonsense_begins_anew(state: object) -> None:
    """What another version wrote stops nothing."""
    reporter = exception(Margin(5))

    reporter.restore(state, 0.0, MINUTE)

    assert len(take(reporter, 20, 0)) == 1


def test_window_closes_with_the_first_reading_of_the_next() -> None:
    """It tells of all values in it, with what it covers; the unit of a count is count."""
    reporter = windows(*STATS)
    for at, value in ((0, 20.0), (10, 24.0), (59.9, 22.0)):
        assert take(reporter, value, at, zone="A") == []

    outputs = take(reporter, 30.0, 60, zone="B")

    assert told(outputs) == {
        "room.mean": 22.0,
        "room.min": 20.0,
        "room.max": 24.0,
        "room.count": 3,
        "room.last": 22.0,
    }
    assert {output.unit for output in outputs[:3]} == {"celsius"}
    assert outputs[3].unit == "count"
    for output in outputs:
        assert output.timestamp == MINUTE + 60
        assert output.metadata == {"zone": "A", "from": MINUTE, "to": MINUTE + 60, "count": 3}


def test_first_window_says_where_it_began_and_the_next_are_whole() -> None:
    """An agent that starts in the middle of a minute has not seen its beginning."""
    reporter = windows("mean")
    take(reporter, 1, 25)

    covered = []
    for at in (65, 125, 300):
        (output,) = take(reporter, 1, at)
        covered.append((output.metadata["from"] - MINUTE, output.metadata["to"] - MINUTE))

    assert covered == [(25, 60), (60, 120), (120, 180)]


def test_window_closes_by_the_clock_where_no_reading_comes() -> None:
    """A little after its end, for what was measured in it and comes late."""
    reporter = windows("count")
    take(reporter, 1, 30)
    assert reporter.due() == START + 60 + LATE_S
    assert reporter.tick(START + 60 + LATE_S - 0.01) == []
    assert take(reporter, 1, 59.5) == []

    (output,) = reporter.tick(reporter.due())

    assert (output.value, output.metadata["to"]) == (2, MINUTE + 60)
    assert reporter.due() == math.inf


def test_window_cut_short_by_a_fault_covers_what_it_saw() -> None:
    """Good and bad are never mixed; the next window begins with its first reading."""
    reporter = windows("mean")
    for at in (0, 10, 20):
        take(reporter, 4, at)

    (cut,) = reporter.fault(START + 30)
    assert reporter.fault(START + 40) == []
    take(reporter, 8, 45)
    (next_one,) = take(reporter, 8, 60)

    assert (cut.value, cut.timestamp, cut.metadata["count"]) == (4.0, MINUTE + 20, 3)
    assert (cut.metadata["from"], cut.metadata["to"]) == (MINUTE, MINUTE + 20)
    assert (next_one.metadata["from"], next_one.metadata["count"]) == (MINUTE + 45, 1)


def test_window_whose_time_was_over_at_the_fault_is_a_whole_one() -> None:
    """The fault came after it; what follows the fault is not."""
    reporter = windows("mean")
    take(reporter, 4, 0)

    (before,) = reporter.fault(START + 61)
    take(reporter, 4, 70)
    (after,) = take(reporter, 4, 120)

    assert before.metadata["to"] == MINUTE + 60
    assert after.metadata["from"] == MINUTE + 70


def test_windows_keep_readings_apart_that_another_clock_stamped() -> None:
    """Those from before the clock was right, and those from before it went back."""
    reporter = windows("count")
    take(reporter, 1, 0, clock="unsynced")

    (unsynced,) = take(reporter, 1, 10)
    (back,) = take(reporter, 1, -3600)

    assert (unsynced.metadata["clock"], unsynced.metadata["to"]) == ("unsynced", MINUTE)
    assert (back.value, back.metadata["from"], back.metadata["to"]) == (
        *(1, MINUTE + 10, MINUTE + 10),
    )


def test_reading_that_comes_after_its_window_has_one_of_its_own() -> None:
    """It overlaps nothing that was told before."""
    reporter = windows("count")
    take(reporter, 1, 0)
    reporter.tick(START + 70)

    reporter.take(reading(1, 55), START + 71)

    (late,) = reporter.close(START + 90)
    assert (late.metadata["from"], late.value) == (MINUTE + 55, 1)


@pytest.mark.parametrize(
    ("stats", "values", "expected"),
    [
        (("mean", "max", "last"), [False, True, True, False], [0.5, True, False]),
        (("mean", "count", "last"), ["shut", "open"], [2, "open"]),
        (("mean", "min"), ["shut", "open"], ["open"]),
        (("mean", "min", "max"), [1, 2, "x"], ["x"]),
        (("mean",), [3, 4], [3.5]),
    ],
)
def test_window_of_switches_and_words_tells_what_makes_sense(
    stats: tuple[str, ...], values: list[Value], expected: list[Value]
) -> None:
    """A switch's mean is its share of true; of words the last, so that nothing vanishes."""
    reporter = windows(*stats)
    reported(reporter, values)

    assert [output.value for output in reporter.close(START + 59)] == expected


def test_window_of_the_largest_numbers_has_a_finite_mean() -> None:
    """Their sum would have none."""
    reporter = windows("mean")
    reported(reporter, [1.7e308, 1.7e308, -1.7e308, 1.7e308])

    assert told(reporter.close(START + 59)) == {"room.mean": pytest.approx(0.85e308)}


@given(
    st.lists(st.tuples(st.floats(0.01, 200), st.floats(-1e6, 1e6)), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
)
def test_windows_partition_the_readings(steps: list[tuple[float, float]], faults: set[int]) -> None:
    """Each reading is in just one, in order, and a mean lies between least and greatest."""
    reporter = windows("mean", "min", "max", "count")
    outputs, at = [], 0.0
    for index, (pause_s, value) in enumerate(steps):
        at += pause_s
        outputs += reporter.tick(START + at)
        outputs += reporter.fault(START + at) if index in faults else []
        outputs += take(reporter, value, at)
    outputs += reporter.close(START + at)

    groups = list(zip(*[iter(outputs)] * 4, strict=True))
    values = [value for _, value in steps]
    end = -math.inf
    for mean, least, greatest, count in groups:
        inside, values = values[: int(count.value)], values[int(count.value) :]
        assert (least.value, greatest.value) == (min(inside), max(inside))
        assert least.value <= mean.value <= greatest.value
        assert mean.value == pytest.approx(sum(inside) / len(inside), abs=1e-6)
        assert end <= count.metadata["from"] <= count.metadata["to"]
        assert count.metadata["to"] - count.metadata["from"] <= 60
        end = count.metadata["to"]
    assert values == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1e6))
def test_deadband_never_suppresses_a_larger_change(values: list[float], amount: float) -> None:
    """Whoever takes the last report for the value is never more than the deadband wrong."""
    reporter = exception(Margin(amount))
    known = math.nan
    for index, value in enumerate(values):
        for output in take(reporter, value, index):
            known = float(output.value)
        assert abs(value - known) <= amount
