"""Any chip's register: what its bits mean is said in the configuration."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.chip_bench import ChipBench
from fakes.i2c import RegisterChip

from edge_agent.config.loader import load
from edge_agent.errors import ConfigError, SensorError
from edge_agent.sensors.chips.i2c_register import I2cRegister, I2cRegisterOptions, value_of
from edge_agent.types import Measurement


def options(**written: Any) -> I2cRegisterOptions:
    return I2cRegisterOptions(**{"address": 0x48, "register": 2} | written)


def bench(data: str, **written: Any) -> ChipBench:
    """A chip with these bytes at register 2."""
    memory = bytes(2) + bytes.fromhex(data) + bytes(8)
    return ChipBench(I2cRegister, RegisterChip(memory), options(**written))


@pytest.mark.parametrize(
    ("data", "written", "value"),
    [
        ("1900", {}, 6400.0),
        ("1900", {"byte_order": "little"}, 25.0),
        ("e700", {"signed": True, "scale": 1 / 256}, -25.0),
        ("e700", {"signed": True, "mask": 0xFFE0, "scale": 0.125}, -25.0),
        ("c194", {"signed": True, "mask": 0x1FFF, "scale": 0.0625}, 25.25),
        ("fe70", {"signed": True, "mask": 0x1FFF, "scale": 0.0625}, -25.0),
        ("f380", {"signed": True, "scale": 0.0078125}, -25.0),
        ("80", {"width": 8, "signed": True}, -128.0),
        ("80", {"width": 8, "mask": 0x80}, 1.0),
        ("800000", {"width": 24}, 8388608.0),
        ("ffffffff", {"width": 32, "signed": True}, -1.0),
        ("ffffffff", {"width": 32, "byte_order": "little"}, 4294967295.0),
        ("0003", {"scale": 0.1}, 0.3),
        ("6666", {"scale": 175 / 65535, "offset": -45}, 25.0),
        ("0000", {}, 0.0),
        ("0003", {"scale": 1 / 9}, 0.333333333333),
    ],
)
def test_register_gives_the_value_its_data_sheet_means(
    data: str, written: dict[str, Any], value: float
) -> None:
    """LM75, MCP9808, TMP117, SHT3x: their examples, without their drivers."""
    assert bench(data, **written).measure() == [Measurement("", value, "count")]


def test_measurement_is_one_read_and_never_a_write() -> None:
    """Nobody knows what a write would do to an unknown chip."""
    chip = bench("010203", width=24, unit="pulse")

    assert chip.driver.trigger() == 0.0
    assert chip.measure() == [Measurement("", 66051.0, "pulse")]
    assert chip.transfers() == ["r 02 3"]
    assert chip.driver.channels[0].unit == "pulse"


FORMATS = {8: "b", 16: "h", 32: "i"}


def test_whole_registers_agree_with_the_struct_module() -> None:
    """Python's own reading of the same bytes, in both orders, signed and not."""
    draw = random.Random(8)
    kinds = [
        (options(width=width, byte_order=order, signed=signed), f"{sign}{letter}")
        for width, code in FORMATS.items()
        for order, sign in (("big", ">"), ("little", "<"))
        for signed, letter in ((True, code), (False, code.upper()))
    ]
    for _ in range(10_000 // len(kinds) + 1):
        for kind, letters in kinds:
            data = draw.randbytes(kind.width // 8)
            assert value_of(data, kind) == struct.unpack(letters, data)[0]


def test_masked_bits_agree_with_counting_them() -> None:
    """Each bit's worth added up by hand, the highest one's taken off when it is a sign."""
    draw = random.Random(11)
    for _ in range(1_000):
        low = draw.randrange(16)
        high = draw.randrange(low, 16)
        signed = draw.random() < 0.5
        raw = draw.randrange(1 << 16)
        bits = [raw >> place & 1 for place in range(low, high + 1)]
        worth = [1 << place for place in range(len(bits))]
        worth[-1] *= -1 if signed else 1
        kind = options(mask=sum(1 << place for place in range(low, high + 1)), signed=signed)

        value = value_of(raw.to_bytes(2, "big"), kind)

        assert value == sum(bit * each for bit, each in zip(bits, worth, strict=True))


@pytest.mark.parametrize("invalid", [{"invalid": 0x8000}, {"invalid": 0x400, "mask": 0xFFE0}])
def test_bits_that_mean_no_value_are_a_fault(invalid: dict[str, int]) -> None:
    """A TMP117 shows 0x8000 until its first conversion, which would be a temperature."""
    chip = bench("8000", signed=True, **invalid)

    with pytest.raises(SensorError, match="register 0x02 says that there is no value") as caught:
        chip.measure()

    assert caught.value.reason == "invalid"
    chip.chip.registers[2] = 0x19
    assert len(chip.measure()) == 1


# ── the configuration ──


@pytest.fixture
def problem(tmp_path: Path) -> Callable[[str], str]:
    """What is wrong with these sensors; nothing if nothing is."""

    def problem_of(*sensors: str) -> str:
        lines = "".join(
            f"  - {{name: s{number}, type: i2c_register, {written}}}\n"
            for number, written in enumerate(sensors)
        )
        (tmp_path / "agent.yaml").write_text(f"sensors:\n{lines}", encoding="utf-8")
        try:
            load(tmp_path / "agent.yaml", {})
        except ConfigError as error:
            return "; ".join(error.problems)
        return ""

    return problem_of


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("register: 0", "address: is missing"),
        ("address: 0x48", "register: is missing"),
        ("address: 0x78, register: 0", "address: 0x78 is more than 0x77"),
        ("address: 0x48, register: 0, width: 12", "width: 12 is not one of 8 · 16 · 24 · 32 bits"),
        ("address: 0x48, register: 0, mask: 0", "mask: 0x00 is less than 0x01"),
        ("address: 0x48, register: 0, width: 8, mask: 0x100", "mask: has bits beyond the 8 of"),
        ("address: 0x48, register: 0, mask: 0xf0, invalid: 0x10", "invalid: is more than 0xf, all"),
        ("address: 0x48, register: 0, byte_order: middle", "'middle' is not one of big, little"),
    ],
)
def test_option_that_cannot_be_is_refused(
    problem: Callable[[str], str], written: str, sentence: str
) -> None:
    """With a sentence, before any chip is asked."""
    assert sentence in problem(written)


def test_registers_of_one_chip_are_sensors_beside_each_other(
    problem: Callable[..., str],
) -> None:
    """Two drivers on one address would disturb each other; two reads of registers do not."""
    assert problem("address: 0x48, register: 0", "address: 0x48, register: 1") == ""
    assert problem("address: 0x48, register: 0, mask: 1", "address: 0x48, register: 0") == ""
    assert problem("address: 0x48, register: 0, mask: 0xf0, invalid: 0xf") == ""
    twice = problem("address: 0x48, register: 0", "address: 0x48, register: 0")
    assert "0x48 is already a sensor's address on this bus" in twice
