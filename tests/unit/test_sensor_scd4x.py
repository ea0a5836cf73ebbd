"""SCD4x: found idle or measuring, read once a period, and what is refused meanwhile."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from fakes.chip_bench import ChipBench
from fakes.commands import FakeScd4x, crc_by_bits

from edge_agent.errors import SensorError
from edge_agent.sensors.chips import scd4x
from edge_agent.sensors.chips.scd4x import Scd4x, Scd4xOptions
from edge_agent.sensors.i2c import crc8
from edge_agent.types import Measurement

VALUES = [
    Measurement("co2", 500, "ppm"),
    Measurement("temperature", 25.003, "celsius"),
    Measurement("humidity", 37.002, "percent"),
]


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Scd4x, FakeScd4x())


# ── the formulas ──


def test_quantities_agree_with_exact_arithmetic_and_a_crc_by_bits() -> None:
    """The formulas as fractions, and the polynomial divided bit by bit, on 10,000 words."""
    draw = random.Random(41)
    for _ in range(10_000):
        raw = draw.randrange(1 << 16)
        data = raw.to_bytes(2, "big")
        assert crc8(data) == crc_by_bits(data)
        assert abs(scd4x.celsius(raw) - Fraction(175 * raw, 65535) + 45) < 1e-9
        assert abs(scd4x.percent(raw) - Fraction(100 * raw, 65535)) < 1e-9


# ── the chip ──


def test_idle_chip_is_started_and_gives_its_first_value_after_a_period(bench: ChipBench) -> None:
    """Is there a value, start; is there one now, read: each command with a STOP of its own."""
    assert bench.driver.trigger() == 5.5
    assert bench.transfers() == ["w e4b8", "r 3", "w 21b1"]
    bench.sleep(5.5)
    assert bench.driver.read() == VALUES
    assert bench.transfers() == ["w e4b8", "r 3", "w ec05", "r 9"]


def test_value_that_waits_is_read_at_once(bench: ChipBench) -> None:
    """As it is with an interval longer than the period."""
    bench.measure()
    bench.sleep(30)

    assert bench.driver.trigger() == 0.0
    assert bench.driver.read() == VALUES


def test_trigger_sooner_than_the_period_waits_for_the_rest(bench: ChipBench) -> None:
    """Reading took the value out; the chip is not disturbed by another start."""
    bench.measure()
    bench.sleep(1)
    bench.transfers()

    assert bench.driver.trigger() == pytest.approx(4.5, abs=0.01)
    assert bench.transfers() == ["w e4b8", "r 3"]
    bench.sleep(4.5)
    assert bench.driver.read() == VALUES


def test_trigger_again_before_the_value_is_read_starts_nothing(bench: ChipBench) -> None:
    """The first one's wait goes on."""
    bench.driver.trigger()
    bench.sleep(1)
    bench.transfers()

    assert bench.driver.trigger() == pytest.approx(4.5, abs=0.01)
    assert bench.transfers() == ["w e4b8", "r 3"]


@pytest.mark.parametrize("number", [5, 16, 110])
def test_start_that_fails_otherwise_than_by_a_refusal_is_an_error(
    bench: ChipBench, number: int
) -> None:
    """Only a chip that measures already does not answer to it."""
    bench.adapter.fail(number, after=2, times=3)

    with pytest.raises(SensorError) as caught:
        bench.driver.trigger()

    assert caught.value.reason in {"io", "busy", "timeout"}


@pytest.mark.parametrize("word", ["0001", "0400", "07ff", "f801"])
def test_any_of_eleven_bits_says_that_a_value_waits(bench: ChipBench, word: str) -> None:
    """The command get_data_ready_status: the least significant 11 bits."""
    bench.chip.ready = word

    assert bench.measure() == VALUES


@pytest.mark.parametrize(("co2", "fault"), [(1, ""), (39_999, ""), (40_000, "saturated")])
def test_carbon_dioxide_up_to_the_end_of_the_scale_is_a_value(
    bench: ChipBench, co2: int, fault: str
) -> None:
    """40000 ppm stand for any more."""
    bench.chip.data = bytes.fromhex(_frame(co2))

    assert bench.measure()[0].fault == fault


