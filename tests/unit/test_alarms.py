"""Alarms: when they are entered and cleared, and what they keep over a restart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.alarms import Alarm, Alarms, Transition
from edge_agent.types import Priority, Value

WARM = Alarm(above=8.0, hysteresis=0.5)
COLD = Alarm(below=0.0)
OPEN = Alarm(above=0.0, for_s=120.0)


def said(transitions: Iterable[Transition]) -> list[str]:
    """In words: what, which limit, by what value."""
    return [f"{t.metadata()['alarm']} {t.alarm.limit:g} by {t.value}" for t in transitions]


def taken(alarms: Alarms, values: Iterable[Value], step_s: float = 10.0) -> list[list[str]]:
    """What each value changes."""
    return [said(alarms.take(value, index * step_s)) for index, value in enumerate(values)]


@pytest.mark.parametrize(
    ("alarm", "values", "expected"),
    [
        (Alarm(above=8.0), [8, 8.1, 8], [[], ["entered 8 by 8.1"], ["cleared 8 by 8"]]),
        (Alarm(below=0.0), [0, -0.1, 0], [[], ["entered 0 by -0.1"], ["cleared 0 by 0"]]),
        (WARM, [9, 7.6, 8.5, 7.5], [["entered 8 by 9"], [], [], ["cleared 8 by 7.5"]]),
        (
            Alarm(below=0.0, hysteresis=1.0),
            [-1, 0.9, 1],
            [["entered 0 by -1"], [], ["cleared 0 by 1"]],
        ),
        (Alarm(above=0.0), [False, True], [[], ["entered 0 by True"]]),
        (Alarm(above=0.0), ["open", ""], [[], []]),
        (Alarm(above=0.0), [10**400, math.nan], [[], []]),
    ],
)
def test_alarm_is_entered_beyond_its_limit_and_cleared_when_back(
    alarm: Alarm, values: list[Value], expected: list[list[str]]
) -> None:
    """Strictly beyond; back by the hysteresis; words and garbage change nothing."""
    assert taken(Alarms([alarm]), values) == expected


def test_alarms_low_and_high_are_each_their_own() -> None:
    """A jump from one to the other clears the one and enters the other."""
    changes = taken(Alarms([WARM, COLD]), [9, -1, 4])

    assert changes == [
        ["entered 8 by 9"],
        ["cleared 8 by -1", "entered 0 by -1"],
        ["cleared 0 by 4"],
    ]


def test_transition_says_priority_and_limit() -> None:
    """What its reading bears."""
    (change,) = Alarms([Alarm(below=0.0, priority="anomaly")]).take(-1, 0.0)

    assert change.priority is Priority.ANOMALY
    assert change.metadata() == {"alarm": "entered", "limit": 0.0}


def test_alarm_with_for_is_entered_by_the_clock() -> None:
    """A door says once that it is open; nobody says so again."""
    alarms = Alarms([OPEN])
    assert said(alarms.take(1, 5.0)) == []
    assert alarms.due() == 125.0
    assert said(alarms.tick(124.9)) == []

    assert said(alarms.tick(125.0)) == ["entered 0 by 1"]

    assert alarms.due() == math.inf
    assert said(alarms.tick(1e9)) == []
    assert said(alarms.take(0, 300.0)) == ["cleared 0 by 0"]


def test_alarm_with_for_is_entered_by_a_value_if_nobody_asked_in_time() -> None:
    """Also by one that clears it: it was beyond for that long."""
    alarms = Alarms([OPEN])
    alarms.take(1, 0.0)

    assert said(alarms.take(0, 130.0)) == ["entered 0 by 1", "cleared 0 by 0"]


def test_alarm_with_for_that_ends_as_a_value_comes_is_entered_by_that_value() -> None:
    """Readings come every ten seconds, and so ends a `for` of thirty: what is sent is current."""
    alarms = Alarms([Alarm(above=8, for_s=30)])
    assert [said(alarms.take(9 + n, 10.0 * n)) for n in range(4)] == [
        [],
        [],
        [],
        ["entered 8 by 12"],
    ]


def test_alarm_with_for_begins_anew_after_a_value_within_its_limit() -> None:
    """And only then: further values beyond do not put it off."""
    alarms = Alarms([OPEN])

    changes = [said(alarms.take(value, at)) for value, at in ((1, 0), (0, 60), (1, 70), (2, 130))]

    assert changes == [[], [], [], []]
    assert alarms.due() == 190.0


def test_fault_keeps_what_is_entered_and_stops_what_is_on_its_way() -> None:
    """What is not known is neither better nor worse."""
    alarms = Alarms([WARM, OPEN])
    assert said(alarms.take(9, 0.0)) == ["entered 8 by 9"]

    alarms.fault()

    assert alarms.due() == math.inf
    assert said(alarms.take(9, 200.0)) == []
    assert said(alarms.tick(320.0)) == ["entered 0 by 9"]
    assert said(alarms.take(7, 330.0)) == ["cleared 8 by 7"]


def _restarted(before: Alarms, *alarms: Alarm) -> Alarms:
    after = Alarms(alarms)
    after.restore(json.loads(json.dumps(before.state())))
    return after


def test_alarm_entered_before_a_restart_is_not_entered_again() -> None:
    """But cleared, as it would have been; its hysteresis and wait may have changed."""
    before = Alarms([WARM, COLD])
    before.take(9, 0.0)

    after = _restarted(before, COLD, Alarm(above=8.0, hysteresis=1.0, for_s=60.0))

    assert taken(after, [9, 7.2, 7]) == [[], [], ["cleared 8 by 7"]]
    assert after.state() == []


def test_alarm_no_longer_configured_is_cleared_by_the_next_value() -> None:
    """At the priority it was entered with: the far end would wait for that for ever."""
    before = Alarms([Alarm(above=8.0, priority="telemetry")])
    before.take(9, 0.0)
    between = _restarted(before, Alarm(above=8.5))
    after = _restarted(between, Alarm(above=8.5))

    changes = after.take(9, 0.0)

    assert said(changes) == ["cleared 8 by 9", "entered 8.5 by 9"]
    assert [change.priority for change in changes] == [Priority.TELEMETRY, Priority.CRITICAL]
    assert said(after.take(9, 1.0)) == []


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        5,
        [None, 5, "x", [], {}],
        [{"above": None, "below": None, "priority": "critical"}],
        [{"above": "x", "below": None, "priority": "critical"}],
        [{"above": 1, "below": None, "priority": []}],
        [{"above": 1, "below": None, "priority": "urgent"}],
    ],
)
def test_alarms_restored_from_nonsense_begin_anew(state: object) -> None:
    """What another version wrote stops nothing."""
    alarms = Alarms([WARM])

    alarms.restore(state)

    assert taken(alarms, [7, 9]) == [[], ["entered 8 by 9"]]


@given(
    st.lists(st.tuples(st.floats(0, 50), st.one_of(st.none(), st.floats(-20, 20))), max_size=40),
    st.floats(0, 5),
    st.floats(0, 60),
    st.booleans(),
)
def test_alarm_is_entered_and_cleared_in_turns(
    course: list[tuple[float, float | None]], hysteresis: float, for_s: float, above: bool
) -> None:
    """Whatever values, faults and waits there are; entered it is only while values are beyond."""
    limit = {"above": 3.0} if above else {"below": 3.0}
    alarm = Alarm(**limit, hysteresis=hysteresis, for_s=for_s)
    alarms, now, changes = Alarms([alarm]), 0.0, []
    for pause_s, value in course:
        now += pause_s
        changes += alarms.tick(now)
        if value is None:
            alarms.fault()
            continue
        changes += alarms.take(value, now)
        entered = bool(changes) and changes[-1].entered
        assert not (entered and alarm.back(value))
        assert not (not entered and alarm.beyond(value) and not for_s)

    assert [change.entered for change in changes] == [i % 2 == 0 for i in range(len(changes))]
