"""A sensor that is not there: a waveform, noise, and faults on request.

For demonstrations and tests. It is deterministic: the same options, read at the same times, give
the same values and the same faults.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Sequence

from edge_agent.errors import SensorError
from edge_agent.options import Choice, Duration, Number, Text, Whole, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.types import Measurement

# Values are rounded as a real sensor's resolution would: not to hide the noise, but its tail.
_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class SimulatedOptions:
    """What it shows, and which reading goes wrong in which way (0: none)."""

    waveform: str = option(
        Choice(("constant", "sine", "square", "random_walk")),
        "sine",
        help="The shape of the values over time.",
    )
    base: float = option(Number(), 20.0, help="The value in the middle of the waveform.")
    amplitude: float = option(
        Number(least=0),
        1.0,
        help="How far it goes from the base; a random walk: how far it typically gets in a period.",
    )
    period_s: float = option(Duration(least=0.001), 60.0, help="How long one wave takes.")
    noise: float = option(
        Number(least=0), 0.0, help="Standard deviation of the noise added to each value."
    )
    seed: int = option(Whole(), 0, help="What the noise and the random walk are drawn from.")
    unit: str = option(Text(), "celsius", help="The unit the value is said to have.")
    bus: str = option(
        Text(), "simulated", help="The wire it shares: a hang stalls all sensors of that name."
    )
    fail_every: int = option(Whole(least=0), 0, help="Every n-th reading is an error.")
    hang_every: int = option(Whole(least=0), 0, help="Every n-th reading hangs, then goes on.")
    hang_s: float = option(Duration(least=0), 60.0, help="How long a reading hangs.")
    nan_every: int = option(
        Whole(least=0), 0, help="Every n-th reading is not a number, as from a broken driver."
    )
    spike_every: int = option(Whole(least=0), 0, help="Every n-th reading has a spike.")
    spike: float = option(Number(), 1000.0, help="How high a spike stands above the value.")


class Simulated(Sensor):
    """One channel that shows the waveform."""

    Options = SimulatedOptions
    channels = (Channel("", ""),)

    def __init__(self, options: SimulatedOptions, surroundings: Surroundings) -> None:
        self._options = options
        self._sleep: Callable[[float], None] = surroundings.sleep
        self._monotonic: Callable[[], float] = surroundings.monotonic
        self._random = random.Random(options.seed)  # noqa: S311  # repeatable on purpose
        self._started: float | None = None
        self._age_s = 0.0
        self._walked = 0.0
        self._count = 0
        self.bus_name = options.bus
        self.channels = (Channel("", options.unit),)

    def trigger(self) -> float:
        """Nothing to start and nothing to wait for."""
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """The value at this time, with the faults that are due.

        ``nan_every`` breaks the contract on purpose: that is what it is for.

        Raises:
            SensorError: ``simulated``, each time ``fail_every`` asks for it.
        """
        options = self._options
        self._count += 1
        if self._is_due(options.hang_every):
            self._sleep(options.hang_s)
        value = self._value()
        if self._is_due(options.fail_every):
            raise SensorError(
                f"reading {self._count} fails, as `fail_every: {options.fail_every}` asks",
                reason="simulated",
            )
        if self._is_due(options.spike_every):
            value += options.spike
        if self._is_due(options.nan_every):
            value = math.nan
        return [Measurement("", round(value, _DIGITS), options.unit)]

    def close(self) -> None:
        """Nothing to let go of; the waveform and the count of readings go on."""

    def _is_due(self, every: int) -> bool:
        return every > 0 and self._count % every == 0

    def _value(self) -> float:
        """The waveform with noise; time starts with the first reading."""
        now = self._monotonic()
        if self._started is None:
            self._started = now
        past_s, self._age_s = self._age_s, now - self._started
        shape = self._shape(self._age_s - past_s)
        noise = self._random.gauss(0.0, self._options.noise)
        return self._options.base + self._options.amplitude * shape + noise

    def _shape(self, step_s: float) -> float:
        """The waveform about zero: -1 to 1, and for a random walk mostly."""
        phase = self._age_s / self._options.period_s
        match self._options.waveform:
            case "sine":
                return math.sin(math.tau * phase)
            case "square":
                return 1.0 if phase % 1 < 0.5 else -1.0  # noqa: PLR2004  # half a period each
            case "random_walk":
                spread = math.sqrt(step_s / self._options.period_s)
                self._walked += self._random.gauss(0.0, spread)
                return self._walked
            case _:
                return 0.0
