"""ADS1115 and ADS1015: four inputs on one converter, and what goes wrong with them."""

from __future__ import annotations

import random
from typing import ClassVar

import pytest
from fakes.chip_bench import ChipBench
from fakes.words import FakeAds1115, WordChip

from edge_agent.errors import SensorError
from edge_agent.sensors.chips import ads1115
from edge_agent.sensors.chips.ads1115 import Ads1115, Ads1115ChannelOptions, Ads1115Options
from edge_agent.types import Measurement


def one(gain: float = 4.096, *, unit: str = "volt", rate: int = 860) -> Ads1115Options:
    return Ads1115Options(rate=rate, channels={"a0": Ads1115ChannelOptions(gain, unit)})


@pytest.fixture
def bench() -> ChipBench:
    return ChipBench(Ads1115, FakeAds1115())


# ── the words ──


@pytest.mark.parametrize(
    ("channel", "gain", "rate", "word"),
    [
        ("a0", 4.096, 128, 0xC383),
        ("a1", 6.144, 8, 0xD103),
        ("a2", 2.048, 475, 0xE5C3),
        ("a3", 0.256, 860, 0xFBE3),
    ],
)
def test_config_word_is_made_of_the_data_sheets_codes(
    channel: str, gain: float, rate: int, word: int
) -> None:
    """Config Register: start, input against GND, range, single-shot, rate, no comparator."""
    assert ads1115.config_word(channel, gain, rate) == word


def test_config_word_has_the_code_of_each_rate_and_range() -> None:
    """Config Register, DR and PGA: counted from 000."""
    for code, rate in enumerate((8, 16, 32, 64, 128, 250, 475, 860)):
        assert ads1115.config_word("a0", 4.096, rate) >> 5 & 7 == code
    for code, gain in enumerate((6.144, 4.096, 2.048, 1.024, 0.512, 0.256)):
        assert ads1115.config_word("a0", gain, 128) >> 9 & 7 == code


def test_config_word_is_never_that_of_power_on() -> None:
    """Else a power failure would not show."""
    words = {
        ads1115.config_word(channel, gain, rate)
        for channel in ads1115.INPUTS
        for gain in ads1115.GAINS
        for rate in ads1115.RATES
    }

    assert len(words) == 4 * 6 * 8
    assert 0x8583 not in words


@pytest.mark.parametrize(
    ("gain", "microvolts"),
    [(6.144, 187.5), (4.096, 125), (2.048, 62.5), (1.024, 31.25), (0.512, 15.625), (0.256, 7.8125)],
)
def test_volts_of_one_step_are_those_of_the_data_sheet(gain: float, microvolts: float) -> None:
    """Full-Scale Range and LSB Size."""
    assert ads1115.volts(1, gain) * 1e6 == pytest.approx(microvolts)


def test_volts_at_both_ends_of_the_range_are_exact() -> None:
    """Full scale less one step, and minus full scale."""
    assert ads1115.volts(0x7FFF, 4.096) == pytest.approx(4.095875, abs=1e-12)
    assert ads1115.volts(-0x8000, 4.096) == -4.096


def test_volts_agree_with_counting_steps_over_the_whole_range() -> None:
    """The step in whole picovolts, and the two's complement done by hand."""
    steps_pv = {6.144: 187_500_000, 2.048: 62_500_000, 0.256: 7_812_500}
    draw = random.Random(1115)
    words = [draw.randrange(1 << 16) for _ in range(10_000)]

    for gain, step_pv in steps_pv.items():
        worst = max(
            abs(
                ads1115.volts(int.from_bytes(word.to_bytes(2, "big"), "big", signed=True), gain)
                - ((word & 0x7FFF) - (word & 0x8000)) * step_pv / 1e12
            )
            for word in words
        )
        assert worst < 1e-12


@pytest.mark.parametrize(("rate", "wait_s"), [(8, 0.1376), (128, 0.008694), (860, 0.001379)])
def test_conversion_takes_a_tenth_longer_than_the_rate_says(rate: int, wait_s: float) -> None:
    """Electrical Characteristics: the data rate is kept to within 10 %."""
    assert ads1115.conversion_s(rate) == pytest.approx(wait_s, abs=1e-6)


# ── the chip ──


def test_measurement_gives_every_input_in_volts(bench: ChipBench) -> None:
    """All four where none is written, each converted for itself."""
    assert bench.measure() == [
        Measurement("a0", 0.5, "volt"),
        Measurement("a1", 1.0, "volt"),
        Measurement("a2", 1.5, "volt"),
        Measurement("a3", 2.0, "volt"),
    ]


