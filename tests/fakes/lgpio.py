"""The part of lgpio that gpiozero's pins stand on: lines of one chip, and edges to callbacks.

Source: joan2937/lg, lgGpio.c: an edge is told only of a line claimed for alerts, with the kernel's
monotonic time; claiming a line that is one kind of input as the other frees it first.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: A Pi 3B, as /proc names it.
REVISION = 0xA02082

_PULL_UP, _PULL_DOWN, _PULL_NONE = 1 << 5, 1 << 6, 1 << 7


class Callback:
    """One callback, until it is cancelled."""

    def __init__(self, chip: FakeLgpio, gpio: int, func: Callable[..., None]) -> None:
        self.chip, self.gpio, self.func = chip, gpio, func
        chip.callbacks.append(self)

    def cancel(self) -> None:
        if self in self.chip.callbacks:
            self.chip.callbacks.remove(self)


class FakeLgpio(types.ModuleType):
    """The module, and the chip behind it."""

    RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3
    SET_PULL_UP = SET_BIAS_PULL_UP = _PULL_UP
    SET_PULL_DOWN = SET_BIAS_PULL_DOWN = _PULL_DOWN
    SET_PULL_NONE = SET_BIAS_DISABLE = _PULL_NONE
    error = type("error", (Exception,), {})

    def __init__(self) -> None:
        super().__init__("lgpio")
        #: by line: what it is claimed with, and the edges that are told (0: a plain input)
        self.lines: dict[int, tuple[int, int]] = {}
        self.levels: dict[int, int] = {}
        self.callbacks: list[Callback] = []

    @classmethod
    @contextmanager
    def plugged(cls) -> Iterator[FakeLgpio]:
        """In lgpio's place, with gpiozero standing on it, until the context ends."""
        fake = cls()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "lgpio", fake)
            # It takes what it needs of lgpio when it is imported.
            patch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
            from gpiozero import Device  # noqa: PLC0415  # not before lgpio is in its place
            from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415

            patch.setattr(LGPIOFactory, "_get_revision", lambda _: REVISION)
            factory = LGPIOFactory()
            patch.setattr(Device, "pin_factory", factory)
            yield fake
            factory.close()
            factory._reservations.clear()
        sys.modules.pop("gpiozero.pins.lgpio", None)

    def edge(self, gpio: int, level: int, at_s: float) -> None:
        """The line changes at that time; told as lgpio's thread does."""
        self.levels[gpio] = level
        told = self.RISING_EDGE if level else self.FALLING_EDGE
        if self.lines.get(gpio, (0, 0))[1] & told:
            for callback in self.callbacks:
                if callback.gpio == gpio:
                    callback.func(0, gpio, level, round(at_s * 1e9))

    # -- what gpiozero calls -------------------------------------------------------------------

    def gpiochip_open(self, chip: int) -> int:
        return chip

    def gpiochip_close(self, handle: int) -> None: ...

    def gpio_claim_input(self, handle: int, gpio: int, flags: int = 0) -> None:
        if gpio not in self.lines or self.lines[gpio][1]:
            self.lines[gpio] = (flags, 0)

    def gpio_claim_output(self, handle: int, gpio: int) -> None:
        raise AssertionError(f"GPIO{gpio} is made an output, against whatever drives it")

    def gpio_claim_alert(self, handle: int, gpio: int, edges: int, flags: int = 0) -> None:
        self.lines[gpio] = (flags, edges)

    def gpio_free(self, handle: int, gpio: int) -> None:
        del self.lines[gpio]

    def gpio_get_mode(self, handle: int, gpio: int) -> int:
        return self.lines[gpio][0]

    def gpio_read(self, handle: int, gpio: int) -> int:
        return self.levels.get(gpio, 1)

    def callback(self, handle: int, gpio: int, edges: int, func: Callable[..., None]) -> Any:
        return Callback(self, gpio, func)
