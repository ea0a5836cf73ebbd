"""BME280 (temperature, humidity, pressure) and BMP280 (no humidity), told apart by the chip's id.

Sources: Bosch BST-BME280-DS002 and BST-BMP280-DS001. Section numbers below are those of the
BME280's data sheet; the BMP280 has the same registers but those of humidity.

Wiring: 3.3 V, GND, SDA, SCL; address 0x76 with SDO at GND, 0x77 with SDO at 3.3 V.

The chip sleeps between measurements (forced mode, 3.3.3), which also keeps it from warming itself.
A power failure resets it without a word; that shows in a register we wrote, so `trigger` looks
there first and sets up anew, with the calibration of whatever chip is there now.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Choice, option
from edge_agent.sensors.base import Channel, Surroundings, unless_all_failed
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# Registers and their bits, 5.3 and 5.4.
_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF7
_CALIBRATION, _CALIBRATION_LENGTH = 0x88, 26
_CALIBRATION_HUMIDITY, _CALIBRATION_HUMIDITY_LENGTH = 0xE1, 7
_RESET_WORD = 0xB6
_MEASURING, _COPYING = 0x08, 0x01
_FORCED, _MODE = 0x01, 0x03

_BMP280, _BME280, _BME680 = 0x58, 0x60, 0x61

# What the data registers hold after power-on and for a quantity that was not measured (5.4.7,
# 5.4.8, 5.4.9): the middle of the converter's range.
_NO_VALUE, _NO_HUMIDITY = 0x80000, 0x8000

# Start-up time, 1.1, table 1: also that of a reset.
_START_UP_S = 0.002
_POLL_S, _POLLS = 0.002, 5

# The register code of each oversampling, 5.4.3.
_CODES = {"x1": 1, "x2": 2, "x4": 3, "x8": 4, "x16": 5}

# The finest step of the three is 0.0018 hPa (1.3, table 3); what comes after is arithmetic's own.
_DIGITS = 3


@dataclasses.dataclass(frozen=True)
class Bme280Options:
    """Where the chip is, and how long it measures."""

    bus: int | str = bus_option()
    address: int = address_option(0x76, least=0x76, most=0x77)
    oversampling: str = option(
        Choice(tuple(_CODES)),
        "x1",
        help="How often each quantity is measured and averaged; more is calmer and slower.",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Calibration:
    """One chip's factory trimming, named as in the data sheet (4.2.2, table 16)."""

    #: dig_T1 … dig_T3
    t: tuple[int, int, int]
    #: dig_P1 … dig_P9
    p: tuple[int, ...]
    #: dig_H1 … dig_H6, or None on a BMP280
    h: tuple[int, int, int, int, int, int] | None

    @classmethod
    def parse(cls, main: bytes, humidity: bytes | None) -> Calibration:
        """The trimming from its registers.

        Args:
            main: 26 bytes from 0x88, low byte first but for dig_H1, the last.
            humidity: 7 bytes from 0xE1, or None on a BMP280.
        """
        t1, t2, t3, *p = struct.unpack_from("<Hhh Hhhhhhhhh", main)
        h = None if humidity is None else (main[25], *_humidity_words(humidity))
        return cls((t1, t2, t3), tuple(p), h)


def _humidity_words(block: bytes) -> tuple[int, int, int, int, int]:
    """dig_H2 … dig_H6; H4 and H5 are signed, of 12 bits each, and share the byte at 0xE5."""
    h2, h3, e4, e5, e6, h6 = struct.unpack("<hBbBbb", block)
    return h2, h3, e4 << 4 | e5 & 0x0F, e6 << 4 | e5 >> 4, h6


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """What the converter gave."""

    #: 20 bits each
    temperature: int
    pressure: int
    #: 16 bits, or None on a BMP280
    humidity: int | None

    @classmethod
    def parse(cls, data: bytes) -> Raw:
        """The data registers from 0xF7, high byte first: 8 bytes, or 6 from a BMP280."""
        pressure = int.from_bytes(data[0:3], "big") >> 4
        temperature = int.from_bytes(data[3:6], "big") >> 4
        return cls(temperature, pressure, int.from_bytes(data[6:8], "big") if data[6:] else None)

    def missing(self) -> set[str]:
        """The channels that were not measured; all are, where the chip lost power meanwhile."""
        if self.temperature == _NO_VALUE:
            # The others cannot be compensated without it.
            return {"temperature", "humidity", "pressure"}
        found = {"humidity": self.humidity != _NO_HUMIDITY, "pressure": self.pressure != _NO_VALUE}
        return {channel for channel, is_there in found.items() if not is_there}


