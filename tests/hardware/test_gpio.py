"""Lines of a GPIO chip of Linux, through lgpio and gpiozero as on Raspberry Pi OS."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fakes.gpio_sim import AS_A_PI, GpioSim
from fakes.hardware import Table
from fakes.time_server import TimeServer

DOOR, METER = 17, 27
PULSES = 2000
SENSORS = f"""
sensors:
  - {{name: door, type: contact, pin: {DOOR}}}
  - {{name: water, type: pulse, pin: {METER}, interval: 500ms}}
"""
#: What the way to a line takes in a guest that is slow.
TOLERANCE_S = 1.0


@pytest.fixture
def lines(table: Table) -> Iterator[GpioSim]:
    """The lines, high, in a guest that knows the time."""
    sim = GpioSim(table.guest)
    for line in (DOOR, METER):
        sim.pull(line, up=True)
    with TimeServer() as server:
        table.guest.lead_to_time(server.port)
        table.guest.run("systemctl restart systemd-timesyncd")
        flag = "/run/systemd/timesync/synchronized"
        table.guest.until(lambda: table.guest.run(f"ls {flag}", status=None).strip() == flag, flag)
        table.agent.drop_in(AS_A_PI)
        table.receive()
        table.start(SENSORS)
        table.wait_received("door")
        yield sim


def test_gpio_contact_tells_each_edge_with_the_time_it_had(table: Table, lines: GpioSim) -> None:
    """A door that opens and closes: on the way at once, whatever the interval is."""
    moved_s = []
    for closed in (True, False) * 5:
        began_s = time.time()
        lines.pull(DOOR, up=not closed)
        moved_s.append((began_s, time.time(), closed))
    table.guest.until(lambda: len(table.received("door")) >= 11, "ten edges at the receiver")
    table.close()
    edges = table.received("door")[-10:]
    off_s = 0.0
    for (began_s, ended_s, closed), edge in zip(moved_s, edges, strict=True):
        assert edge["value"] == int(closed)
        off_s = max(off_s, began_s - edge["timestamp"], edge["timestamp"] - ended_s)
    table.tell(f"an edge's time is {off_s:.3f} s off at most")
    assert off_s < TOLERANCE_S


def test_gpio_meter_counts_every_pulse(table: Table, lines: GpioSim) -> None:
    """As many a second as a Pi 3 is expected to count."""
    before = table.last("water.total") or 0
    rate = lines.pulses(METER, PULSES, per_second=500)
    table.tell(f"{PULSES} pulses, {rate:.0f} a second")
    table.guest.until(lambda: (table.last("water.total") or 0) >= before + PULSES, "every pulse")
    table.close()
    assert table.last("water.total") == before + PULSES
