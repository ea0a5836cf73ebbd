"""SCD40, SCD41 and SCD43: carbon dioxide, temperature and humidity.

Source: Sensirion SCD4x data sheet, version 1.3 (September 2022); section numbers are its own.

Wiring: 2.4 to 5.5 V (up to 205 mA for a moment: 2.2), GND, SDA, SCL; address 0x62. It wants fresh
air for minutes every week: its self-calibration, on from the factory, takes the lowest value for
400 ppm. The driver leaves that as it is, and writes nothing to its memory, which wears (3.9.1).

The chip measures by itself every 5 s once it was told to, and goes on when the agent ends; only a
few commands are allowed meanwhile (table 9). An agent that starts again finds it measuring, with a
value waiting, or is refused when it starts it once more. A chip that has nothing new for longer
than a period has lost its power, and is started anew. One that was set by someone else to measure
more rarely is stopped, and started by the next `trigger`.

A command and the reading of its answer are two transfers with a STOP between them (3.3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Number, option
from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.chips.hygrometer import celsius
from edge_agent.sensors.i2c import address_option, bus_option, crc8
from edge_agent.types import Measurement

# Commands, table 9.
_START, _STOP, _READ = 0x21B1, 0x3F86, 0xEC05
_IS_READY, _SET_PRESSURE = 0xE4B8, 0xE000
# The time between a command and its answer, table 9.
_EXECUTION_S = 0.001
# Every 5 s (3.5.1), by a clock of its own.
_PERIOD_S = 5.5
# 3.8.2: any of these bits is set when a value waits.
_WAITING = 0x07FF
# The most it can show, 1.1, in ppm.
_MOST_PPM = 40_000

_DIGITS = 3


@dataclasses.dataclass(frozen=True)
class Scd4xOptions:
    """Where the chip is, and how thin the air."""

    bus: int | str = bus_option()
    address: int = address_option(0x62, least=0x62, most=0x62)
    pressure: float | None = option(
        Number(least=700, most=1200, unit="hectopascal"),
        None,
        help="The air pressure at the place (not reduced to sea level), which the carbon dioxide "
        "is corrected by: 1013 at the sea, 899 at 1000 m, 795 at 2000 m. Absent: what the chip "
        "has in its memory.",
    )


def percent(raw: int) -> float:
    """The relative humidity, 3.5.2."""
    return 100 * raw / 65535


class Scd4x(ChipSensor):
    """An SCD40, SCD41 or SCD43, measuring every 5 s."""

    Options = Scd4xOptions
    channels = (
        Channel("co2", "ppm"),
        Channel("temperature", "celsius"),
        Channel("humidity", "percent"),
    )

    def __init__(self, options: Scd4xOptions, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._monotonic: Callable[[], float] = surroundings.monotonic
        self._pressure = options.pressure
        #: monotonic seconds when a value must be there; None: not known to measure
        self._due: float | None = None

    def trigger(self) -> float:
        """See to it that the chip measures.

        Returns:
            seconds until a value must be there; 0.0 where one waits.

        Raises:
            SensorError: ``crc``, or a bus error's reason.
        """
        is_ready, due = self._is_ready(), self._due
        left_s = 0.0 if is_ready or due is None else due - self._monotonic()
        if due is None or not (is_ready or left_s > 0):
            self._set_up(start=not is_ready)
            left_s = 0.0 if is_ready else _PERIOD_S
        return left_s

    def read(self) -> Sequence[Measurement]:
        """The latest values, which are taken out of the chip by reading them.

        Impossible carbon dioxide is a fault of its channel alone.

        Raises:
            SensorError: ``not_ready``, ``crc``, or a bus error's reason.
        """
        if self._due is None:
            raise self._error("read before it was told to measure", "not_ready")
        if not self._is_ready():
            # It may measure at another pace; stopped, it is started anew in 0.5 s (3.5.3).
            self._write(_STOP)
            raise self._error("no value within a period; it is started anew", "not_ready")
        co2, temperature, humidity = self._ask(_READ, 3)
        self._due = self._monotonic() + _PERIOD_S
        values = (co2, celsius(temperature), percent(humidity))
        troubles = (self._impossible(co2), None, None)
        return [
            self._measurement(channel, round(value, _DIGITS), trouble)
            for channel, value, trouble in zip(self.channels, values, troubles, strict=True)
        ]

    def close(self) -> None:
        """Forget that it measures; it goes on."""
        self._due = None

    def _set_up(self, *, start: bool) -> None:
        if self._pressure is not None:
            word = round(self._pressure).to_bytes(2, "big")
            self._write(_SET_PRESSURE, word + bytes([crc8(word)]))
            self._sleep(_EXECUTION_S)
        if start:
            self._start()
        self._due = self._monotonic() + _PERIOD_S

    def _start(self) -> None:
        """Have it measure; it refuses where it does so already."""
        try:
            self._write(_START)
        except SensorError as error:
            if error.reason != "nack":
                raise

    def _is_ready(self) -> bool:
        return bool(self._ask(_IS_READY, 1)[0] & _WAITING)

    def _ask(self, command: int, count: int) -> list[int]:
        """The words that a command is answered with; the chip needs a STOP and a moment."""
        self._write(command)
        self._sleep(_EXECUTION_S)
        return self._checked_words(count)

    def _write(self, command: int, argument: bytes = b"") -> None:
        self._bus.write(self._address, command.to_bytes(2, "big") + argument)

    def _impossible(self, co2: int) -> SensorError | None:
        """Why this is no carbon dioxide of any air; the chip's thermometer may be well."""
        if co2 == 0:
            return self._error(
                "0 ppm of carbon dioxide, which is no measurement; check its supply",
                "power_on_value",
            )
        if co2 >= _MOST_PPM:
            return self._error(f"beyond the {_MOST_PPM} ppm it can measure", "saturated")
        return None