def fine_temperature(raw: int, calibration: Calibration) -> float:
    """``t_fine``: the temperature in 1/5120 degree Celsius, which the other formulas start from.

    Source: 8.1, ``BME280_compensate_T_double``.
    """
    t1, t2, t3 = calibration.t
    linear = (raw / 16384 - t1 / 1024) * t2
    square = (raw / 131072 - t1 / 8192) ** 2 * t3
    return linear + square


def pressure_hectopascal(raw: int, t_fine: float, calibration: Calibration) -> float:
    """The air pressure in hectopascal.

    Raises:
        SensorError: the calibration makes it a division by zero.

    Source: 8.1, ``BME280_compensate_P_double``.
    """
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration.p
    t = t_fine / 2 - 64000
    offset = (t * t * p6 / 32768 + t * p5 * 2) / 4 + p4 * 65536
    sensitivity = (1 + (p3 * t * t / 524288 + p2 * t) / 524288 / 32768) * p1
    if sensitivity == 0:
        raise SensorError(
            "the BME280's pressure calibration is empty; replace the chip", reason="calibration"
        )
    pascal = (1048576 - raw - offset / 4096) * 6250 / sensitivity
    pascal += (p9 * pascal * pascal / 2147483648 + pascal * p8 / 32768 + p7) / 16
    return pascal / 100


def humidity_percent(
    raw: int, t_fine: float, trimming: tuple[int, int, int, int, int, int]
) -> float:
    """The relative humidity in percent, cut to 0 … 100 as the data sheet does.

    Source: 8.1, ``BME280_compensate_H_double``.
    """
    h1, h2, h3, h4, h5, h6 = trimming
    t = t_fine - 76800
    slope = h2 / 65536 * (1 + h6 / 67108864 * t * (1 + h3 / 67108864 * t))
    humidity = (raw - (h4 * 64 + h5 / 16384 * t)) * slope
    humidity *= 1 - h1 * humidity / 524288
    return min(max(humidity, 0.0), 100.0)


def compensate(raw: Raw, calibration: Calibration) -> dict[str, float]:
    """Raw values to quantities: celsius, percent and hectopascal, by channel; a pure function.

    Args:
        raw: complete raw values of the chip that ``calibration`` was read from.
        calibration: the trimming; without that of humidity there is none in the result.
    """
    t_fine = fine_temperature(raw.temperature, calibration)
    values = {"temperature": t_fine / 5120}
    if raw.humidity is not None and calibration.h is not None:
        values["humidity"] = humidity_percent(raw.humidity, t_fine, calibration.h)
    values["pressure"] = pressure_hectopascal(raw.pressure, t_fine, calibration)
    return values


def longest_measurement_s(oversampling: int, *, humidity: bool) -> float:
    """Seconds that a forced measurement takes at the most: x1 9.3 ms, x16 112.8 ms.

    Source: 9.1, maximum measurement time.
    """
    per_quantity_ms = 2.3 * oversampling
    quantities = 3 if humidity else 2
    # Every quantity but the temperature has a start of its own.
    return (1.25 + quantities * per_quantity_ms + (quantities - 1) * 0.575) / 1000


