"""AHT20, AHT21, DHT20 and AHT10 (temperature, humidity).

Sources: Aosong, data sheets AHT20 (2020), DHT20 (version 1.0, 2021-05) and AHT10 (version 1.1).
Sections are named here, because their numbers differ.

Wiring: 3.3 V, GND, SDA, SCL; address 0x38, and 0x39 on those AHT10 boards that can be set.

A chip that lost its power may come back without its calibration; that shows in its status, so
`trigger` looks there first and loads it again. The chip answers while it measures, with a status
that says so and with old values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.options import Choice, option
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips.hygrometer import Hygrometer
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# "Send Command" and "Sensor Reading Process". The 0x71 that the data sheet sends for the status is
# the chip's address with the read bit: a plain read gives the status first.
_MEASURE = (0xAC, 0x33, 0x00)
_BUSY, _CALIBRATED = 0x80, 0x08

# Loading the calibration: "Sensor Reading Process", step 1; of an AHT10, "Send Command".
_LOAD = {"aht20": (0xBE, 0x08, 0x00), "aht10": (0xE1, 0x08, 0x00)}
_LOAD_S = 0.010

# The longest measurement: "Sensor Reading Process", step 3.
_LONGEST_S = 0.080
_POLL_S, _POLLS = 0.005, 3

# Status, humidity and temperature of 20 bits each; then the check byte, which an AHT10 lacks.
_LENGTH = {"aht20": 7, "aht10": 6}
_SCALE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Aht20Options:
    """Where the chip is, and which of the family."""

    bus: int | str = bus_option()
    address: int = address_option(0x38, least=0x38, most=0x39)
    model: str = option(
        Choice(tuple(_LOAD)),
        "aht20",
        help="`aht20` also for AHT21 and DHT20; `aht10` is set up differently and has no CRC.",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """What the chip answers to a plain read."""

    status: int
    #: 20 bits each
    humidity: int
    temperature: int

    @classmethod
    def parse(cls, data: bytes) -> Frame:
        """Six bytes, or more: they are passed over. Source: as above, step 4."""
        both = int.from_bytes(data[1:6], "big")
        return cls(data[0], both >> 20, both & _SCALE - 1)


def celsius(raw: int) -> float:
    """The temperature. Source: "Temperature Conversion"."""
    return raw * 200 / _SCALE - 50


def percent(raw: int) -> float:
    """The relative humidity. Source: "Relative Humidity Conversion"."""
    return raw * 100 / _SCALE


class Aht20(Hygrometer):
    """An AHT20, AHT21, DHT20 or AHT10. None of them has an identity to ask for."""

    Options = Aht20Options

    def __init__(self, options: Aht20Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._load, self._length = _LOAD[options.model], _LENGTH[options.model]

    def trigger(self) -> float:
        """Start one measurement, with the calibration loaded.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: ``calibration``, or a bus error's reason.
        """
        if not self._is_calibrated():
            self._command(*self._load)
            self._sleep(_LOAD_S)
            if not self._is_calibrated():
                raise self._error(
                    "its calibration does not load; check `model`, or replace the chip",
                    "calibration",
                )
        self._command(*_MEASURE)
        self._is_set_up = True
        return _LONGEST_S

    def read(self) -> Sequence[Measurement]:
        """Temperature and humidity of the measurement that `trigger` started.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``crc``, ``saturated``, or a bus error's
                reason.
        """
        self._require_set_up()
        frame = Frame.parse(self._finished())
        if not frame.status & _CALIBRATED:
            raise self._error(
                "it lost its calibration, so its power, while it measured; check its supply",
                "power_on_value",
            )
        # Humidity may be at the ends of its scale: they are 0 and 100 percent.
        self._refuse_end_of_scale(frame.temperature, _SCALE - 1, "the temperature")
        return self._both(celsius(frame.temperature), percent(frame.humidity))

    def _finished(self) -> bytes:
        """The answer, once the measurement is over; a few quick looks, no more."""
        for _ in range(_POLLS):
            data = self._bus.read(self._address, self._length)
            if not data[0] & _BUSY:
                if self._length == _LENGTH["aht20"]:
                    self._check(data)
                return data
            self._sleep(_POLL_S)
        raise self._error(
            "the measurement did not end in time; switch its power off and on", "not_ready"
        )

    def _is_calibrated(self) -> bool:
        return bool(self._bus.read(self._address, 1)[0] & _CALIBRATED)
