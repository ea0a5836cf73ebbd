"""Chips with commands in place of registers, that refuse what the real ones refuse.

A command and the reading of its answer are two transfers with a STOP between them; to read a
register would be one.
"""

from __future__ import annotations


class FakeBh1750:
    """A BH1750 as slow as its data sheet allows.

    - Each command is one byte with a STOP after it.
    - Its data register keeps the old value, 0 after power-on, until a measurement has ended.
    - Asleep, it does not listen to a measuring time.
    """

    def __init__(self, raw: int = 0x8390) -> None:
        #: what it gives at the usual measuring time
        self.raw = raw
        self.restart()

    def restart(self) -> None:
        """Power-on."""
        self._awake, self._time, self._data, self._left_s = False, 69, 0, 0.0

    def elapse(self, seconds: float) -> None:
        if self._left_s:
            self._left_s = max(self._left_s - seconds, 0.0)
            if self._left_s < 1e-9:
                self._left_s, self._awake = 0.0, False
                self._data = min(self.raw * self._time // 69, 0xFFFF)

    def command(self, data: bytes) -> None:
        assert len(data) == 1, "one command, one STOP"
        command = data[0]
        if command == 0x01:
            self._awake = True
        elif command == 0x20:
            self._awake, self._left_s = True, 0.180 * self._time / 69
        elif command & 0xF8 == 0x40 and self._awake:
            self._time = (command & 0x07) << 5 | self._time & 0x1F
        elif command & 0xE0 == 0x60 and self._awake:
            self._time = self._time & 0xE0 | command & 0x1F

    def answer(self, length: int) -> bytes:
        assert length == 2, "two bytes, high byte first"
        return self._data.to_bytes(2, "big")
