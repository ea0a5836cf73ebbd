"""TMP117 (temperature).

Source: Texas Instruments SNOSD82D. Section numbers below are its.

Wiring: 3.3 V, GND, SDA, SCL; address 0x48 with ADD0 at GND, 0x49 at 3.3 V, 0x4A at SDA, 0x4B at
SCL. The pin ALERT is not used.

Each measurement is ordered singly (one-shot mode, 7.4.3), which keeps the chip from warming itself;
the order holds every setting. An offset that is programmed into the chip stays in force.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Choice, option
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.chips.thermometer import Thermometer
from edge_agent.sensors.i2c import address_option, bus_option
from edge_agent.types import Measurement

# 7.6 (register map).
_TEMPERATURE, _CONFIGURATION, _DEVICE = 0x00, 0x01, 0x0F

# 7.6, configuration register: bits 11 and 10 are 11 for one measurement, 01 once it is over and the
# chip is asleep, 00 at power-on. Data_Ready is cleared by being read.
_ONE_SHOT, _SINGLE, _READY = 0x0C00, 0x0400, 0x2000

# 7.6, device id register: the four highest bits are the revision.
_TMP117, _ID = 0x0117, 0x0FFF

# 7.6, configuration register, AVG, and how many measurements it averages.
_AVERAGES = {"x1": (0x00, 1), "x8": (0x20, 8), "x32": (0x40, 32), "x64": (0x60, 64)}

# 6.5, conversion time: the longest.
_ONE_MEASUREMENT_S = 0.0175
_POLL_S, _POLLS = 0.002, 5

# 7.6, temperature register: what it holds from power-on to the first measurement, -256 degrees.
_NO_VALUE = 0x8000
_STEPS_PER_DEGREE = 128


@dataclasses.dataclass(frozen=True)
class Tmp117Options:
    """Where the chip is, and how calm its values are."""

    bus: int | str = bus_option()
    address: int = address_option(0x48, least=0x48, most=0x4B)
    averaging: str = option(
        Choice(tuple(_AVERAGES)),
        "x8",
        help="How many measurements make one value; more is calmer and slower: x64 takes 1.1 s.",
    )


def celsius(word: int) -> float:
    """The temperature, from 16 bits in two's complement. Source: 7.3.3, table 7-1."""
    return (word - 2 * (word & 0x8000)) / _STEPS_PER_DEGREE


class Tmp117(Thermometer):
    """A TMP117."""

    Options = Tmp117Options

    def __init__(self, options: Tmp117Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._average, self._times = _AVERAGES[options.averaging]

    def trigger(self) -> float:
        """Order one measurement.

        Returns:
            the longest time it takes, in seconds (6.5 and 7.3.2).

        Raises:
            SensorError: ``wrong_chip``, or a bus error's reason.
        """
        if not self._is_set_up:
            self._identify()
        self._set_word(_CONFIGURATION, _ONE_SHOT | self._average)
        return self._times * _ONE_MEASUREMENT_S

    def read(self) -> Sequence[Measurement]:
        """The temperature of the measurement that `trigger` ordered.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``range``, or a bus error's reason.
        """
        self._require_set_up()
        self._wait_until_ready()
        word = self._word(_TEMPERATURE)
        if word == _NO_VALUE:
            raise self._lost_power()
        return self._measured(celsius(word))

    def _identify(self) -> None:
        device = self._word(_DEVICE)
        if device & _ID != _TMP117:
            raise self._error(
                f"device id 0x{device:04x}, which is no TMP117 (0x0117); check `address` and "
                "`type`",
                "wrong_chip",
            )
        self._is_set_up = True

    def _wait_until_ready(self) -> None:
        """Return once the measurement is over; a few quick looks, no more."""
        for _ in range(_POLLS):
            state = self._word(_CONFIGURATION)
            if not state & _SINGLE:
                raise self._lost_power()
            if state & _READY:
                return
            self._sleep(_POLL_S)
        raise self._error(
            "the measurement did not end in time; switch its power off and on", "not_ready"
        )

    def _lost_power(self) -> SensorError:
        return self._error(
            "its settings are gone, so it lost its power while it measured; check its supply",
            "power_on_value",
        )
