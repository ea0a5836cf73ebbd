"""Chips with commands in place of registers, that refuse what the real ones refuse.

A command and the reading of its answer are two transfers with a STOP between them; to read a
register would be one.
"""

from __future__ import annotations

from fakes.chips import NoRegisters, nack


class FakeBh1750(NoRegisters):
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


class FakeScd4x(NoRegisters):
    """An SCD4x that refuses (NACK, errno 121) what the chip refuses.

    - Anything within a second of power-on, and within 0.5 s of being told to stop.
    - A read without a command before it, or sooner than 1 ms after it; nor a command then, where
      the one before was a setting.
    - While it measures, every command but the few that are allowed then, the start among them.
    - To read a measurement that is not there; reading takes it out.
    """

    START, LOW_POWER, STOP, READ = 0x21B1, 0x21AC, 0x3F86, 0xEC05
    IS_READY, SET_PRESSURE = 0xE4B8, 0xE000

    def __init__(self, data: str = "01f433 6667a2 5eb93c") -> None:
        #: what each measurement gives
        self.data = bytes.fromhex(data)
        #: how it says that a measurement waits
        self.ready = "8006"
        #: set it, and nothing is measured
        self.stuck = False
        self.restart(ready=True)

    def restart(self, *, ready: bool = False) -> None:
        """Power-on; ``ready``: a while ago."""
        self.pressure = 1013
        self.period_s = 0.0
        self._deaf_s = 0.0 if ready else 1.0
        self._next_s = 0.0
        self._has_data = False
        self._answer = b""
        self._answer_in_s = 0.0

    def elapse(self, seconds: float) -> None:
        self._deaf_s = max(self._deaf_s - seconds, 0.0)
        self._answer_in_s -= seconds
        if self.period_s and not self.stuck:
            self._next_s -= seconds
            while self._next_s <= 0:
                self._next_s += self.period_s
                self._has_data = True

    def measures_every(self, period_s: float) -> None:
        """Somebody else has started it."""
        self.period_s = self._next_s = period_s

    def command(self, data: bytes) -> None:
        command = int.from_bytes(data[:2], "big")
        always = (self.STOP, self.READ, self.IS_READY, self.SET_PRESSURE)
        self._refuse(bool(self._deaf_s or (self.period_s and command not in always)))
        self._answer = b""
        if command == self.SET_PRESSURE:
            assert crc_by_bits(data[2:4]) == data[4], "a wrong check byte"
            self.pressure, self._deaf_s = int.from_bytes(data[2:4], "big"), 0.001
        elif command in (self.START, self.LOW_POWER):
            self.measures_every(5.0 if command == self.START else 30.0)
        elif command == self.STOP:
            self.period_s, self._deaf_s = 0.0, 0.5
        else:
            self._prepare(command)

    def answer(self, length: int) -> bytes:
        self._refuse(bool(self._deaf_s or not self._answer or self._answer_in_s > 1e-9))
        answer, self._answer = self._answer, b""
        self._has_data = self._has_data and len(answer) < 9
        assert length == len(answer), "the answer has another length"
        return answer

    def _prepare(self, command: int) -> None:
        """The answer to a question, in 1 ms."""
        self._answer_in_s = 0.001
        if command == self.IS_READY:
            # The bits above the eleven that count are not always clear.
            word = bytes.fromhex(self.ready if self._has_data else "8000")
            self._answer = word + bytes([crc_by_bits(word)])
        elif command == self.READ and self._has_data:
            self._answer = self.data

    @staticmethod
    def _refuse(refused: bool) -> None:  # it reads as a sentence
        if refused:
            nack()


def crc_by_bits(data: bytes) -> int:
    """Sensirion's check byte, as a division of polynomials over single bits."""
    bits = int.from_bytes(data, "big") << 8
    bits ^= 0xFF << 8 * len(data)
    for place in reversed(range(8, 8 + 8 * len(data))):
        if bits >> place & 1:
            bits ^= 0x131 << place - 8
    return bits
