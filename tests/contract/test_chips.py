"""What every driver of an I2C chip keeps besides, and what its fake refuses as the chip would."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.data_sheets import CHIPS, every_chip, frame, those
from fakes.every_driver import BENCHES, ON_A_BUS, Bench
from fakes.i2c import FakeAdapter
from fakes.ioctl import FakeKernel

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c import Buses


@pytest.fixture
def bench(name: str) -> Iterator[Bench]:
    made = BENCHES[name]()
    yield made
    made.driver.close()


def changed(bench: Bench, name: str) -> None:
    for attribute, value in CHIPS[name].change.items():
        setattr(bench.chip, attribute, value)


def test_chips_are_all_here() -> None:
    """None can be added without a word on each of these."""
    assert set(CHIPS) == set(ON_A_BUS)


# ── two phases ──


@every_chip
def test_chip_has_its_value_when_the_wait_is_over(name: str, bench: Bench) -> None:
    """At the slow end of its data sheet, set up or not, without a second look at the chip."""
    bench.measure()
    for prepare in (lambda: None, bench.driver.close):
        prepare()
        bench.sleep(bench.driver.trigger())
        bench.adapter.slept.clear()

        assert bench.driver.read()
        # Those that measure one thing after the other wait for all but the first.
        others = {"ads1115": 3 * 0.001_379, "htu21d": 0.009, "scd4x": 2 * 0.001}
        assert sum(bench.adapter.slept) <= others.get(name, 0.0) + 1e-5


@those(lambda chip: chip.tells_when)
def test_value_of_before_is_never_read_too_soon(name: str, bench: Bench) -> None:
    """Read without the wait: an error, or the new value where the chip is quick; never the old."""
    before = bench.measure()
    changed(bench, name)
    for share in (0.0, 0.25, 0.5):
        reason, measured = bench.try_to_measure(share)
        assert reason in {"not_ready", "nack", ""}
        assert measured != before
        bench.driver.close()
        bench.sleep(1.0)

    assert bench.measure() != before


@every_chip
def test_trigger_spends_no_wait_of_its_own(name: str, bench: Bench) -> None:
    """Not the first time either, but for what a reset and the loading of a calibration take."""
    bench.sleep(1.0)  # since it was switched on
    bench.adapter.slept.clear()
    wait_s = bench.driver.trigger()

    assert math.isfinite(wait_s)
    assert sum(bench.adapter.slept) <= 0.012


@those(lambda chip: chip.tells_when)
def test_measurement_that_never_ends_is_an_error(name: str, bench: Bench) -> None:
    """No old value is passed off as a new one; in time, the next is right."""
    before = bench.measure()
    wait_s = bench.driver.trigger()
    bench.chip.stuck = True
    bench.sleep(wait_s)

    with pytest.raises(SensorError) as caught:
        bench.driver.read()

    assert caught.value.reason in {"not_ready", "nack"}
    bench.chip.stuck = False
    bench.driver.close()
    bench.sleep(30)
    assert bench.measure() == before


# ── power ──


@those(lambda chip: chip.lost_power)
def test_power_lost_during_a_measurement_is_an_error(name: str, bench: Bench) -> None:
    """By its reason, at whatever moment of the wait; the next measurement sets up anew."""
    before = bench.measure()
    for part in (0.0, 0.5, 1.0):
        wait_s = bench.driver.trigger()
        bench.sleep(wait_s * part)
        bench.chip.restart()
        bench.sleep(wait_s * (1 - part))
        with pytest.raises(SensorError) as caught:
            bench.driver.read()
        # Where little time was left, the chip is still starting.
        starting = {"nack", "not_ready"} if part else set()
        assert caught.value.reason in {CHIPS[name].lost_power, *starting}
        bench.driver.close()
        bench.sleep(30)
        assert bench.measure() == before


# ── check bytes ──


@pytest.mark.fault(
    "sensor",
    "garbage",
    how="each bit of each answer is turned over",
    part="every driver, on fake wires and files",
)
@those(lambda chip: chip.is_checked)
def test_answer_with_any_one_bit_turned_over_is_no_value(name: str, bench: Bench) -> None:
    """Each bit of each answer of a measurement: a checksum error, or asked again and right."""
    before = bench.measure()
    bench.sleep(30)
    bench.adapter.transactions.clear()
    bench.measure()
    lengths = [
        length
        for kind, _, _, length in bench.adapter.transactions
        if kind == "plain read" and isinstance(length, int) and length >= 3
    ]
    reasons = []
    for number, length in enumerate(lengths):
        for bit in range(8 * length):
            bench.sleep(30)
            bench.adapter.on_the_way = turned_over(bit, number)
            reason, measured = bench.try_to_measure()
            assert reason or measured == before
            reasons.append(reason)
            bench.adapter.on_the_way = bytes

    # One bit of an AHT20 says that it is still busy; then it is asked again.
    assert set(reasons) <= {"crc", ""}
    assert reasons.count("crc") >= sum(lengths) * 8 - 1
    bench.sleep(30)
    assert bench.measure() == before


def turned_over(bit: int, number: int) -> Callable[[bytes], bytes]:
    """Damages one bit of the answer with this number, those of one or two bytes not counted."""
    count = iter(range(1000))

    def damage(answer: bytes) -> bytes:
        if len(answer) < 3 or next(count) != number:
            return answer
        return (int.from_bytes(answer, "big") ^ 1 << bit).to_bytes(len(answer), "big")

    return damage


@those(lambda chip: chip.is_checked)
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_data_line_that_is_stuck_gives_no_value(name: str, byte: int, bench: Bench) -> None:
    """A check byte that begins with nothing fits zeros; they are the end of the scale."""
    bench.adapter.on_the_way = lambda answer: bytes([byte]) * len(answer)

    reason, measured = bench.try_to_measure()

    assert reason in {"crc", "saturated", "not_ready", "calibration"}
    assert measured == []


# ── one channel's trouble ──


@pytest.mark.parametrize(
    ("name", "told", "faults"),
    [
        ("ads1115", {"inputs_volt": [1.0, 9.0, 1.5, -9.0]}, {"a1": "saturated", "a3": "saturated"}),
        (
            "bme280",
            {"measures": bytes.fromhex("4f5700 845100 8000")},
            {"humidity": "power_on_value"},
        ),
        (
            "bme280",
            {"measures": bytes.fromhex("800000 845100 5eb4")},
            {"pressure": "power_on_value"},
        ),
        ("htu21d", {"humidity": frame(0xFFFE, init=0)}, {"humidity": "saturated"}),
        ("sht4x", {"measures": frame(0x6666, 0xFFFF)}, {"humidity": "saturated"}),
        ("ina219", {"shunt": 32_000}, {"current": "saturated", "power": "saturated"}),
        ("ina219", {"bus": 8000 << 3}, {"voltage": "saturated", "power": "saturated"}),
        ("ina226", {"shunt": -0x8000}, {"current": "saturated", "power": "saturated"}),
        ("ina226", {"bus": 0x7FFF}, {"voltage": "saturated", "power": "saturated"}),
        ("scd4x", {"data": frame(0, 0x6667, 0x5EB9)}, {"co2": "power_on_value"}),
        ("scd4x", {"data": frame(40_000, 0x6667, 0x5EB9)}, {"co2": "saturated"}),
    ],
)
def test_channel_that_has_no_value_leaves_the_others_theirs(
    name: str, told: Mapping[str, Any], faults: Mapping[str, str], bench: Bench
) -> None:
    """It bears its fault with a sentence that names the place; the others measure."""
    for attribute, value in told.items():
        setattr(bench.chip, attribute, value)

    measured = bench.measure()

    assert [one.channel for one in measured] == [channel.name for channel in bench.driver.channels]
    assert {one.channel: one.fault for one in measured if one.fault} == faults
    assert all(f"0x{bench.address:02x}: " in one.detail for one in measured if one.fault)
    assert not any(one.detail for one in measured if not one.fault)


@pytest.mark.parametrize(
    ("name", "told", "reason"),
    [
        ("ads1115", {"inputs_volt": [9.0, 9.0, 9.0, -9.0]}, "saturated"),
        ("bme280", {"measures": bytes.fromhex("4f5700 800000 5eb4")}, "power_on_value"),
        ("ina219", {"shunt": 32_000, "bus": 8000 << 3}, "saturated"),
        ("ina226", {"shunt": 0x7FFF, "bus": 0x7FFF}, "saturated"),
        # A hygrometer corrects the humidity by its own temperature.
        ("aht20", {"measures": bytes.fromhex("269a7fffff")}, "saturated"),
        ("aht20", {"measures": bytes.fromhex("269a700000")}, "saturated"),
        ("htu21d", {"temperature": frame(0x0000, init=0)}, "saturated"),
        ("htu21d", {"temperature": frame(0xFFFF, init=0)}, "saturated"),
        ("sht3x", {"measures": frame(0x0000, 0x8000)}, "saturated"),
        ("sht3x", {"measures": frame(0xFFFF, 0x8000)}, "saturated"),
        ("sht4x", {"measures": frame(0x0000, 0x8000)}, "saturated"),
        ("sht4x", {"measures": frame(0xFFFF, 0x8000)}, "saturated"),
    ],
)
def test_sensor_with_no_value_at_all_is_an_error(
    name: str, told: Mapping[str, Any], reason: str, bench: Bench
) -> None:
    """So that it is faulty as a whole, and set up anew."""
    for attribute, value in told.items():
        setattr(bench.chip, attribute, value)

    assert bench.try_to_measure() == (reason, [])


# ── smbus2 ──


@every_chip
def test_chip_measures_the_same_through_smbus2(
    name: str, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed version's own code, down to the kernel's ioctls."""
    expected = bench.measure()
    other = BENCHES[name]()
    kernel = FakeKernel(other.adapter, tmp_path)
    monkeypatch.setattr("smbus2.smbus2.ioctl", kernel.ioctl)
    buses = Buses(open_wire=kernel.open, sleep=other.sleep)
    surroundings = dataclasses.replace(other.surroundings, bus=buses)
    other.driver = type(other.driver)(other.options, surroundings)

    assert other.measure() == expected
    assert kernel.requests
    buses.close()


