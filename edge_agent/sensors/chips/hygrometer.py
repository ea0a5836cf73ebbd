"""What the hygrometers that are thermometers too do alike.

A chip measures its own temperature to correct the humidity by it. So a temperature that cannot be
believed takes the humidity with it, and a humidity that cannot be believed goes alone.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Channel
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.types import Measurement

#: The raw number at the end of Sensirion's scale.
FULL_SCALE = 0xFFFF


def celsius(raw: int) -> float:
    """The temperature of an SHT3x, SHT4x or SCD4x.

    Source: "Conversion of Signal Output" in the data sheets of SHT3x and SHT4x, and the command
    ``read_measurement`` in that of the SCD4x.
    """
    return -45 + 175 * raw / FULL_SCALE


class Hygrometer(ChipSensor):
    """A chip with a temperature and a humidity."""

    channels = (Channel("temperature", "celsius"), Channel("humidity", "percent"))
    #: of both: what comes after is finer than the converter's step
    _DIGITS: ClassVar[int] = 3

    def _both(
        self, celsius: float, percent: float, trouble: SensorError | None = None
    ) -> Sequence[Measurement]:
        """The two measurements.

        Args:
            celsius: the temperature.
            percent: the relative humidity.
            trouble: why the humidity is none.
        """
        temperature, humidity = self.channels
        return [
            self._measurement(temperature, round(celsius, self._DIGITS)),
            self._measurement(humidity, round(percent, self._DIGITS), trouble),
        ]


class SingleShot(Hygrometer):
    """A Sensirion chip that measures both when it is told to.

    The order holds every setting, so a chip that lost its power measures rightly again with the
    next one. While it measures it does not answer: writing and reading are two transfers.
    """

    #: the command that starts a measurement, and the longest that takes, in seconds
    _order: bytes
    _longest_s: float

    @abc.abstractmethod
    def _set_up(self) -> None:
        """Undo what somebody else may have set."""

    @abc.abstractmethod
    def _converted(self, temperature: int, humidity: int) -> Sequence[Measurement]:
        """The measurements in two raw words, whose check bytes fit."""

    def trigger(self) -> float:
        """Order one measurement.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            BusError: the chip does not answer.
        """
        if not self._is_set_up:
            self._set_up()
            self._is_set_up = True
        self._command(*self._order)
        return self._longest_s

    def read(self) -> Sequence[Measurement]:
        """Temperature and humidity of the measurement that `trigger` ordered.

        Raises:
            SensorError: ``not_ready``, ``crc``, ``saturated``, or a bus error's reason; ``nack``
                is also what a chip says that lost its power since `trigger`.
        """
        self._require_set_up()
        temperature, humidity = self._checked_words(2)
        self._refuse_end_of_scale(temperature, FULL_SCALE, "the temperature")
        return self._converted(temperature, humidity)
