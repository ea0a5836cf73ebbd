"""What the thermometers in registers do alike: chips that send no check byte with their values.

Most of them measure all the time and hold 0 degrees from power-on until the first measurement is
done, which is a temperature like any other. So a register that the chip forgets without power is
used as a mark: the value is taken only while the mark is there. The mark also tells a data line
that is stuck: it would not read back.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar

from edge_agent.sensors.base import Channel
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.types import Measurement

#: What silicon lives through: the widest range that any of these chips is made for (TMP117, 6.3).
LEAST_CELSIUS, MOST_CELSIUS = -55.0, 150.0

# The finest step of them is 1/128 degree Celsius.
_DIGITS = 4


class Thermometer(ChipSensor):
    """A chip with one temperature."""

    channels = (Channel("", "celsius"),)

    def _measured(self, celsius: float) -> Sequence[Measurement]:
        if not LEAST_CELSIUS <= celsius <= MOST_CELSIUS:
            raise self._error(
                f"{celsius} degrees Celsius, which the chip cannot measure; check SDA and its "
                "supply, or replace it",
                "range",
            )
        return [Measurement("", round(celsius, _DIGITS), "celsius")]


class MarkedThermometer(Thermometer):
    """A chip that measures all the time; the driver sets it up, and takes its words apart."""

    #: the result, of 16 bits
    _RESULT: ClassVar[int]
    #: a limit's register, what is written there, and which bits of it the chip keeps
    _MARK: ClassVar[tuple[int, int, int]]
    #: the longest first measurement, in seconds
    _FIRST_S: ClassVar[float]

    @abc.abstractmethod
    def _set_up(self) -> None:
        """Say who it is, where it can, and make it measure."""

    @abc.abstractmethod
    def _celsius(self, word: int) -> float:
        """The temperature in the result register's word."""

    def trigger(self) -> float:
        """See that the chip is measuring.

        Returns:
            0.0, or what the first measurement takes after the chip was set up.

        Raises:
            SensorError: ``wrong_chip``, or a bus error's reason.
        """
        if self._is_set_up and self._is_marked():
            return 0.0
        self._is_set_up = False
        self._set_up()
        register, mark, _ = self._MARK
        self._set_word(register, mark)
        if not self._is_marked():
            raise self._error(
                "it does not keep what is written; check `address`, `type` and SDA, and switch "
                "its power off and on",
                "wrong_chip",
            )
        self._is_set_up = True
        return self._FIRST_S

    def read(self) -> Sequence[Measurement]:
        """The temperature measured last.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``range``, or a bus error's reason.
        """
        self._require_set_up()
        word = self._word(self._RESULT)
        # Afterwards: had the power failed before the value was read, the mark would be gone now.
        if not self._is_marked():
            raise self._error(
                "its settings are gone, so its value may be that of power-on; check its supply",
                "power_on_value",
            )
        return self._measured(self._celsius(word))

    def _is_marked(self) -> bool:
        register, mark, kept = self._MARK
        return self._word(register) & kept == mark
