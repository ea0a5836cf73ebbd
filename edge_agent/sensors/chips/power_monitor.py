"""What the power monitors of one maker do alike: supply voltage, current by a shunt, their product.

The current is computed from the shunt's voltage here. The chips could do it, but after a power
failure their calibration register is empty, and they would say 0 A without a word. They sleep
between measurements (triggered mode); the settings that `PowerMonitor.trigger` finds show whether
the chip kept its power.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Protocol

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Channel, Surroundings, unless_all_failed
from edge_agent.sensors.chips.common import ChipSensor, Placed
from edge_agent.sensors.i2c import signed_word
from edge_agent.types import Measurement

#: Registers that both have in the same place.
CONFIG, SHUNT, BUS = 0x00, 0x01, 0x02


class PowerOptions(Placed, Protocol):
    """A chip's place, the shunt beside it, and how long it measures."""

    @property
    def shunt_ohms(self) -> float:
        """Its resistance."""

    @property
    def average(self) -> int:
        """How many samples make a measurement."""


class PowerMonitor(ChipSensor):
    """A chip with one shunt; the driver says who it is, starts it, and takes its words apart."""

    channels = (
        Channel("voltage", "volt"),
        Channel("current", "ampere"),
        Channel("power", "watt"),
    )
    #: of what is measured; what comes after is arithmetic's own
    _DIGITS: ClassVar[int]
    #: the least and the greatest step of the shunt, and the greatest word of the bus, that are
    #: not at the end of their scale
    _SHUNT_RANGE: ClassVar[tuple[int, int]]
    _BUS_MOST: ClassVar[int]
    #: the voltages at those ends, for a person
    _SHUNT_END: ClassVar[str]
    _BUS_END: ClassVar[str]

    def __init__(self, options: PowerOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._shunt_ohms = options.shunt_ohms
        self._config, self._wait_s = self._order(options.average)

    @staticmethod
    @abc.abstractmethod
    def _order(average: int) -> tuple[int, float]:
        """The configuration that starts a measurement, and the longest that it takes in seconds."""

    @abc.abstractmethod
    def _identify(self) -> None:
        """Raise ``wrong_chip`` if it is another one."""

    @abc.abstractmethod
    def _start(self) -> None:
        """Write the configuration, with the flag of a complete measurement cleared."""

    @abc.abstractmethod
    def _fetch(self) -> tuple[int, int] | None:
        """The word of the bus register and the steps of the shunt; None if it is not over."""

    @abc.abstractmethod
    def _convert(self, bus: int, shunt: int) -> tuple[float, float]:
        """Volts of the supply, and amperes through the shunt."""

    def trigger(self) -> float:
        """Start one measurement of shunt and bus.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: ``wrong_chip``, or a bus error's reason.
        """
        if not self._is_set_up or self._word(CONFIG) != self._config:
            self._identify()
        self._start()
        self._is_set_up = True
        return self._wait_s

    def read(self) -> Sequence[Measurement]:
        """Voltage, current and power of the measurement that `trigger` started.

        A short circuit leaves the voltage, and too high a voltage the current; the power needs
        both.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``saturated`` if both are, or a bus
                error's reason.
        """
        self._require_set_up()
        steps = self._fetch()
        if steps is None:
            raise self._error("the measurement did not end in time", "not_ready")
        if self._word(CONFIG) != self._config:
            raise self._error(
                "settings changed during the measurement: it lost its power; check its supply",
                "power_on_value",
            )
        volt, ampere = self._convert(*steps)
        too_high, too_much = self._too_high(steps[0]), self._too_much(steps[1])
        said = zip(
            self.channels,
            (volt, ampere, volt * ampere),
            (too_high, too_much, too_high or too_much),
            strict=True,
        )
        return unless_all_failed(
            [self._measurement(one, round(value, self._DIGITS), bad) for one, value, bad in said]
        )

    def _too_high(self, bus: int) -> SensorError | None:
        if bus <= self._BUS_MOST:
            return None
        return self._error(
            f"the voltage is beyond {self._BUS_END}; take it off at once", "saturated"
        )

    def _too_much(self, shunt: int) -> SensorError | None:
        least, most = self._SHUNT_RANGE
        if least <= shunt <= most:
            return None
        return self._error(
            f"the shunt's voltage is beyond {self._SHUNT_END}; check the load, or use a smaller "
            "shunt",
            "saturated",
        )

    def _shunt(self) -> int:
        """Steps of the shunt's voltage; negative where the current flows backwards."""
        return signed_word(self._bus.read_register(self._address, SHUNT, 2))