class Bme280(ChipSensor):
    """A BME280 or BMP280.

    ``humidity`` stands among the channels of both: which chip it is shows only when it answers,
    and a configuration is checked without one. A BMP280 never returns it.
    """

    Options = Bme280Options
    channels = (
        Channel("temperature", "celsius"),
        Channel("humidity", "percent"),
        Channel("pressure", "hectopascal"),
    )

    def __init__(self, options: Bme280Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._oversampling = int(options.oversampling.removeprefix("x"))
        self._code = _CODES[options.oversampling]
        self._calibration: Calibration | None = None

    def trigger(self) -> float:
        """Start one measurement of everything.

        Returns:
            the longest time it takes, in seconds (9.1).

        Raises:
            SensorError: ``wrong_chip``, ``not_ready``, ``calibration``, or a bus error's reason.
        """
        settings = self._code << 5 | self._code << 2
        calibration = self._calibration
        if calibration is None or self._get(_CTRL_MEAS) & ~_MODE != settings:
            calibration = self._calibration = self._set_up()
        has_humidity = calibration.h is not None
        if has_humidity:
            # It takes effect with the next write to ctrl_meas only (5.4.3).
            self._set(_CTRL_HUM, self._code)
        self._set(_CTRL_MEAS, settings | _FORCED)
        return longest_measurement_s(self._oversampling, humidity=has_humidity)

    def read(self) -> Sequence[Measurement]:
        """The values of the measurement that `trigger` started, in the order of `channels`.

        A humidity or pressure that was not measured is a fault of its channel alone.

        Raises:
            SensorError: ``not_ready``, ``power_on_value`` if there is no temperature,
                ``calibration``, or a bus error's reason.
        """
        if self._calibration is None:
            raise self._error("read before a measurement was started", "not_ready")
        self._wait_for(_MEASURING, "the measurement")
        # One block, so that all bytes are of one measurement (4.1, shadowing).
        raw = Raw.parse(self._block(_DATA, 6 if self._calibration.h is None else 8))
        lost_power = self._error(
            "a power-on value instead of a measurement: it lost its power; check its supply",
            "power_on_value",
        )
        troubles = dict.fromkeys(raw.missing(), lost_power)
        values = compensate(raw, self._calibration)
        return unless_all_failed(
            [
                self._measurement(one, round(values[one.name], _DIGITS), troubles.get(one.name))
                for one in self.channels
                if one.name in values
            ]
        )

    def close(self) -> None:
        """Forget the calibration: another chip may answer next time."""
        self._calibration = None

    def _set_up(self) -> Calibration:
        has_humidity = self._identify()
        self._set(_RESET, _RESET_WORD)
        self._sleep(_START_UP_S)
        # The calibration registers are empty until they are copied from the chip's memory.
        self._wait_for(_COPYING, "its start")
        main = self._block(_CALIBRATION, _CALIBRATION_LENGTH)
        if len(set(main)) == 1:
            raise self._error(
                f"a calibration of 0x{main[0]:02x} throughout; check SDA, or replace the chip",
                "calibration",
            )
        humidity = (
            self._block(_CALIBRATION_HUMIDITY, _CALIBRATION_HUMIDITY_LENGTH)
            if has_humidity
            else None
        )
        return Calibration.parse(main, humidity)

    def _identify(self) -> bool:
        """Whether the chip measures humidity; raises where it is none of ours."""
        chip = self._get(_ID)
        if chip == _BME680:
            raise self._error(
                "a BME680; use `type: iio` with dtoverlay=i2c-sensor,bme680", "wrong_chip"
            )
        if chip not in (_BMP280, _BME280):
            raise self._error(
                f"chip id 0x{chip:02x}, which is neither BME280 (0x60) nor BMP280 (0x58); check "
                "`address` and `type`",
                "wrong_chip",
            )
        return chip == _BME280

    def _wait_for(self, bit: int, what: str) -> None:
        """Return once ``bit`` of the status register is clear; a few quick looks, no more."""
        for _ in range(_POLLS):
            if not self._get(_STATUS) & bit:
                return
            self._sleep(_POLL_S)
        raise self._error(f"{what} did not end in time; switch its power off and on", "not_ready")

    def _get(self, register: int) -> int:
        return self._block(register, 1)[0]

    def _set(self, register: int, value: int) -> None:
        self._bus.write_register(self._address, register, bytes([value]))

    def _block(self, register: int, length: int) -> bytes:
        return self._bus.read_register(self._address, register, length)