# ── the fakes ──


@pytest.mark.parametrize("name", ["aht20", "bh1750", "htu21d", "scd4x", "sht3x", "sht4x"])
def test_fake_that_needs_a_stop_refuses_to_be_read_without_one(name: str, bench: Bench) -> None:
    """A register read is a write and a read in one transfer, which such a chip does not take."""
    wire = bench.adapter.open("")

    with pytest.raises(AssertionError, match="STOP"):
        wire.read_i2c_block_data(bench.address, 0x20, 2)


@pytest.mark.parametrize("name", ["htu21d", "scd4x", "sht3x", "sht4x"])
def test_fake_that_measures_does_not_answer(name: str, bench: Bench) -> None:
    """Neither a read nor another command, until it is done."""
    order = {"htu21d": "f3", "scd4x": "21b1", "sht3x": "2400", "sht4x": "fd"}[name]
    bench.sleep(30)
    bench.chip.command(bytes.fromhex(order))

    with pytest.raises(OSError, match="Remote I/O"):
        bench.chip.answer(3)
    with pytest.raises(OSError, match="Remote I/O"):
        bench.chip.command(bytes.fromhex(order))


def test_fake_wire_refuses_two_messages_in_one_transfer() -> None:
    """There would be no STOP between them."""
    with pytest.raises(ValueError, match="too many values"):
        FakeAdapter().open("").i2c_rdwr(object(), object())
