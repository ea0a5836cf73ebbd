"""A computer without a battery: the time comes late, and the readings had it all along."""

from __future__ import annotations

import time
from bisect import bisect
from collections import Counter
from typing import Any

import pytest
from fakes.commands import crc_by_bits
from fakes.hardware import AIR, SENSORS, Table
from fakes.time_server import TimeServer

#: The interval of the sensor, and what the way to a value takes in a guest that is slow.
TOLERANCE_S = 2.0
#: Less than a second's readings.
TRIED = 10


def frame(step: int) -> bytes:
    """What an SHT3x says at ``step`` steps of its converter (Sensirion SHT3x-DIS, 4.13)."""
    word = step.to_bytes(2, "big")
    return 2 * (word + bytes([crc_by_bits(word)]))


def step(celsius: float) -> int:
    """The way back."""
    return round((celsius + 45) * 0xFFFF / 175)


def told_right(reading: dict[str, Any]) -> bool:
    """Whether the reading says of itself that its time is right."""
    return reading["metadata"].get("clock") != "unsynced"


def off(reading: dict[str, Any], changed_s: dict[int, float]) -> float:
    """How far a reading's time is outside the time when the chip had its value."""
    steps = sorted(changed_s)
    at = bisect(steps, step(reading["value"])) - 1
    begin_s = changed_s[steps[at]]
    end_s = changed_s[steps[at + 1]] if at + 1 < len(steps) else time.time()
    return max(begin_s - reading["timestamp"], reading["timestamp"] - end_s, 0.0)


@pytest.mark.fault(
    "clock",
    "by years",
    "while running",
    "before and after a reboot",
    how="an emulated computer without a battery starts in 1970 and gets the time by NTP",
)
def test_clock_of_1970_is_put_right_in_readings_taken_before_the_time_came(table: Table) -> None:
    """Without a network; the time by NTP; each value bears the time when the chip had it."""
    guest, agent, chip = table.guest, table.agent, table.adapter.lines[AIR].chip
    table.receive().end()
    guest.run("systemctl stop pyvorin-agent")
    guest.run("find /var/lib/pyvorin -type f -delete")
    # What a Pi has that is new from its box: no time saved by a service.
    guest.run("systemctl stop systemd-timesyncd; rm -f /var/lib/systemd/timesync/clock")
    table.configure(SENSORS)
    guest.set_carrier(up=False)
    chip.measures = frame(9_000)
    changed_s = {9_000: time.time()}
    guest.reboot()
    kernel = guest.run("journalctl -k --no-pager | grep 'setting system clock'")
    print(kernel, guest.run("date"))
    assert "1970-01-02" in kernel
    table.wait_queued(20)
    for number in range(10_000, 10_004):
        changed_s[number] = time.time()
        chip.measures = frame(number)
        table.wait_queued(20)
    assert table.health()["clock"] == "unsynced"
    with TimeServer() as server:
        guest.lead_to_time(server.port)
        guest.set_carrier(up=True)
        print(agent.wait_for("clock_step"))
    table.receive()
    chip.measures = frame(20_000)
    changed_s[20_000] = time.time()
    guest.until(lambda: step(table.last("air.temperature") or 0.0) == 20_000, "readings after it")
    table.close()
    readings = table.received("air.temperature")
    marks = [reading["metadata"].get("clock") for reading in readings]
    off_s = max(off(reading, changed_s) for reading in readings if told_right(reading))
    table.tell(f"{dict(Counter(marks))}, {off_s:.2f} s off at most")
    # What was in the one request that was tried before the time came is sent again as it was.
    assert marks.count("unsynced") <= TRIED
    assert off_s < TOLERANCE_S
    steps = {step(reading["value"]) for reading in readings if told_right(reading)}
    assert steps >= changed_s.keys()
