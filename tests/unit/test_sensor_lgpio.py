"""Pins through gpiozero's lgpio pins, which is what a Pi has: claims, edges, times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.clock import FakeClock
from fakes.lgpio import FakeLgpio

from edge_agent.errors import SensorError
from edge_agent.sensors.gpio.pins import Input


class Heard(list[tuple[float, bool]]):
    """The edges of an input."""

    def __call__(self, at: float, closed: bool) -> None:
        self.append((at, closed))


@pytest.fixture
def lgpio() -> Iterator[FakeLgpio]:
    with FakeLgpio.plugged() as fake:
        yield fake


@pytest.fixture
def heard() -> Heard:
    return Heard()


def watch(heard: Heard, clock: FakeClock, pull: str = "up", *, closing_only: bool = False) -> Input:
    return Input(17, pull, heard, clock.monotonic, closing_only=closing_only)


def test_input_on_lgpio_tells_edges_with_the_kernels_time(
    lgpio: FakeLgpio, heard: Heard, clock: FakeClock
) -> None:
    """Nanoseconds on the monotonic clock, as kernels since 5.7 stamp them."""
    pin = watch(heard, clock)
    clock.advance(1.0)
    lgpio.edge(17, 0, at_s=1_000.25)
    lgpio.edge(17, 1, at_s=1_000.5)

    assert heard == [(1_000.25, True), (1_000.5, False)]
    assert pin.is_closed() is False
    pin.close()


@pytest.mark.parametrize(
    ("pull", "claimed"), [("up", (1 << 5, 2)), ("down", (1 << 6, 1)), ("none", (1 << 7, 2))]
)
def test_input_on_lgpio_claims_the_pull_and_the_edges(
    lgpio: FakeLgpio, heard: Heard, clock: FakeClock, pull: str, claimed: tuple[int, int]
) -> None:
    """Both edges, or the closing one alone; the resistor stays on while they are watched."""
    flag, closing = claimed
    for closing_only, edges in ((False, 3), (True, closing)):
        pin = watch(heard, clock, pull, closing_only=closing_only)
        flags, told = lgpio.lines[17]
        assert flags & (1 << 5 | 1 << 6 | 1 << 7) == flag
        assert told == edges
        pin.close()


def test_input_on_lgpio_is_quiet_when_closed_and_watched_when_it_is_had_again(
    lgpio: FakeLgpio, heard: Heard, clock: FakeClock
) -> None:
    """As often as the configuration is read again; one callback, and each edge once."""
    for _ in range(5):
        pin = watch(heard, clock)
        lgpio.edge(17, 0, at_s=1_000.0)
        pin.close()
        # A plain input: no edge of it leaves the kernel.
        assert lgpio.lines[17][1] == 0
        lgpio.edge(17, 1, at_s=1_000.0)
    assert len(heard) == 5
    assert len(lgpio.callbacks) <= 1


def test_edge_on_lgpio_that_is_under_way_while_its_pin_is_closed_ends_no_thread(
    lgpio: FakeLgpio, heard: Heard, clock: FakeClock
) -> None:
    """lgpio has one thread for all pins, and what its callbacks raise ends it."""
    pin = watch(heard, clock)
    (callback,) = lgpio.callbacks
    pin.close()
    callback.func(0, 17, 0, 1_000_000_000_000)
    del pin
    callback.func(0, 17, 1, 1_000_000_000_000)
    assert heard == []

    again = watch(heard, clock)
    lgpio.edge(17, 0, at_s=1_000.0)
    assert heard == [(1_000.0, True)]
    again.close()


def test_input_on_lgpio_that_another_program_holds_says_so(
    lgpio: FakeLgpio, heard: Heard, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By lgpio's own error, which is nobody's relative; afterwards it can be had."""

    def busy(*_: object) -> None:
        raise lgpio.error("'GPIO busy'")

    with monkeypatch.context() as patch:
        patch.setattr(lgpio, "gpio_claim_alert", busy)
        with pytest.raises(SensorError, match="gpioinfo shows which") as caught:
            watch(heard, clock)
    assert caught.value.reason == "in_use"
    watch(heard, clock).close()