def test_every_value_of_an_interval_of_five_seconds_is_new(bench: ChipBench) -> None:
    """The chip's period and the poller's interval are two clocks; nothing is read twice."""
    for count in range(1, 13):
        bench.chip.data = FakeScd4x(_frame(400 + count)).data
        assert bench.measure()[0].value == 400 + count


@pytest.mark.parametrize(("age_s", "starts"), [(2.0, 3), (7.0, 0)])
def test_chip_that_measures_already_is_taken_as_it_is(age_s: float, starts: int) -> None:
    """An agent that starts again: a value waits, or the start is refused and one will come."""
    bench = ChipBench(Scd4x, FakeScd4x())
    bench.chip.measures_every(5.0)
    bench.sleep(age_s)

    wait_s = bench.driver.trigger()
    assert wait_s == (5.5 if starts else 0.0)
    bench.sleep(wait_s)
    assert bench.driver.read() == VALUES
    assert bench.transfers().count("w 21b1") == starts


def test_chip_at_another_pace_is_stopped_and_started_anew(bench: ChipBench) -> None:
    """Somebody set it to 30 s: one reading is missed, then it keeps ours."""
    bench.chip.measures_every(30.0)

    assert bench.reason() == "not_ready"
    assert bench.transfers()[-1] == "w 3f86"
    bench.driver.close()
    bench.sleep(0.5)
    assert bench.measure() == VALUES
    assert bench.chip.period_s == 5.0


def test_power_lost_between_measurements_starts_it_anew(bench: ChipBench) -> None:
    """It has nothing new for longer than a period, so it does not measure."""
    bench.measure()
    bench.chip.restart()
    bench.sleep(30)

    assert bench.measure() == VALUES


def test_power_lost_just_after_a_measurement_costs_one_reading(bench: ChipBench) -> None:
    """Within a period nobody can tell it from a chip that measures; then it is started anew."""
    bench.measure()
    bench.chip.restart()
    bench.sleep(2)

    assert bench.reason() == "not_ready"
    bench.driver.close()
    bench.sleep(0.5)
    assert bench.measure() == VALUES


def test_chip_that_has_just_got_its_power_does_not_answer(bench: ChipBench) -> None:
    """For a second; then it is there, as if for the first time."""
    bench.chip.restart()

    assert bench.reason() == "nack"
    bench.driver.close()
    bench.sleep(1)
    assert bench.measure() == VALUES


def _frame(co2: int, temperature: int = 0x6667, humidity: int = 0x5EB9) -> str:
    data = [word.to_bytes(2, "big") for word in (co2, temperature, humidity)]
    return "".join(f"{word.hex()}{crc_by_bits(word):02x}" for word in data)


def test_another_chip_at_the_address_is_a_checksum_error_before_it_is_started() -> None:
    """It answers without check bytes; it is asked first, and told nothing."""

    class Stranger(FakeScd4x):
        def answer(self, length: int) -> bytes:
            return bytes(length)

    bench = ChipBench(Scd4x, Stranger())

    assert bench.reason() == "crc"
    assert {transfer for transfer in bench.transfers() if transfer[0] == "w"} == {"w e4b8"}


def test_pressure_is_said_at_each_start_and_to_a_chip_found_measuring() -> None:
    """It is lost with the power; it may be said while the chip measures."""
    bench = ChipBench(Scd4x, FakeScd4x(), Scd4xOptions(pressure=795.4))
    bench.measure()
    assert bench.chip.pressure == 795
    transfers = bench.transfers()
    assert f"w e000031b{crc_by_bits(bytes([3, 0x1B])):02x}" in transfers
    assert transfers.count("w 21b1") == 1

    bench.chip.restart()
    bench.sleep(30)
    bench.measure()
    assert bench.chip.pressure == 795

    bench.chip.pressure = 1013
    bench.driver.close()
    bench.sleep(30)
    bench.measure()
    assert bench.chip.pressure == 795
