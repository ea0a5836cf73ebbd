"""Drivers that break their contract: a fault of theirs, and nobody else's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes.bench import Bench
from fakes.clock import FakeClock
from fakes.sensors import ScriptedSensor, slot

from edge_agent.errors import SensorError
from edge_agent.processing.pipeline import MOST_CHANNELS
from edge_agent.types import Measurement


@pytest.fixture
def bench(tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    made = Bench(tmp_path, clock)
    yield made
    made.queue.close()


class Unspeakable(Exception):
    """Cannot even be asked what it says."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


class Twin(ScriptedSensor):
    """Equal to all others of its kind, as a dataclass would be, and so in no set."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Twin)

    __hash__ = None  # type: ignore[assignment]  # as Python does for such


@pytest.mark.parametrize(
    "breakage",
    [
        ZeroDivisionError("division by zero"),
        SensorError("no word for it", reason=""),
        "not a list",
        [None],
        [Measurement("", 1.0, "", timestamp=math.nan)],
        [Measurement("", 1.0, "", timestamp="now")],  # type: ignore[arg-type]  # as a bad plugin does
        [Measurement([], 1.0, "")],  # type: ignore[arg-type]
        [Measurement("", 1.0, "", metadata=None)],  # type: ignore[arg-type]
        [Measurement("", 1.0, "", timestamp=1e308)],
        [Measurement("", 1.0, "", age_s=-(10**400))],
        [Measurement("", 1.0, None)],  # type: ignore[arg-type]
        [Measurement("", 1.0, "", age_s=Decimal(1))],  # type: ignore[arg-type]
        [Measurement("", Unspeakable(), "")],  # type: ignore[arg-type]
        [Measurement("", 1.0, "", fault={1})],  # type: ignore[arg-type]
        SensorError("no word at all", reason={1}),  # type: ignore[arg-type]
        Unspeakable(),
    ],
    ids=lambda breakage: type(breakage).__name__,
)
def test_poller_driver_that_breaks_the_contract_is_a_fault_and_others_go_on(
    bench: Bench, breakage: Any
) -> None:
    """A third party's driver may raise and return anything; it may be well again, too."""
    said = breakage if isinstance(breakage, Exception) else (lambda: breakage)
    bench.poll(slot("bad", ScriptedSensor(said, 1.0)), slot("good", interval_s=1.0))
    bench.run(19.9)
    assert [fault[:2] for fault in bench.faults()] == [("bad", 1), ("bad", 0)]
    assert len(bench.stored("good")) == 20


@pytest.mark.parametrize("wait_s", [None, "soon", math.inf, 1e9])
def test_poller_driver_that_asks_for_an_absurd_wait_is_a_fault(bench: Bench, wait_s: Any) -> None:
    """It would never be read again."""
    bench.poll(slot("bad", ScriptedSensor(1.0, wait_s=wait_s)))
    bench.run(1)
    assert bench.faults() == [("bad", 1, "driver")]


def test_poller_probe_whose_name_is_no_text_is_passed_over(bench: Bench) -> None:
    """It could not be kept, or not even be written down; the sensor next to it goes on."""
    odd = [Measurement("", 4.0, "celsius", metadata={"probe_id": Unspeakable()})]
    bench.poll(slot("odd", ScriptedSensor(odd)), slot("good"))
    bench.run(19)
    assert len(bench.stored("good")) == 2


def test_poller_sensors_that_count_as_equal_are_told_apart(bench: Bench) -> None:
    """A third party's driver may be a dataclass."""
    one, other = Twin(1.0), Twin(2.0)
    bench.poll(slot("one", one), slot("other", other))
    bench.run(6)
    bench.readers.announce(other)
    bench.run(0)
    assert (one.calls.count("read"), other.calls.count("read")) == (1, 2)


def test_poller_driver_that_invents_channels_for_ever_is_a_fault(bench: Bench) -> None:
    """Each is remembered, so there is an end to them; those there are go on."""
    number = itertools.count()

    def read() -> list[Measurement]:
        return [
            Measurement("old", 1.0, ""),
            *(Measurement(f"c{next(number)}", 1.0, "") for _ in range(100)),
        ]

    poller = bench.poll(slot("s", ScriptedSensor(read), interval_s=1.0, channels={}))
    bench.run(9.5)
    assert bench.faults() == [("s", 1, "channels")]
    assert len(poller.slots["s"].last) == MOST_CHANNELS
    assert len(bench.stored("s.old")) == 10


def test_poller_driver_that_raises_when_closed_is_a_fault_like_any_other(bench: Bench) -> None:
    """The reader lives on."""
    sensor = ScriptedSensor(ZeroDivisionError())

    def explode() -> None:
        raise OSError("cannot even close")

    sensor.close = explode  # type: ignore[method-assign]  # a bad plugin
    bench.poll(slot("bad", sensor))
    bench.run(60)
    assert bench.faults() == [("bad", 1, "driver")]
