"""Contacts: bursts of edges become changes, each once and with its own time."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.gpio import MockPins
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.gpio import contact
from edge_agent.sensors.gpio.contact import (
    MOST_EDGES,
    UNSTEADY_S,
    Change,
    Contact,
    ContactOptions,
    Debounce,
)
from edge_agent.types import Measurement

PIN = 17


class Door:
    """A contact on mock pins, and who waits for its announcements."""

    def __init__(self, pins: MockPins, clock: FakeClock, **options: Any) -> None:
        self.pins = pins
        self.clock = clock
        self.announced: list[Sensor] = []
        surroundings = Surroundings(
            bus=lambda _: pytest.fail("a contact has no bus"),
            sleep=clock.advance,
            monotonic=clock.monotonic,
            announce=self.announced.append,
        )
        self.sensor = Contact(ContactOptions(**{"pin": PIN, **options}), surroundings)

    def measure(self) -> list[Measurement]:
        """One job as the reader does it; the wait passes."""
        self.announced.clear()
        self.clock.advance(self.sensor.trigger())
        return list(self.sensor.read())

    def said(self) -> list[tuple[int, float]]:
        """Values, and when they were measured, in seconds after the start of the test."""
        measured = self.measure()
        now = self.clock.monotonic() - 1_000.0
        return [(int(m.value), pytest.approx(now - m.age_s, abs=1e-6)) for m in measured]

    def values(self) -> list[int]:
        return [int(m.value) for m in self.measure()]

    def begin(self) -> None:
        """The first read, which says the state."""
        assert len(self.measure()) == 1


@pytest.fixture
def door(pins: MockPins, clock: FakeClock) -> Door:
    return Door(pins, clock)


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, 1, 0),
        ({"pull": "none"}, 1, 0),
        ({"pull": "down"}, 0, 1),
        ({"invert": True}, 0, 1),
        ({"pull": "down", "invert": True}, 1, 0),
    ],
)
def test_contact_says_one_for_a_closed_circuit(
    pins: MockPins, clock: FakeClock, options: Any, low: int, high: int
) -> None:
    """Closed is low, but for a contact to 3.3 V; `invert` turns what is said."""
    door = Door(pins, clock, **options)
    door.measure()
    pins.flip(PIN)
    door.measure()
    for drive, value in ((pins.low, low), (pins.high, high)):
        drive(PIN)
        if said := door.measure():
            assert said == [Measurement("", value, "", age_s=said[0].age_s)]
    assert isinstance(said[0].value, int)


def test_contact_at_the_first_read_says_the_state(pins: MockPins, door: Door) -> None:
    """Then nothing as long as nothing changes."""
    assert pins.watched(PIN) is None
    assert door.said() == [(0, 0.0)]
    assert door.measure() == []
    assert door.announced == []


def test_contact_that_bounces_is_one_change_with_the_time_of_its_first_edge(door: Door) -> None:
    """Announced at once and once; certain when it has been quiet for 20 ms."""
    door.begin()
    door.clock.advance(5.0)
    door.pins.bounce(PIN, edges=7)

    assert door.announced == [door.sensor]
    assert door.sensor.trigger() == pytest.approx(0.020)
    assert door.said() == [(1, 5.0)]
    assert door.clock.monotonic() == pytest.approx(1_005.026)
    assert door.announced == []


def test_contact_whose_burst_ends_where_it_began_says_nothing(door: Door) -> None:
    """A touch too short to count."""
    door.begin()
    door.pins.bounce(PIN, edges=8)

    assert door.measure() == []
    assert door.announced == []


def test_contact_gives_every_change_since_the_last_read(door: Door) -> None:
    """Oldest first, however late the reader is."""
    door.begin()
    for at in (1.0, 2.0, 3.0):
        door.clock.advance(at + 1_000.0 - door.clock.monotonic())
        door.pins.bounce(PIN, edges=3)
    door.clock.advance(60.0)

    assert door.said() == [(1, 1.0), (0, 2.0), (1, 3.0)]


def test_contact_without_debounce_gives_every_edge(pins: MockPins, clock: FakeClock) -> None:
    """Also one that lasted no time at all."""
    door = Door(pins, clock, debounce_s=0.0)
    door.begin()
    pins.bounce(PIN, edges=4, every_s=0.0)

    assert door.values() == [1, 0, 1, 0]


def test_contact_still_bouncing_when_it_is_read_asks_to_be_read_again(door: Door) -> None:
    """What is certain is said; the rest comes with the next read."""
    door.begin()
    door.pins.flip(PIN)
    door.clock.advance(door.sensor.trigger())
    door.pins.bounce(PIN, edges=3)
    door.announced.clear()

    assert [m.value for m in door.sensor.read()] == [1]
    assert door.announced == [door.sensor]
    assert door.said() == [(0, 0.020)]
    assert door.announced == []


def test_contact_takes_the_kernels_time_of_an_edge(door: Door) -> None:
    """30 ms closed, told in one go by a thread that was late: two changes, with their times."""
    door.begin()
    handler = door.pins.watched(PIN)
    assert handler is not None
    door.clock.advance(5.0)
    handler(1_004.90, 0)
    handler(1_004.93, 1)

    assert door.said() == [(1, 4.90), (0, 4.93)]


@pytest.mark.parametrize("ticks", [0, 4_294_000_000, 1_750_000_000.0, 1_005.1, 994.9])
def test_contact_whose_library_has_another_clock_takes_its_own(door: Door, ticks: float) -> None:
    """Microseconds, the wall clock, the future, long ago."""
    door.begin()
    handler = door.pins.watched(PIN)
    assert handler is not None
    door.clock.advance(5.0)
    handler(ticks, 0)
    door.pins.flip_unseen(PIN)

    assert door.said() == [(1, 5.0)]


def test_contact_whose_edge_was_lost_is_noticed_at_the_next_tick(door: Door) -> None:
    """Looked at twice, so that an edge on its way is no lost one; the loss is told, once."""
    door.begin()
    door.pins.flip_unseen(PIN)
    door.clock.advance(30.0)

    assert door.measure() == []
    assert door.announced == [door.sensor]
    (found,) = door.measure()
    assert (found.value, found.metadata) == (1, {"lost_edges": 1})
    assert found.age_s == pytest.approx(0.05)
    door.pins.flip(PIN)
    (after,) = door.measure()
    assert (after.value, after.metadata) == (0, {})


def test_contact_seen_before_its_edge_arrives_has_lost_none(door: Door) -> None:
    """The pin is a moment ahead of the thread that tells the edge."""
    door.begin()
    handler = door.pins.watched(PIN)
    assert handler is not None
    door.pins.flip_unseen(PIN)
    assert door.measure() == []
    handler(door.clock.monotonic(), 0)

    (change,) = door.measure()
    assert (change.value, change.metadata) == (1, {})


def test_contact_seen_in_the_middle_of_a_touch_says_nothing(door: Door) -> None:
    """It differed when it was looked at, and no more when that would have counted."""
    door.begin()
    door.pins.flip_unseen(PIN)
    assert door.measure() == []
    door.pins.flip_unseen(PIN)

    assert door.measure() == []
    assert door.announced == []


def test_contact_seen_to_differ_before_a_burst_is_looked_at_afresh_after_it(door: Door) -> None:
    """What was noticed then says nothing of now."""
    door.begin()
    door.pins.flip_unseen(PIN)
    assert door.measure() == []
    door.pins.bounce(PIN, edges=1)
    assert list(door.sensor.read()) == []
    door.clock.advance(1.0)
    door.pins.flip_unseen(PIN)

    assert list(door.sensor.read()) == []
    (found,) = door.measure()
    assert found.age_s == pytest.approx(0.05)


def test_contact_with_more_edges_than_there_is_room_for_counts_the_lost(door: Door) -> None:
    """Ten thousand in one burst: the state is right, and how many gave way is told."""
    door.begin()
    door.pins.bounce(PIN, edges=9_999, every_s=0.0001)

    (change,) = door.measure()
    assert change.value == 1
    assert change.metadata == {"lost_edges": 9_999 - MOST_EDGES}


def test_contact_says_its_state_again_after_repeat(pins: MockPins, clock: FakeClock) -> None:
    """Counted from when it was last said, whatever it said then."""
    door = Door(pins, clock, repeat_s=600.0)
    door.begin()
    for _ in range(19):
        clock.advance(30.0)
        assert door.measure() == []
    door.pins.flip(PIN)
    assert door.values() == [1]
    clock.advance(599.0)
    assert door.measure() == []
    clock.advance(1.0)

    assert door.said() == [(1, clock.monotonic() - 1_000.0)]
    assert door.measure() == []


def test_contact_with_a_repeat_of_zero_never_repeats(pins: MockPins, clock: FakeClock) -> None:
    """For those who want changes only."""
    door = Door(pins, clock, repeat_s=0.0)
    door.begin()
    clock.advance(1e6)

    assert door.measure() == []


def test_contact_that_bounces_when_it_is_to_repeat_says_what_comes_of_it(door: Door) -> None:
    """The old state may be none any more."""
    door.begin()
    door.clock.advance(700.0)
    door.pins.flip(PIN)

    assert list(door.sensor.read()) == []
    assert door.values() == [1]


def test_contact_that_never_rests_is_a_fault_until_it_does(door: Door) -> None:
    """A loose wire beside a mains cable: told at every tick, not at every edge."""
    door.begin()
    values: list[Any] = []
    for _ in range(int(UNSTEADY_S / 0.010) + 10):
        door.pins.bounce(PIN, edges=1)
        door.clock.advance(0.010)
        if door.announced:
            door.announced.clear()
            door.sensor.trigger()
            values += door.sensor.read()
    (fault,) = values
    assert (fault.fault, fault.channel) == ("unsteady", "")
    assert "GPIO17" in fault.detail

    door.sensor.trigger()
    door.pins.bounce(PIN, edges=101, every_s=0.010)
    assert door.announced == []
    assert [m.fault for m in door.sensor.read()] == ["unsteady"]
    ended = door.clock.monotonic() - 1_000.0
    door.clock.advance(30.0)
    closed = not door.pins.factory.pin(PIN).state
    assert door.said() == ([(1, ended)] if closed else [])
    door.pins.flip(PIN)
    assert door.announced == [door.sensor]


def test_contact_when_closed_frees_the_pin_and_forgets(door: Door) -> None:
    """Edges after that are nobody's; the next read says the state."""
    door.begin()
    door.pins.flip(PIN)
    door.announced.clear()
    late = door.pins.watched(PIN)
    door.sensor.close()

    assert not door.pins.reserved(PIN)
    assert late is not None
    late(door.clock.monotonic(), 1)
    door.pins.bounce(PIN, edges=5)
    assert door.announced == []
    door.pins.low(PIN)
    assert door.values() == [0], "claiming the mock pin drives it to its pull"


