"""A meter that gives pulses: water, gas, energy (S0), rain, wind.

Wiring: an open collector, a reed contact or an S0 output between the pin and GND with ``pull: up``;
or to 3.3 V with ``pull: down``. Never more than 3.3 V: a flow sensor fed with 5 V needs a divider,
unless its output is an open collector. ``pulses_per_unit`` is on the meter's plate.

``total`` only ever goes up. It is counted in whole pulses and survives restarts; pulses while no
agent runs are not seen. ``rate`` is what was counted between two readings, over the time between
them; a reading after the start has none.

A pulse counts when it closes the circuit. A reed contact bounces and needs ``debounce``, shorter
than both the pulse and the pause: a closing counts then if the circuit had been quiet that long, so
neither end of a pulse counts twice, and a pulse may be shorter than ``debounce`` without being
lost. Without it the opening edges are left to the kernel, and more pulses a second can be
counted: 100 on a Pi Zero and 500 on a Pi 3 or later are expected, measured on neither.

What a change of the configuration does to the total:

- ``pulses_per_unit``: the total stays, and goes on in the new steps.
- ``initial``: if it is written and is another than before, the total starts there anew: for a new
  meter, or one that was read. Taken away, nothing changes.
- ``unit``: it is another quantity, and starts at ``initial``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.options import Choice, Conflict, Duration, Number, Text, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.sensors.gpio.pins import BUS, Input, pin_option, pull_conflicts, pull_option
from edge_agent.types import Measurement

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
# Enough to tell two pulses apart, without the tail of a division.
_DIGITS = 9


@dataclasses.dataclass(frozen=True)
class PulseOptions:
    """Which pin, and what a pulse is worth."""

    pin: int = pin_option()
    pull: str = pull_option()
    pulses_per_unit: float = option(
        Number(least=0.000_001), 1.0, help="How many pulses make one unit: the meter's constant."
    )
    unit: str = option(
        Text(".{1,40}", "a unit of 1 to 40 characters"),
        "pulse",
        help="What the total is in: litre, kilowatt_hour, millimetre.",
    )
    rate_per: str = option(
        Choice(tuple(_SECONDS)), "minute", help="What the rate is per: litre_per_minute."
    )
    initial: float | None = option(
        Number(least=0),
        None,
        help="What the meter shows when counting begins; another number later sets the total anew.",
    )
    debounce_s: float = option(
        Duration(most=5),
        0.0,
        help="How long the circuit must have been quiet for a pulse to count: 0s for electronic "
        "outputs, 10ms to 50ms for a reed contact.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """The pull that a pin can have."""
        return pull_conflicts(self.pin, self.pull)


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """A total: ``pulses`` of the same worth since it was ``start``."""

    start: float
    pulses: int
    pulses_per_unit: float
    unit: str
    #: the ``initial`` that it began with, as it was written
    initial: float | None

    @property
    def total(self) -> float:
        """In ``unit``."""
        return self.start + self.pulses / self.pulses_per_unit

    @classmethod
    def begin(cls, options: PulseOptions) -> Count:
        """The first one."""
        return cls(
            options.initial or 0.0, 0, options.pulses_per_unit, options.unit, options.initial
        )

    @classmethod
    def parse(cls, state: Any) -> Count | None:
        """What was kept; None if there is nothing, or not of this driver's making."""
        if not isinstance(state, dict) or state.keys() != {f.name for f in dataclasses.fields(cls)}:
            return None
        kept = cls(**state)
        numbers = (kept.start, kept.pulses_per_unit, kept.initial or 0.0)
        well = (
            type(kept.pulses) is int
            and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
            and kept.pulses_per_unit > 0
        )
        return kept if well else None

    def under(self, options: PulseOptions) -> Count:
        """The one to go on with, by a configuration that may have changed."""
        anew = options.initial is not None and options.initial != self.initial
        if anew or options.unit != self.unit:
            return Count.begin(options)
        if options.pulses_per_unit == self.pulses_per_unit:
            return self
        return dataclasses.replace(
            self, start=self.total, pulses=0, pulses_per_unit=options.pulses_per_unit
        )


class Pulse(Sensor):
    """A pulse counter on one pin."""

    Options = PulseOptions
    bus_name = BUS
    channels = (Channel("total", ""), Channel("rate", ""))
    keeps_state = True
    watches = True

    def __init__(self, options: PulseOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._monotonic = surroundings.monotonic
        self._input: Input | None = None
        #: since this was built; written by the pin library's one thread only, so no pulse is lost
        #: to a lock or between two threads that add
        self._pulses = 0
        #: time of the newest edge; that thread's own
        self._newest = -math.inf
        #: what was counted before, once that is known
        self._before: Count | None = None
        #: time and pulses at the last `read`
        self._last: tuple[float, int] | None = None
        rate = f"{options.unit}_per_{options.rate_per}"
        self.channels = (Channel("total", options.unit), Channel("rate", rate))

    def trigger(self) -> float:
        """Claim the pin if that was not done yet.

        Raises:
            SensorError: ``library``, ``in_use``, ``permission``, ``pull``, ``board``, ``absent`` or
                ``failed``, as gpiozero says.
        """
        if self._input is None:
            options = self._options
            self._input = Input(
                options.pin,
                options.pull,
                self._edge,
                self._monotonic,
                closing_only=not options.debounce_s,
            )
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """The total, and the rate since the last call; nothing until `restore` was called.

        Raises:
            SensorError: ``not_ready``.
        """
        if self._input is None:
            raise SensorError(
                f"GPIO{self._options.pin}: read before a measurement was started",
                reason="not_ready",
            )
        now, pulses = self._monotonic(), self._pulses
        if self._before is None:
            return []
        total, rate = self.channels
        count = self._counted(self._before, pulses)
        measured = [Measurement(total.name, round(count.total, _DIGITS), total.unit)]
        if self._last is not None and now > self._last[0]:
            then, before = self._last
            units = (pulses - before) / self._options.pulses_per_unit
            per_unit_time = units / (now - then) * _SECONDS[self._options.rate_per]
            measured.append(Measurement(rate.name, round(per_unit_time, _DIGITS), rate.unit))
        self._last = now, pulses
        return measured

    def restore(self, state: Any) -> None:
        """Go on from an earlier total; from ``initial`` if there is none or it is another's."""
        kept = Count.parse(state)
        self._before = kept.under(self._options) if kept else Count.begin(self._options)

    def state(self) -> Any:
        """The count so far; None before `restore`, which must not replace what is kept."""
        if self._before is None:
            return None
        return dataclasses.asdict(self._counted(self._before, self._pulses))

    def close(self) -> None:
        """Let go of the pin; the count stays."""
        if self._input is not None:
            self._input.close()
        self._input = None
        self._last = None

    def _edge(self, at: float, closed: bool) -> None:  # noqa: FBT001  # as `Input` calls it
        """One edge, in the pin library's thread."""
        quiet_s, self._newest = at - self._newest, at
        if closed and (not self._options.debounce_s or quiet_s >= self._options.debounce_s):
            self._pulses += 1

    @staticmethod
    def _counted(before: Count, pulses: int) -> Count:
        return dataclasses.replace(before, pulses=before.pulses + pulses)
