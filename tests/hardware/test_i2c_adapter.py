"""I2C as Linux has it: raw transfers, registers, and what goes wrong on wires."""

from __future__ import annotations

import pytest
from fakes.hardware import AIR, SENSORS, Table


def test_i2c_chips_are_read_through_the_kernel(table: Table) -> None:
    """A chip of commands by raw transfers, one of registers by combined ones."""
    table.receive()
    table.start(SENSORS)
    assert table.wait_received("air.temperature", 5)["value"] == 25.0
    assert table.wait_received("air.humidity", 5)["value"] == pytest.approx(50.0, abs=0.01)
    assert table.wait_received("plate", 5)["value"] == 26.5
    table.close()


@pytest.mark.fault(
    "sensor",
    "NACKs",
    "garbage",
    "hangs in the kernel",
    how="a chip behind Linux's I2C driver does not answer, gives a wrong check byte, holds the bus",
)
@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        ("silent", {"nack"}),
        ("spoilt", {"crc"}),
        # The kernel gives each transfer up after two seconds; whoever waits longest says so first.
        ("hung", {"io", "hang"}),
    ],
)
def test_i2c_fault_is_told_and_heals_by_itself(table: Table, fault: str, reasons: set[str]) -> None:
    """No answer, a wrong check byte, a bus that is held: no value, and all else goes on."""
    table.receive()
    table.start(SENSORS)
    table.wait_received("air.temperature", 2)
    pid = table.agent.pid()
    setattr(table.adapter.lines[AIR], fault, True)
    told = table.wait_received("agent.sensor_fault", value=1, sensor="air")
    assert told["metadata"]["reason"] in reasons
    # The last values from before it may be on their way; then there are none.
    values = len(table.received("air.temperature"))
    others = len(table.received("pi.uptime"))
    table.wait_received("pi.uptime", others + 3)
    assert len(table.received("air.temperature")) <= values + 1
    setattr(table.adapter.lines[AIR], fault, False)
    table.wait_received("agent.sensor_fault", value=0, sensor="air")
    assert table.wait_received("air.temperature", values + 3)["value"] == 25.0
    assert {data["value"] for data in table.received("air.temperature")} == {25.0}
    assert table.agent.pid() == pid
    table.close()


@pytest.mark.fault(
    "sensor", "absent", how="the USB adapter of the bus is unplugged, and plugged in"
)
def test_i2c_adapter_unplugged_and_plugged_in_again_is_read_again(table: Table) -> None:
    """The device file is gone, and comes back; nobody restarts anything."""
    table.receive()
    table.start(SENSORS)
    table.wait_received("plate", 2)
    pid = table.agent.pid()
    table.guest.unplug()
    for sensor in ("air", "plate"):
        told = table.wait_received("agent.sensor_fault", value=1, sensor=sensor)
        assert told["metadata"]["reason"] in ("absent_bus", "nack", "io")
    table.guest.run("test ! -e /dev/i2c-1")
    before = len(table.received("plate"))
    table.guest.plug()
    for sensor in ("air", "plate"):
        table.wait_received("agent.sensor_fault", value=0, sensor=sensor)
    table.wait_received("plate", before + 2)
    assert table.agent.pid() == pid
    table.close()
