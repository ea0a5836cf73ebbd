"""gpiozero's own mock pins, on time that passes when it is told to, and a chip on mock SPI."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fakes.clock import FakeClock

with warnings.catch_warnings():
    # Version 1.6.2 imports pkg_resources, which warns of its own end.
    warnings.simplefilter("ignore")
    import gpiozero
    from gpiozero.pins import local, mock


class MockPins:
    """The pins of one Pi 3B, none of them in use."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.factory = mock.MockFactory()
        # Version 1.6.2 keeps them for the whole process.
        self.factory.reset()
        self.factory.ticks = clock.monotonic
        # Version 1.6.2 takes every SPI for hardware, and asks spidev.
        self.factory._get_spi_class = lambda shared, hardware: (  # noqa: ARG005  # as gpiozero calls it
            local.LocalPiSoftwareSPIShared if shared else local.LocalPiSoftwareSPI
        )

    @classmethod
    @contextmanager
    def plugged(cls, clock: FakeClock) -> Iterator[MockPins]:
        """In gpiozero's place for pins, until the context ends."""
        pins = cls(clock)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpiozero.Device, "pin_factory", pins.factory)
            if hasattr(mock, "monotonic"):
                patch.setattr(mock, "monotonic", clock.monotonic)
            yield pins
            pins.factory.reset()

    def high(self, number: int) -> None:
        self.factory.pin(number).drive_high()

    def low(self, number: int) -> None:
        self.factory.pin(number).drive_low()

    def flip(self, number: int) -> None:
        """The other level, and its edge."""
        pin = self.factory.pin(number)
        (pin.drive_low if pin.state else pin.drive_high)()

    def bounce(self, number: int, edges: int, every_s: float = 0.001) -> None:
        """So many edges, one after the other; time passes between them."""
        for edge in range(edges):
            if edge:
                self._clock.advance(every_s)
            self.flip(number)

    def flip_unseen(self, number: int) -> None:
        """The other level, without an edge: the kernel had no room for it."""
        pin = self.factory.pin(number)
        pin._state = not pin._state

    def watched(self, number: int) -> Callable[[float, int], None] | None:
        """What the pin library would call: the time of the edge on its clock, and the level."""
        handler: Callable[[float, int], None] | None = self.factory.pin(number).when_changed
        return handler

    def reserved(self, number: int) -> bool:
        """Whether somebody claims the pin."""
        try:
            gpiozero.GPIODevice(number).close()
        except gpiozero.GPIOPinInUse:
            return True
        return False


class FakeMcp(mock.MockSPIDevice):  # type: ignore[misc]  # gpiozero has no types
    """A converter of the MCP3xxx family that shows ``codes``, one for each input.

    Source: the timing diagrams of the data sheets that `edge_agent.sensors.gpio.adc` names.
    """

    def __init__(self, name: str, *codes: int, select: int = 8) -> None:
        super().__init__(11, 10, 9, select)
        self.codes = list(codes)
        self._name = name
        self._bits = 12 if name[4] == "2" else 10
        if name[4] == "3":
            self._bits = 13
        #: every input that was asked for, single-ended or not
        self.asked: list[tuple[int, bool]] = []

    def on_start(self) -> None:
        super().on_start()
        if self._name.endswith("01"):
            # Two clocks to sample, a zero, the value: 16 clocks in all, which may leave some over.
            code = self.codes[0] & ((1 << self._bits) - 1)
            self.tx_word(code << (13 - self._bits), 16)

    def on_bit(self) -> None:
        if self._name.endswith("01") or 1 not in self.rx_buf:
            return
        # Start, single-ended, then three bits of the input; those of two inputs have one bit of it
        # and one for the order of the value's bits, and need no clock to sample.
        two = self._name.endswith("02") and self._bits < 13  # the MCP3302 has four inputs
        header = [int(bit) for bit in self.rx_buf[self.rx_buf.index(1) :]]
        if len(header) == (4 if two else 5):
            number = header[2] if two else header[2] << 2 | header[3] << 1 | header[4]
            self.asked.append((number, bool(header[1])))
            self.tx_word(self.codes[number], self._bits + (1 if two else 2))
