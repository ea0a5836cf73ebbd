"""Thermometers with registers, that hold what the real ones hold at power-on."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar


class Thermometer(abc.ABC):
    """Registers, some of which can be written, and a result that takes its time."""

    #: registers that can be written: width in bytes, value at power-on, bits that are kept
    WRITABLE: Mapping[int, tuple[int, int, int]] = {}

    def __init__(self, measures: int) -> None:
        #: what the next measurement will give, as in the result register
        self.measures = measures
        #: set it, and no measurement ever ends
        self.stuck = False
        #: clear it, and nothing that is written stays
        self.keeps = True
        self.restart()

    def restart(self) -> None:
        """Power-on."""
        self.registers = {place: value for place, (_, value, _) in self.WRITABLE.items()}
        self.result = 0
        self.left_s = self.takes_s()

    @abc.abstractmethod
    def takes_s(self) -> float:
        """The longest that a measurement takes with the settings in effect; 0 while asleep."""

    def finish(self) -> None:
        """A measurement ended."""
        self.result = self.measures

    def elapse(self, seconds: float) -> None:
        if self.left_s and not self.stuck:
            self.left_s = max(self.left_s - seconds, 0.0)
            if not self.left_s:
                self.finish()

    def get(self, register: int, length: int) -> bytes:
        width = self.WRITABLE.get(register, (2, 0, 0))[0]
        assert length == width, "the register is read whole"
        return self.value(register).to_bytes(width, "big")

    def value(self, register: int) -> int:
        if register == self.result_register():
            return self.result
        return self.registers[register]

    def result_register(self) -> int:
        return 0

    def set(self, register: int, data: bytes) -> None:
        width, _, kept = self.WRITABLE[register]
        assert len(data) == width, "the register is written whole"
        if self.keeps:
            self.registers[register] = int.from_bytes(data, "big") & kept
            self.written(register)

    def written(self, register: int) -> None:  # noqa: B027  # most chips do nothing then
        """A register has a new value."""


class FakeMcp9808(Thermometer):
    """An MCP9808: four measurements a second, 0 degrees until the first; asleep if told so."""

    WRITABLE: ClassVar[Mapping[int, tuple[int, int, int]]] = {
        0x01: (2, 0x0000, 0x07FF),
        0x02: (2, 0x0000, 0x1FFC),
        0x03: (2, 0x0000, 0x1FFC),
        0x04: (2, 0x0000, 0x1FFC),
        0x08: (1, 0x03, 0x03),
    }

    def __init__(self, measures: int = 0xC194) -> None:
        self.chip_id = 0x0400
        self.maker = 0x0054
        super().__init__(measures)

    def takes_s(self) -> float:
        return 0.0 if self.registers[0x01] & 0x0100 else 0.25

    def result_register(self) -> int:
        return 0x05

    def value(self, register: int) -> int:
        fixed = {0x06: self.maker, 0x07: self.chip_id}
        return fixed[register] if register in fixed else super().value(register)

    def written(self, register: int) -> None:
        if register == 0x01:
            self.left_s = self.takes_s()


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the LM75's family."""

    #: of the configuration: width and power-on value
    configuration: tuple[int, int]
    #: bits of the result at power-on, and with the resolution set to the finest
    bits: tuple[int, int]
    #: how long a measurement takes with each
    takes_s: tuple[float, float]


PARTS: Mapping[str, Part] = {
    "lm75": Part((1, 0x00), (9, 9), (0.3, 0.3)),
    "lm75b": Part((1, 0x00), (11, 11), (0.1, 0.1)),
    "pct2075": Part((1, 0x00), (11, 11), (0.1, 0.1)),
    "tmp75": Part((1, 0x00), (9, 12), (0.0375, 0.3)),
    "tmp102": Part((2, 0x60A0), (12, 12), (0.035, 0.035)),
}


class FakeLm75(Thermometer):
    """One of the family: 0 degrees until the first measurement; asleep if told so.

    What stands below the result's bits is undefined: here, ones; of a TMP102 the last one, which
    is the flag of extended mode, is zero.
    """

    def __init__(self, measures: int = 0x1940, model: str = "lm75") -> None:
        self.part = PARTS[model]
        self.below = 0xFFFE if model == "tmp102" else 0xFFFF
        width, value = self.part.configuration
        self.WRITABLE = {
            0x01: (width, value, (1 << 8 * width) - 1),
            0x02: (2, 0x4B00, 0xFF80),
            0x03: (2, 0x5000, 0xFF80),
        }
        super().__init__(measures)

    def configuration(self) -> int:
        """The first byte: bits 6 and 5 are the resolution, bit 0 sends it to sleep."""
        return self.get(0x01, self.part.configuration[0])[0]

    def fine(self) -> bool:
        return self.configuration() & 0x60 == 0x60

    def takes_s(self) -> float:
        return 0.0 if self.configuration() & 1 else self.part.takes_s[self.fine()]

    def is_extended(self) -> bool:
        """A TMP102 told to give thirteen bits: bit 4 of its second byte, and the result's last."""
        return self.part.configuration[0] == 2 and bool(self.registers[0x01] & 0x10)

    def finish(self) -> None:
        if self.is_extended():
            self.result = self.measures & 0xFFF8 | 0x0001
            return
        below = (1 << 16 - self.part.bits[self.fine()]) - 1
        self.result = self.measures & ~below | self.below & below

    def written(self, register: int) -> None:
        if register == 0x01:
            self.left_s = self.takes_s()


class FakeTmp117(Thermometer):
    """A TMP117: measures once when told so, then sleeps; at power-on it measures for ever."""

    WRITABLE: ClassVar[Mapping[int, tuple[int, int, int]]] = {0x01: (2, 0x0220, 0x0FFE)}
    TIMES: ClassVar[Mapping[int, int]] = {0x00: 1, 0x20: 8, 0x40: 32, 0x60: 64}

    def __init__(self, measures: int = 0x0C80) -> None:
        self.chip_id = 0x0117
        super().__init__(measures)

    def restart(self) -> None:
        super().restart()
        self.result, self.ready = 0x8000, False

    def takes_s(self) -> float:
        """The longest that the sheet knows, and a little less."""
        return 0.0174 * self.TIMES[self.registers[0x01] & 0x60]

    def finish(self) -> None:
        super().finish()
        self.ready = True
        if self.registers[0x01] & 0x0C00 == 0x0C00:
            self.registers[0x01] &= ~0x0800

    def value(self, register: int) -> int:
        if register == 0x0F:
            return self.chip_id
        flags = 0x2000 if self.ready and register == 0x01 else 0
        # Looking clears it, at the configuration and at the result.
        self.ready = False
        return super().value(register) | flags

    def written(self, register: int) -> None:
        self.ready = False
        self.left_s = self.takes_s()
