"""A driver in front of a fake chip, on time that passes when it is told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from edge_agent.errors import SensorError
from edge_agent.sensors.base import Sensor, Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.types import Measurement
from fakes.clock import FakeClock
from fakes.i2c import FakeAdapter


class ChipBench:
    """One driver and its chip; the clock and the chip have the same time."""

    def __init__(
        self, driver: type[Sensor], chip: Any, options: Any = None, **written: Any
    ) -> None:
        """``options``, or those ``written`` by name."""
        options = options or driver.Options(**written)
        self.chip = chip
        self.address = options.address
        self.adapter = FakeAdapter({self.address: chip})
        self.clock = FakeClock()
        buses = Buses(open_wire=self.adapter.open, sleep=self.sleep)
        self.driver = driver(
            options, Surroundings(bus=buses, sleep=self.sleep, monotonic=self.clock.monotonic)
        )

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.adapter.sleep(seconds)

    def measure(self) -> list[Measurement]:
        self.sleep(self.driver.trigger())
        return list(self.driver.read())

    def values(self) -> Mapping[str, float]:
        return {measured.channel: float(measured.value) for measured in self.measure()}

    def reason(self) -> str:
        """Why a measurement is none."""
        with pytest.raises(SensorError) as caught:
            self.measure()
        assert f"i2c-1 address 0x{self.address:02x}" in str(caught.value)
        return caught.value.reason

    def transfers(self) -> list[str]:
        """What went over the wire since the last call: ``w 01 c3e3``, ``r 00 2``, ``w 20``."""
        seen, self.adapter.transactions = self.adapter.transactions, []
        assert {address for _, address, _, _ in seen} <= {self.address}
        return [_shown(kind, register, data) for kind, _, register, data in seen]


def _shown(kind: str, register: int | None, data: bytes | int) -> str:
    what = data.hex() if isinstance(data, bytes) else str(data)
    return " ".join(filter(None, (kind[-5:].strip()[0], _hex(register), what)))


def _hex(register: int | None) -> str:
    return "" if register is None else f"{register:02x}"
