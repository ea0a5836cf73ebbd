"""Filters between what is measured and what is reported, by ESPHome's names.

Source: esphome.io, "Sensor Filters", for the names and what they mean.
"""

from __future__ import annotations

from edge_agent.processing.filters.base import Filter, Step
from edge_agent.processing.filters.calibrate import CalibrateLinear
from edge_agent.processing.filters.chain import Chain
from edge_agent.processing.filters.gates import Delta, SkipInitial, Throttle
from edge_agent.processing.filters.plain import Clamp, Multiply, Offset, Round
from edge_agent.processing.filters.windows import (
    ExponentialMovingAverage,
    Median,
    MovingAverage,
)

__all__ = [
    "CalibrateLinear",
    "Chain",
    "Clamp",
    "Delta",
    "ExponentialMovingAverage",
    "Filter",
    "Median",
    "MovingAverage",
    "Multiply",
    "Offset",
    "Round",
    "SkipInitial",
    "Step",
    "Throttle",
]
