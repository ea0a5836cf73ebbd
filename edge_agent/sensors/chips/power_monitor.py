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

from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.chips.common import ChipSensor, Placed
from edge_agent.sensors.i2c import signed_word
from edge_agent.types import Measurement

#: Registers that both have in the same place.
CONFIG, SHUNT, BUS = 0x00, 0x01, 0x02


class PowerOptions(Placed, Protocol):
    """A chip's place, and the shunt beside it."""

    @property
    def shunt_ohms(self) -> float:
        """Its resistance."""


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

    def __init__(
        self, options: PowerOptions, surroundings: Surroundings, *, config: int, wait_s: float
    ) -> None:
        """Remember what starts one measurement, and the longest that it takes.

        Args:
            options: where the chip is, and its shunt.
            surroundings: the buses.
            config: the word of the configuration register that starts it.
            wait_s: seconds.
        """
        super().__init__(options, surroundings)
        self._shunt_ohms = options.shunt_ohms
        self._config, self._wait_s = config, wait_s

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

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``saturated``, or a bus error's reason.
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
        self._refuse_saturated(*steps)
        volt, ampere = self._convert(*steps)
        return [
            Measurement(channel.name, round(value, self._DIGITS), channel.unit)
            for channel, value in zip(self.channels, (volt, ampere, volt * ampere), strict=True)
        ]

    def _refuse_saturated(self, bus: int, shunt: int) -> None:
        least, most = self._SHUNT_RANGE
        if not least <= shunt <= most:
            raise self._error(
                f"the shunt's voltage is beyond {self._SHUNT_END}; check the load, or use a "
                "smaller shunt",
                "saturated",
            )
        if bus > self._BUS_MOST:
            raise self._error(
                f"the voltage is beyond {self._BUS_END}; take it off at once", "saturated"
            )

    def _shunt(self) -> int:
        """Steps of the shunt's voltage; negative where the current flows backwards."""
        return signed_word(self._bus.read_register(self._address, SHUNT, 2))
