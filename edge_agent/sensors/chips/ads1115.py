"""ADS1115 and ADS1015: four voltages, read one after the other; the driver of both is one.

Sources: Texas Instruments SBAS444 (ADS1115) and SBAS473 (ADS1015); their section numbers differ
from revision to revision, so sections are named here. The ADS1015 has the same registers; its 12
bits stand on the left of the word, and it converts at least as fast at every code, so it is read as
an ADS1115.

Wiring: 2 to 5.5 V, GND, SDA, SCL; address 0x48 with ADDR at GND, 0x49 at VDD, 0x4a at SDA, 0x4b at
SCL. Each input is measured against GND and must stay between GND and VDD, whatever the `gain`: a
supply of 3.3 V does not measure 4 V.

The chip sleeps between conversions (Single-Shot Mode). A power failure takes its
settings back to what it began with; they are read again with every value, so it shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent.errors import SensorError
from edge_agent.options import Conflict, Step, Text, option
from edge_agent.sensors.base import Channel, Surroundings, unless_all_failed
from edge_agent.sensors.chips.common import ChipSensor
from edge_agent.sensors.i2c import address_option, bus_option, signed_word
from edge_agent.types import Measurement

# Register Map, and the bits of the Config Register.
_CONVERSION, _CONFIG = 0x00, 0x01
_READY, _SINGLE_SHOT, _NO_COMPARATOR = 0x8000, 0x0100, 0x0003
#: The configuration after power-on; no setting of ours is the same.
RESET = 0x8583

#: The code of each input against GND (MUX).
INPUTS = {"a0": 4, "a1": 5, "a2": 6, "a3": 7}
#: The code of each full-scale range in volt (PGA).
GAINS = {6.144: 0, 4.096: 1, 2.048: 2, 1.024: 3, 0.512: 4, 0.256: 5}
#: The code of each data rate in conversions a second (DR).
RATES = {8: 0, 16: 1, 32: 2, 64: 3, 128: 4, 250: 5, 475: 6, 860: 7}

# The words at both ends of the range, Data Format: the input lies there or beyond. The ADS1015
# leaves the low four bits clear; an ADS1115 that shows just that is 0.05 % short of its end.
_SATURATED = (0x7FFF, 0x7FF0, -0x8000)

# The rate is kept to within 10 % (Electrical Characteristics), and the chip takes 25 us to wake up
# (Single-Shot Mode).
_SLOWNESS, _WAKE_S = 1.1, 0.000_1
_POLL_S, _POLLS = 0.000_5, 4
#: The longest that `read` may keep the bus for inputs after the first, in seconds.
MOST_KEPT_S = 0.008

# The finest step is 7.8125 uV.
_DIGITS = 7


@dataclasses.dataclass(frozen=True)
class Ads1115ChannelOptions:
    """How one input is measured."""

    gain: float = option(
        Step(tuple(GAINS), unit="volt"),
        4.096,
        help="The range measured, from minus to plus this voltage: the smallest that holds the "
        "signal is the finest.",
    )
    unit: str = option(
        Text(".{1,40}", "a unit of 1 to 40 characters"),
        "volt",
        help="What its values are in after the filters; the chip itself gives volts.",
    )


@dataclasses.dataclass(frozen=True)
class Ads1115Options:
    """Where the chip is, and how long it converts."""

    bus: int | str = bus_option()
    address: int = address_option(0x48, least=0x48, most=0x4B)
    rate: int = option(
        Step(tuple(RATES), unit="a second"),
        860,
        help="Conversions a second, one for each input and reading. With one input, 8 averages the "
        "mains' hum away; with several, 475 or 860 keep the bus free for others.",
    )
    #: by input; the inputs that are read, all where there is none
    channels: Mapping[str, Ads1115ChannelOptions] = dataclasses.field(default_factory=dict)

    def conflicts(self) -> Iterator[Conflict]:
        """The inputs after the first keep the bus while they are converted."""
        inputs = len(inputs_of(self))
        if (inputs - 1) * conversion_s(self.rate) > MOST_KEPT_S:
            yield (
                ("rate", "channels"),
                f"is too slow for {inputs} inputs; use 860, or fewer channels",
            )


def inputs_of(options: Ads1115Options) -> tuple[str, ...]:
    """The inputs that are read, in the order of their numbers: those written, or all."""
    return tuple(name for name in INPUTS if name in options.channels) or tuple(INPUTS)


def config_word(channel: str, gain: float, rate: int) -> int:
    """The configuration that starts one conversion; Config Register."""
    settings = INPUTS[channel] << 12 | GAINS[gain] << 9 | RATES[rate] << 5
    return _READY | _SINGLE_SHOT | _NO_COMPARATOR | settings


def conversion_s(rate: int) -> float:
    """Seconds that a conversion takes at the most."""
    return _SLOWNESS / rate + _WAKE_S


def volts(raw: int, gain: float) -> float:
    """The voltage of a signed word at a full-scale range; Full-Scale Range and LSB Size."""
    return raw * gain / 32768


class Ads1115(ChipSensor):
    """An ADS1115 or ADS1015; a channel for each input that is written, or for all four.

    `trigger` starts the first input's conversion. `read` makes the others one by one: the chip has
    one converter and no memory for a second value.
    """

    Options = Ads1115Options
    ChannelOptions = Ads1115ChannelOptions

    def __init__(self, options: Ads1115Options, surroundings: Surroundings) -> None:
        super().__init__(options, surroundings)
        self._rate = options.rate
        self._inputs = {
            name: options.channels.get(name, Ads1115ChannelOptions()) for name in inputs_of(options)
        }
        self._first = next(iter(self._inputs))
        self.channels = tuple(Channel(name, own.unit) for name, own in self._inputs.items())

    @classmethod
    def channel_names(cls, options: Any) -> Sequence[str]:
        """The inputs that are read."""
        return inputs_of(options)

    def trigger(self) -> float:
        """Start the first input's conversion.

        Returns:
            the longest time it takes, in seconds.

        Raises:
            SensorError: a bus error's reason.
        """
        self._start(self._first)
        self._is_set_up = True
        return conversion_s(self._rate)

    def read(self) -> Sequence[Measurement]:
        """The voltage of each input, in the order of `channels`; one beyond its range is a fault.

        Raises:
            SensorError: ``not_ready``, ``power_on_value``, ``wrong_chip``, ``saturated`` if all
                inputs are, or a bus error's reason.
        """
        self._require_set_up()
        self._is_set_up = False
        return unless_all_failed([self._measured(channel) for channel in self.channels])

    def _measured(self, channel: Channel) -> Measurement:
        name, gain = channel.name, self._inputs[channel.name].gain
        if name != self._first:
            self._start(name)
            self._sleep(conversion_s(self._rate))
        raw = self._fetch(name)
        trouble = self._saturated(name, gain) if raw in _SATURATED else None
        return self._measurement(channel, round(volts(raw, gain), _DIGITS), trouble)

    def _settings(self, name: str) -> int:
        return config_word(name, self._inputs[name].gain, self._rate)

    def _start(self, name: str) -> None:
        self._set_word(_CONFIG, self._settings(name))

    def _fetch(self, name: str) -> int:
        """What one input's conversion gave."""
        self._wait_for(name)
        return signed_word(self._bus.read_register(self._address, _CONVERSION, 2))

    def _saturated(self, name: str, gain: float) -> SensorError:
        return self._error(
            f"{name} is beyond the {gain:g} V of its gain; check its wiring, or choose a larger "
            "gain",
            "saturated",
        )

    def _wait_for(self, name: str) -> None:
        """Return once the conversion that we started has ended; a few quick looks, no more."""
        for _ in range(_POLLS):
            config = self._word(_CONFIG)
            # While it converts, the highest bit is clear; the others are as they were written.
            if config | _READY != self._settings(name):
                raise self._stranger(config)
            if config & _READY:
                return
            self._sleep(_POLL_S)
        raise self._error(f"the conversion of {name} did not end in time", "not_ready")

    def _stranger(self, config: int) -> SensorError:
        """The error for settings that are not those we wrote."""
        if config | _READY == RESET:
            return self._error(
                "power-on settings instead of a measurement: it lost its power; check its supply",
                "power_on_value",
            )
        return self._error(
            f"settings read back as 0x{config:04x}, which no ADS1115 or ADS1015 does; check "
            "`address` and `type`, or who else uses the chip",
            "wrong_chip",
        )