def test_measurement_of_one_input_is_one_write_and_two_reads() -> None:
    """Start; whether it has ended, and with which settings; the value."""
    bench = ChipBench(Ads1115, FakeAds1115(1.2), one(unit="percent", rate=128))

    assert bench.measure() == [Measurement("a0", 1.2, "percent")]
    assert bench.transfers() == ["w 01 c383", "r 01 2", "r 00 2"]


def test_measurement_of_written_inputs_keeps_to_each_ones_gain() -> None:
    """In the order of their numbers, whatever the order written."""
    channels = {"a3": Ads1115ChannelOptions(0.256), "a1": Ads1115ChannelOptions(2.048)}
    bench = ChipBench(Ads1115, FakeAds1115(0, 1.9, 0, -0.1), Ads1115Options(channels=channels))

    assert bench.values() == pytest.approx({"a1": 1.9, "a3": -0.1}, abs=1e-4)
    assert bench.transfers() == ["w 01 d5e3", "r 01 2", "r 00 2", "w 01 fbe3", "r 01 2", "r 00 2"]


def test_measurement_is_rounded_to_less_than_the_finest_step() -> None:
    """7.8125 uV."""
    bench = ChipBench(Ads1115, FakeAds1115(3 * 7.8125e-6), one(0.256))

    assert bench.values() == {"a0": 2.34e-05}


def test_measurement_of_an_ads1015_gives_the_same_volts() -> None:
    """Its twelve bits stand on the left of the word."""
    bench = ChipBench(Ads1115, FakeAds1115(1.0, narrow=True), one())

    assert bench.values() == {"a0": pytest.approx(1.0, abs=0.002)}


@pytest.mark.parametrize(
    ("volt", "narrow"), [(4.2, False), (-4.2, False), (4.2, True), (-4.2, True)]
)
def test_input_beyond_its_range_is_saturated(volt: float, *, narrow: bool) -> None:
    """The end of the range is what the chip shows for anything beyond; it names the input."""
    bench = ChipBench(Ads1115, FakeAds1115(0.5, volt, 1.0, 1.5, narrow=narrow))

    first, second, *others = bench.measure()

    assert second.fault == "saturated"
    assert "a1 is beyond the 4.096 V of its gain" in second.detail
    assert not any(measured.fault for measured in (first, *others))


def test_conversion_a_little_late_is_waited_for(bench: ChipBench) -> None:
    """A few quick looks; never the value of the conversion before."""
    bench.measure()
    bench.chip.inputs_volt[0] = 3.0
    bench.sleep(bench.driver.trigger() - 0.001)

    assert bench.driver.read()[0].value == 3.0


def test_read_without_a_trigger_is_not_ready(bench: ChipBench) -> None:
    """Before the first, after each read, and after close."""
    for _ in range(2):
        with pytest.raises(SensorError, match="before a measurement") as caught:
            bench.driver.read()
        assert caught.value.reason == "not_ready"
        bench.measure()
    bench.driver.trigger()
    bench.driver.close()
    with pytest.raises(SensorError):
        bench.driver.read()


def test_chip_that_does_not_keep_the_settings_is_a_wrong_one() -> None:
    """A TMP102 sits at the same address; its register 1 keeps but a few bits."""

    class Thermometer(WordChip):
        POWER_ON: ClassVar = {0x00: 0x1900, 0x01: 0x60A0}
        WRITABLE = (0x01,)

        def set(self, register: int, data: bytes) -> None:
            super().set(register, bytes([data[0] & 0x1F | 0x60, data[1] & 0xD0]))

    assert ChipBench(Ads1115, Thermometer()).reason() == "wrong_chip"


# ── the options ──


def test_options_are_slow_for_one_input_and_fast_for_several() -> None:
    """The inputs after the first keep the bus; what is too long for that is refused."""
    several = {name: Ads1115ChannelOptions() for name in ("a0", "a1", "a2")}

    assert not list(one(rate=8).conflicts())
    assert not list(Ads1115Options(rate=475).conflicts())
    assert not list(Ads1115Options(rate=475, channels=several).conflicts())
    (keys, sentence), *_ = Ads1115Options(rate=250, channels=several).conflicts()
    assert keys == ("rate", "channels")
    assert sentence == "is too slow for 3 inputs; use 860, or fewer channels"


def test_slow_conversion_is_waited_for_by_the_poller_not_by_the_driver() -> None:
    """137 ms at 8 conversions a second."""
    bench = ChipBench(Ads1115, FakeAds1115(1.0), one(rate=8))

    assert bench.driver.trigger() == pytest.approx(0.1376)
    assert bench.adapter.slept == []
