"""Chips with registers of 16 bits, high byte first, that refuse what the real ones refuse."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar


class WordChip:
    """Registers of one word each: read or written whole, by their number."""

    #: what each register holds after power-on
    POWER_ON: ClassVar[Mapping[int, int]] = {}
    #: the registers that can be written
    WRITABLE: tuple[int, ...] = ()

    def __init__(self) -> None:
        #: set it, and no conversion ends
        self.stuck = False
        self.restart()

    def restart(self) -> None:
        """Power-on."""
        self.words = dict(self.POWER_ON)
        self._left_s = 0.0

    def get(self, register: int, length: int) -> bytes:
        assert length == 2, "a register is one word"
        assert register in self.words, "there is no such register"
        return (self.words[register] & 0xFFFF).to_bytes(2, "big")

    def set(self, register: int, data: bytes) -> None:
        assert register in self.WRITABLE, "this register cannot be written"
        assert len(data) == 2, "a register is one word"
        self.words[register] = int.from_bytes(data, "big")

    def elapse(self, seconds: float) -> None:
        if self._left_s and not self.stuck:
            self._left_s = max(self._left_s - seconds, 0.0)
            if self._left_s < 1e-9:
                self._left_s = 0.0
                self.finish()

    def finish(self) -> None:
        """A conversion has ended."""


class FakeAds1115(WordChip):
    """An ADS1115 as slow as its data sheet allows; ``narrow`` makes it an ADS1015.

    - Its conversion register keeps the old value, 0 after power-on, until a conversion has ended.
    - A start while it converts is passed over; only one input is converted at a time.
    - Beyond the range it shows the range's end.
    """

    POWER_ON: ClassVar = {0x00: 0x0000, 0x01: 0x8583}
    WRITABLE = (0x01,)
    FULL_SCALE = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
    RATES = (8, 16, 32, 64, 128, 250, 475, 860)

    def __init__(self, *inputs_volt: float, narrow: bool = False) -> None:
        self.inputs_volt = list(inputs_volt) or [0.5, 1.0, 1.5, 2.0]
        self.narrow = narrow
        super().__init__()

    def set(self, register: int, data: bytes) -> None:
        super().set(register, data)
        config = self.words[0x01]
        assert config & 0x0100, "the driver converts on request only"
        assert config & 0x4000, "it measures against GND"
        if config & 0x8000 and not self._left_s:
            self._left_s = 1.1 / self.RATES[config >> 5 & 7] + 25e-6
            self._converting = config
        if self._left_s:
            self.words[0x01] &= 0x7FFF

    def finish(self) -> None:
        full_scale = self.FULL_SCALE[self._converting >> 9 & 7]
        raw = round(self.inputs_volt[self._converting >> 12 & 3] * 32768 / full_scale)
        raw = min(max(raw, -0x8000), 0x7FFF)
        self.words[0x00] = raw & 0xFFF0 if self.narrow else raw
        self.words[0x01] |= 0x8000


class FakePower(WordChip, abc.ABC):
    """What INA219 and INA226 have in common: two voltages, converted one after the other.

    - Registers keep their old values, 0 after power-on, until a measurement has ended.
    - Writing the configuration starts a measurement.
    - With the settings of power-on it measures without end.
    """

    WRITABLE = (0x00,)

    def __init__(self, shunt: int, bus: int) -> None:
        #: what the next measurement gives, as in the registers
        self.shunt, self.bus = shunt, bus
        super().__init__()

    def restart(self) -> None:
        super().restart()
        self._left_s = self.takes_s()

    def set(self, register: int, data: bytes) -> None:
        before = self.words[0x00]
        super().set(register, data)
        if self.words[0x00] & 0x8000:
            self.restart()
        self.started(before)
        self._left_s = self.takes_s()

    def finish(self) -> None:
        self.words[0x01], self.words[0x02] = self.shunt, self.bus
        self._complete(1)

    @abc.abstractmethod
    def started(self, before: int) -> None:
        """A measurement begins; ``before`` were other settings, or the same."""

    @abc.abstractmethod
    def takes_s(self) -> float:
        """How long a measurement takes with the settings that are in effect."""

    @abc.abstractmethod
    def _complete(self, flag: int) -> None:
        """Set or clear the flag that a measurement is complete."""


class FakeIna219(FakePower):
    """An INA219 at the slow end of its data sheet, with its example's voltages.

    The flag of a complete measurement is cleared by a new mode or by reading the power register.
    """

    POWER_ON: ClassVar = {0x00: 0x399F, 0x01: 0, 0x02: 0, 0x03: 0, 0x04: 0, 0x05: 0}
    SAMPLES: ClassVar = {3: 1, 9: 2, 10: 4, 11: 8, 12: 16, 13: 32, 14: 64, 15: 128}

    def __init__(self, shunt: int = 0x07D0, bus: int = 0x5D98, *, chip_id: int = 0x399F) -> None:
        #: there is none; another chip has other settings after power-on
        self.chip_id = chip_id
        super().__init__(shunt, bus)

    def restart(self) -> None:
        super().restart()
        self.words[0x00] = self.chip_id

    def get(self, register: int, length: int) -> bytes:
        if register == 0x03:
            self._complete(0)
        return super().get(register, length)

    def started(self, before: int) -> None:
        if (before ^ self.words[0x00]) & 7:
            self._complete(0)

    def takes_s(self) -> float:
        codes = self.words[0x00] >> 3 & 15, self.words[0x00] >> 7 & 15
        return 0.000586 * sum(self.SAMPLES.get(code, 1) for code in codes)

    def _complete(self, flag: int) -> None:
        self.words[0x02] = self.words[0x02] & ~2 | flag << 1


class FakeIna226(FakePower):
    """An INA226 at the slow end of its data sheet, with its example's voltages.

    The flag of a complete measurement is cleared by a start or by reading it.
    """

    POWER_ON: ClassVar = {0x00: 0x4127, 0x01: 0, 0x02: 0, 0x06: 0, 0xFE: 0x5449, 0xFF: 0x2260}
    SAMPLES = (1, 4, 16, 64, 128, 256, 512, 1024)

    def __init__(self, shunt: int = 0x1F40, bus: int = 0x2570, *, chip_id: int = 0x2260) -> None:
        self.chip_id = chip_id
        super().__init__(shunt, bus)

    def get(self, register: int, length: int) -> bytes:
        self.words[0xFF] = self.chip_id
        data = super().get(register, length)
        if register == 0x06:
            self._complete(0)
        return data

    def started(self, before: int) -> None:
        self._complete(0)

    def takes_s(self) -> float:
        config = self.words[0x00]
        assert config & 0x01F8 == 0x0120, "both conversions take 1.1 ms"
        return 2 * 0.00121 * self.SAMPLES[config >> 9 & 7]

    def _complete(self, flag: int) -> None:
        self.words[0x06] = flag << 3