def test_contact_read_before_trigger_is_not_ready(door: Door) -> None:
    """Also after close."""
    for use in (lambda: None, door.begin):
        use()
        door.sensor.close()
        with pytest.raises(SensorError) as caught:
            door.sensor.read()
        assert caught.value.reason == "not_ready"


def test_contact_of_a_reload_gets_the_pin_from_the_one_before(door: Door) -> None:
    """Readers close the old sensor first; the old one's close later changes nothing."""
    door.begin()
    new = Door(door.pins, door.clock)
    with pytest.raises(SensorError) as caught:
        new.measure()
    assert caught.value.reason == "in_use"
    door.sensor.close()
    new.begin()
    door.sensor.close()
    new.pins.flip(PIN)

    assert new.announced == [new.sensor]
    assert new.values() == [1]
    assert door.announced == []


def test_contact_with_edges_from_another_thread_misses_no_change(
    pins: MockPins, clock: FakeClock
) -> None:
    """Reading all the while: as many changes as edges, in turn."""
    door = Door(pins, clock, debounce_s=0.0)
    door.begin()
    edges, values = 601, []
    gate = threading.Semaphore(MOST_EDGES // 2)

    def drive() -> None:
        for _ in range(edges):
            gate.acquire()
            pins.flip(PIN)

    thread = threading.Thread(target=drive)
    thread.start()
    while thread.is_alive() or door.announced:
        said = door.values()
        values += said
        gate.release(len(said) or 1)
    thread.join()
    values += door.values()

    assert values == [(edge + 1) % 2 for edge in range(edges)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["flip", "flip_unseen", "read", "trigger"]),
            st.sampled_from([0.0, 0.001, 0.019, 0.020, 0.021, 1.0, 11.0]),
        ),
        max_size=60,
    ),
    st.sampled_from([UNSTEADY_S, 0.030]),
)
def test_contact_whatever_happens_ends_at_the_level_of_its_pin(
    moves: list[tuple[str, float]], unsteady_s: float
) -> None:
    """Changes alternate, their times never go back, and a tick with what it announces is enough."""
    clock = FakeClock()
    with MockPins.plugged(clock) as pins, pytest.MonkeyPatch.context() as patch:
        patch.setattr(contact, "UNSTEADY_S", unsteady_s)
        door = Door(pins, clock, repeat_s=0.0)
        said = [(clock.monotonic(), door.measure()[0])]
        for move, pause_s in moves:
            clock.advance(pause_s)
            if move == "read":
                measured = list(door.sensor.read())
                said += [(clock.monotonic(), m) for m in measured if not m.fault]
            elif move == "trigger":
                door.sensor.trigger()
            else:
                getattr(pins, move)(PIN)
        # One tick, and what it announces.
        door.announced.append(door.sensor)
        while door.announced:
            measured = door.measure()
            said += [(clock.monotonic(), m) for m in measured if not m.fault]
        values = [m.value for _, m in said]
        times = [now - m.age_s for now, m in said]

        assert values == [index % 2 for index in range(len(values))]
        assert times == sorted(times)
        assert values[-1] == (0 if pins.factory.pin(PIN).state else 1)


def test_debounce_of_an_edge_told_late_waits_for_the_newest() -> None:
    """Two clocks may differ by a little."""
    debounce = Debounce(0.020)
    debounce.edge(1.0, closed=True)
    debounce.edge(0.99, closed=False)

    assert debounce.rests_at == 1.020


@given(st.lists(st.tuples(st.floats(0, 0.1), st.booleans()), min_size=1, max_size=40))
def test_debounce_of_any_edges_alternates_and_ends_at_the_last_level(
    edges: list[tuple[float, bool]],
) -> None:
    """Times never go back, no change lasts less than the quiet time, the last level wins."""
    debounce, now, changes = Debounce(0.020), 0.0, []
    for pause_s, closed in edges:
        now += pause_s
        changes.append(debounce.edge(now, closed=closed))
    changes.append(debounce.rest(now + 0.020))
    certain = [change for change in changes if isinstance(change, Change)]

    assert debounce.closed is edges[-1][1]
    assert all(a.closed is not b.closed for a, b in itertools.pairwise(certain))
    assert all(b.at - a.at >= 0.019 for a, b in itertools.pairwise(certain))
    assert certain
    assert certain[-1].closed is debounce.closed
