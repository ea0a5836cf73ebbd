"""Thermometers that are hygrometers too, and refuse what the real ones refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fakes.chips import CommandChip, nack

#: 25 degrees Celsius and the same raw number for the humidity, with their check bytes.
SENSIRION_FRAME = bytes.fromhex("666693 8000a2")


class FakeSht3x(CommandChip):
    """An SHT3x: commands of two bytes, 1 ms apart; deaf while it measures.

    In periodic mode (``periodic``) it takes no single order until it is told to break.
    """

    #: the longest single shots at a supply of 2.4 V and more
    MEASURES_S: ClassVar[Mapping[bytes, float]] = {
        b"\x24\x16": 0.004,
        b"\x24\x0b": 0.006,
        b"\x24\x00": 0.015,
    }

    def __init__(self, measures: bytes = SENSIRION_FRAME, *, periodic: bool = False) -> None:
        self.measures = measures
        super().__init__()
        self.periodic = periodic

    def restart(self) -> None:
        super().restart()
        self.periodic = False

    def obey(self, data: bytes) -> None:
        if data == b"\x30\x93":
            self.periodic, self.busy_s = False, 0.001
        elif self.periodic:
            nack()
        elif data == b"\x30\xa2":
            self.restart()
            self.busy_s = 0.0015
        else:
            self.busy_s, self.answers = self.MEASURES_S[data], self.measures


class FakeSht4x(CommandChip):
    """An SHT4x: commands of one byte; deaf while it measures."""

    MEASURES_S: ClassVar[Mapping[int, float]] = {0xE0: 0.0016, 0xF6: 0.0045, 0xFD: 0.0083}

    def __init__(self, measures: bytes = SENSIRION_FRAME) -> None:
        self.measures = measures
        super().__init__()

    def obey(self, data: bytes) -> None:
        (order,) = data
        if order == 0x94:
            self.restart()
        else:
            self.busy_s, self.answers = self.MEASURES_S[order], self.measures


class FakeAht20(CommandChip):
    """An AHT20, or an AHT10 with ``model="aht10"``: answers while it measures, with old values.

    It comes back from a power failure without its calibration, unless told otherwise.
    """

    START_UP_S = 0.0
    MEASURES_S = 0.075

    def __init__(
        self,
        measures: bytes = bytes.fromhex("269a7642e7"),
        *,
        model: str = "aht20",
        calibrated: bool = False,
    ) -> None:
        self.measures = measures
        self.load = {"aht20": b"\xbe\x08\x00", "aht10": b"\xe1\x08\x00"}[model]
        self.length = {"aht20": 7, "aht10": 6}[model]
        #: what is added to the check byte
        self.spoiled = 0
        super().__init__()
        self.calibrated = calibrated

    def restart(self) -> None:
        super().restart()
        self.calibrated = False
        self.data, self._next = bytes(5), b""

    def obey(self, data: bytes) -> None:
        if data == self.load:
            self.calibrated, self.busy_s = True, 0.010
        elif data == b"\xac\x33\x00":
            self.busy_s, self._next = self.MEASURES_S, self.measures
        # Anything else is not for this chip, and it says nothing.

    def elapse(self, seconds: float) -> None:
        super().elapse(seconds)
        if self._next and not self.busy_s:
            self.data, self._next = self._next, b""

    def answer(self, length: int) -> bytes:
        assert length <= self.length, "more was read than the chip has to say"
        reserved = 0x17
        status = (0x80 if self.busy_s else 0) | (0x08 if self.calibrated else 0) | reserved
        said = bytes([status]) + self.data
        return (said + bytes([_crc(said) ^ self.spoiled]))[:length]


class FakeHtu21d(CommandChip):
    """An HTU21D, SHT2x or Si7021: two measurements, at two resolutions; deaf while it measures.

    Its user register is read with a repeated start, its values are not.
    """

    START_UP_S = 0.015
    #: the longest times of each part at the resolution of power-on and at 13 and 10 bits
    MEASURES_S: ClassVar[Mapping[tuple[str, int], tuple[float, float]]] = {
        ("htu21d", 0xF3): (0.050, 0.025),
        ("htu21d", 0xF5): (0.016, 0.005),
        ("sht2x", 0xF3): (0.085, 0.043),
        ("sht2x", 0xF5): (0.029, 0.009),
        ("si7021", 0xF3): (0.0108, 0.0062),
        ("si7021", 0xF5): (0.0228, 0.0107),
    }
    USERS: ClassVar[Mapping[str, int]] = {"htu21d": 0x02, "sht2x": 0x3A, "si7021": 0x3A}

    def __init__(self, model: str = "htu21d") -> None:
        self.model = model
        self.temperature = bytes.fromhex("4e856b")
        self.humidity = bytes.fromhex("683a7c")
        #: clear it, and the user register stays as it is
        self.keeps = True
        super().__init__()

    def restart(self) -> None:
        super().restart()
        self.user = self.USERS[self.model]

    def get(self, register: int, length: int) -> bytes:
        assert (register, length) == (0xE7, 1), "the chip needs a STOP before it is read"
        if self.busy_s:
            nack()
        return bytes([self.user])

    def set(self, register: int, data: bytes) -> None:
        assert (register, len(data)) == (0xE6, 1)
        reserved = 0x38
        assert data[0] & reserved == self.user & reserved, "reserved bits must be kept"
        if self.keeps:
            self.user = data[0]

    def obey(self, data: bytes) -> None:
        (order,) = data
        full_s, coarse_s = self.MEASURES_S[self.model, order]
        self.busy_s = coarse_s if self.user & 0x81 == 0x80 else full_s
        self.answers = self.temperature if order == 0xF3 else self.humidity


def _crc(data: bytes) -> int:
    """The check byte by long division of the whole message, unlike the product's loop."""
    message = int.from_bytes(bytes([data[0] ^ 0xFF]) + data[1:] + b"\0", "big")
    for place in range(8 * len(data) + 7, 7, -1):
        if message >> place & 1:
            message ^= 0x131 << place - 8
    return message
