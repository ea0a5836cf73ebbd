"""From a driver's measurement to a reading: pure functions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.alarms import Alarm
from edge_agent.processing.channel import ChannelPlan, Outgoing, Quality
from edge_agent.processing.faults import FAULT, LONGEST_HOLD_S, STEADY_S, FaultBook
from edge_agent.processing.pipeline import SensorLine, SensorPlan, marked
from edge_agent.processing.valid import Valid
from edge_agent.types import Measurement, SensorReading

PLAN = SensorPlan(
    "room",
    {"t": ChannelPlan("cold_chain", valid=Valid(-40, 85)), "h": ChannelPlan("room.h")},
    {"site": "lyon", "zone": "A"},
)


def _shape(value: Any, channel: str = "t", **more: Any) -> tuple[Quality, SensorReading | None]:
    """What is said of the channel, and the reading if there is one."""
    measured = Measurement(channel, value, "celsius", more.pop("timestamp", 5.0), more)
    quality, *outgoing = SensorLine(PLAN).take([measured], 0.0, 5.0, synchronized=True)
    assert isinstance(quality, Quality)
    readings = [told.reading for told in outgoing if isinstance(told, Outgoing)]
    return quality, readings[0] if readings else None


def test_line_gives_the_public_name_and_all_metadata() -> None:
    """The driver's own goes over the configured."""
    _, reading = _shape(2.5, zone="B", probe="28-1")
    assert reading is not None
    assert (reading.sensor_name, reading.timestamp, reading.unit) == ("cold_chain", 5.0, "celsius")
    assert reading.metadata == {"site": "lyon", "zone": "B", "probe": "28-1"}


@pytest.mark.parametrize(("channel", "name"), [("t", "cold_chain"), ("x", "room.x"), ("", "room")])
def test_line_names_a_channel(channel: str, name: str) -> None:
    """One that nobody configured gets the sensor's name before its own."""
    quality, reading = _shape(1.0, channel)
    assert reading is not None
    assert quality.name == reading.sensor_name == name


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (-40, ""),
        (85.0, ""),
        (-40.001, "range"),
        (85.001, "range"),
        (math.nan, "garbage"),
        (-math.inf, "garbage"),
        (10**400, "garbage"),
        (None, "garbage"),
        ([1], "garbage"),
        (True, ""),
        ("open", ""),
    ],
)
def test_line_value(value: Any, fault: str) -> None:
    """The limits belong to the range; what is no number has none; a fault has no reading."""
    quality, reading = _shape(value)
    assert (quality.fault, reading is None) == (fault, bool(fault))


def test_marked_says_so_only_while_the_clock_is_not_right() -> None:
    """No mark: it was."""
    assert marked({"a": 1}, synchronized=True) == {"a": 1}
    assert marked({"a": 1}, synchronized=False) == {"a": 1, "clock": "unsynced"}


@pytest.mark.parametrize(
    ("plan", "borne"),
    [
        (PLAN, {"room", "cold_chain", "room.h"}),
        (SensorPlan("room", {}), {"room", "room.h", "room.x"}),
    ],
    ids=["channels known", "known when seen"],
)
def test_sensor_plan_knows_whose_fault_it_is(plan: SensorPlan, borne: set[str]) -> None:
    """Its own, and its channels': those configured, else all that its name begins."""
    names = {"room", "cold_chain", "room.h", "room.x", "rooms.h", "other"}

    assert {name for name in names if plan.bears(name)} == borne


@given(reasons=st.lists(st.sampled_from(["", "nack", "range"]), max_size=20))
def test_fault_book_tells_each_change_once(reasons: list[str]) -> None:
    """1 and 0 in turn, and the recovery bears the reason the fault began with."""
    book = FaultBook()
    told = [
        book.report("s", reason, number * LONGEST_HOLD_S, timestamp=1.0, metadata={})
        for number, reason in enumerate(reasons)
    ]
    readings = [reading for reading in told if reading is not None]
    assert [reading.value for reading in readings] == [1, 0] * (len(readings) // 2) + [1] * (
        len(readings) % 2
    )
    began = ""
    for reason, reading in zip(reasons, told, strict=True):
        assert (reading is None) == (bool(reason) == bool(began))
        if reading is not None:
            assert reading.sensor_name == FAULT
            assert reading.metadata == {"sensor": "s", "reason": reason or began}
            began = reason
    assert book.faulty == ({"s": began} if began else {})


def _flap(book: FaultBook, begin_s: int, end_s: int) -> list[tuple[int, int]]:
    """Faulty every second time of one a second; when what was told."""
    told = []
    for now in range(begin_s, end_s):
        reason = "nack" if now % 2 else ""
        if book.report("s", reason, now, timestamp=1.0, metadata={}):
            told.append((now, int("s" in book.faulty)))
    return told


def test_fault_book_loose_contact_is_told_twice_and_not_all_day() -> None:
    """The first fault and the first recovery at once; the second fault lasts until it is steady."""
    book = FaultBook()
    assert _flap(book, 0, 86_400) == [(1, 1), (2, 0), (3, 1)]
    well = [
        now
        for now in range(86_400, 90_000)
        if book.report("s", "", now, timestamp=1.0, metadata={})
    ]
    assert well == [86_399 + 30]


def test_fault_book_hold_doubles_and_is_forgotten_after_a_steady_time() -> None:
    """Each time it fails soon after it was told well, it has to be well for longer."""
    book, now = FaultBook(), 0.0
    holds = []
    for _ in range(8):
        book.report("s", "nack", now, timestamp=1.0, metadata={})
        failed = now
        while not book.report("s", "", now, timestamp=1.0, metadata={}):
            now += 1
        holds.append(now - failed)
        now += 1
    assert holds == [0, 30, 60, 120, 240, 480, LONGEST_HOLD_S, LONGEST_HOLD_S]
    now += STEADY_S
    assert book.report("s", "nack", now, timestamp=1.0, metadata={})
    assert book.report("s", "", now + 1, timestamp=1.0, metadata={})


def test_line_measurement_from_the_future_is_one_of_now() -> None:
    """A driver that is a year ahead once must not hold up an alarm's `for` for a year."""
    plan = ChannelPlan("s", alarms=(Alarm(above=8, for_s=30),))
    line = SensorLine(SensorPlan("s", {"": plan}))
    ahead = Measurement("", 9.0, "", age_s=-31_536_000.0)
    _, told = line.take([ahead], 100.0, 5.0, synchronized=True)
    assert isinstance(told, Outgoing)
    assert told.reading.timestamp == 5.0
    assert line.due() == 130.0
