"""What is declared of sensors and their channels, whatever their type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edge_agent.config.shape import Brief, Named, OneOf, Section
from edge_agent.kinds import Duration, Labels, Text
from edge_agent.options import option
from edge_agent.processing import filters as steps
from edge_agent.processing.alarms import Alarm
from edge_agent.processing.anomaly import Anomaly
from edge_agent.processing.kinds import Several
from edge_agent.processing.reporting import Report
from edge_agent.processing.valid import Valid

_DAY_S = 86_400
_NAME = Text(
    r"(?!agent\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,99}",
    "a name of at most 100 letters, digits, '.', '_' and '-', the first a letter or digit "
    "(agent. is how the agent's own names begin)",
)


@dataclasses.dataclass(frozen=True)
class Filters:
    """The filters there are, by the names they are written with."""

    offset: steps.Offset | None = option(
        Brief(steps.Offset, short="offset"), None, help="Adds a number."
    )
    multiply: steps.Multiply | None = option(
        Brief(steps.Multiply, short="factor"), None, help="Multiplies by a number."
    )
    calibrate_linear: steps.CalibrateLinear | None = option(
        Brief(steps.CalibrateLinear, short="datapoints"),
        None,
        help='Maps what is measured to what it means: ["2.8 -> 0", "1.2 -> 100"].',
    )
    median: steps.Median | None = option(
        Brief(steps.Median, short="window_size"),
        None,
        help="The median of the last values, which makes single outliers vanish.",
    )
    moving_average: steps.MovingAverage | None = option(
        Brief(steps.MovingAverage, short="window_size"),
        None,
        help="The mean of the last values (ESPHome: sliding_window_moving_average).",
    )
    exponential_moving_average: steps.ExponentialMovingAverage | None = option(
        Brief(steps.ExponentialMovingAverage, short="alpha"),
        None,
        help="The mean of all values, older ones weighing less and less.",
    )
    clamp: steps.Clamp | None = option(
        Section(steps.Clamp), None, help="Holds values within limits, or drops those outside."
    )
    round: steps.Round | None = option(
        Brief(steps.Round, short="decimals"),
        None,
        help="Rounds to so many decimals, halves to the even neighbour; 0 gives whole numbers.",
    )
    delta: steps.Delta | None = option(
        Brief(steps.Delta, short="margin"),
        None,
        help="Passes a value that is farther than this from the last that passed; '2%' is a share "
        "of that.",
    )
    throttle: steps.Throttle | None = option(
        Brief(steps.Throttle, short="period"),
        None,
        help="Passes a value when the last that passed is so long ago.",
    )
    skip_initial: steps.SkipInitial | None = option(
        Brief(steps.SkipInitial, short="count"),
        None,
        help="Drops so many values after a start or a fault, while a sensor warms up.",
    )


@dataclasses.dataclass(frozen=True)
class Shaping:
    """What becomes of the values of one quantity, in this order."""

    filters: tuple[steps.Filter, ...] = option(
        Several(OneOf(Filters, noun="a filter", example="{offset: -0.4}")),
        (),
        help="What values go through, in the order written. Words and switches pass untouched.",
    )
    valid: Valid = option(
        Section(Valid), Valid(), help="A value outside is a fault, and not sent as a value."
    )
    report: Report = option(
        Section(Report), Report(), help="Which values are reported; absent: all."
    )
    alarms: tuple[Alarm, ...] = option(
        Several(Section(Alarm), alone=True),
        (),
        key="alarm",
        help="Limits: one reading when a value goes beyond, and one when it is back.",
    )
    anomaly: Anomaly | None = option(
        Section(Anomaly),
        None,
        help="Values out of the ordinary are sent at priority anomaly, with their score; {} takes "
        "the defaults.",
    )


@dataclasses.dataclass(frozen=True)
class _Naming:
    name: str | None = option(
        _NAME, None, help="Its public name, in place of the sensor's name and the channel's."
    )


@dataclasses.dataclass(frozen=True)
class Channel(Shaping, _Naming):
    """One quantity of a sensor that measures several."""


@dataclasses.dataclass(frozen=True)
class _Basics:
    name: str = option(_NAME, help="Its public name, the sensor_name on the wire.")
    type: str = option(Text(), help="Which driver reads it.")
    interval_s: float | None = option(
        Duration(0.1, _DAY_S), None, help="How often it is read; defaults.interval if absent."
    )
    metadata: dict[str, Any] = option(
        Labels(), help="Goes into the metadata of its readings.", fresh=dict
    )
    channels: dict[str, Channel] = option(
        Named(Section(Channel)),
        help="Settings of single channels, where it measures several; all are read anyway.",
        fresh=dict,
    )


@dataclasses.dataclass(frozen=True)
class SensorCommon(Shaping, _Basics):
    """What every sensor has; the driver's own options stand beside it.

    What becomes of values stands here for sensors of one quantity, and under channels for others.
    """


@dataclasses.dataclass(frozen=True)
class Sensor:
    """One configured sensor, ready to be built."""

    name: str
    type: str
    interval_s: float
    metadata: Mapping[str, Any]
    #: by the driver's channel name, each that can be measured; ``""`` where there is just one
    channels: Mapping[str, Channel]
    #: an instance of the driver's ``Options``
    options: Any

    def public_name(self, channel: str) -> str:
        """The ``sensor_name`` on the wire of one of the driver's channels."""
        own = self.channels[channel].name
        return own or (f"{self.name}.{channel}" if channel else self.name)
