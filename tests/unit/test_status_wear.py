"""What a card's stated endurance and its own words come to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.status.wear import KNOWN_AFTER_S, card, endurance, wear
from edge_agent.cloud_sync.traffic import Written

DAY_S = 86_400


@pytest.mark.parametrize(
    ("written", "count"),
    [("30TB", 30_000_000_000_000), ("1TiB", 1 << 40), ("512GB", 512_000_000_000)],
)
def test_endurance_is_a_size_as_in_the_configuration(written: str, count: int) -> None:
    """And in terabytes, which no queue is as large as."""
    assert endurance(written) == count


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("30", "'30' is not a size; write it like '30TB'"),
        ("much", "'much' is not a size"),
        ("30XB", "unknown unit; known are B, kB, KiB, MB, MiB, GB, GiB, TB, TiB"),
        ("0TB", "is nothing"),
    ],
)
def test_endurance_that_is_none_says_how_to_write_it(written: str, words: str) -> None:
    """In one sentence."""
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        endurance(written)


def told(tmp_path: Path, written: Written, stated_bytes: int | None) -> dict[str, Any]:
    return wear(tmp_path, written, stated_bytes, tmp_path / "sys")


def test_wear_of_an_hour_or_more_is_told_by_the_day(tmp_path: Path) -> None:
    """And what it means in years; but not what a start alone would come to."""
    said = told(tmp_path, Written(10_000_000, 2 * DAY_S), 365_000_000_000)
    assert (said["bytes_a_day"], said["over_s"]) == (5_000_000, 2 * DAY_S)
    assert said["endurance"] == {
        "bytes": 365_000_000_000,
        "share_a_year": pytest.approx(0.005),
        "years": pytest.approx(200),
    }
    said = told(tmp_path, Written(10_000_000, KNOWN_AFTER_S - 1), 365_000_000_000)
    assert said["bytes_a_day"] is None
    assert said["endurance"] == {"bytes": 365_000_000_000, "share_a_year": None, "years": None}


def test_wear_of_nothing_lasts_for_ever(tmp_path: Path) -> None:
    """No number of years is that; and nobody asked for an endurance."""
    assert told(tmp_path, Written(0, DAY_S), 1)["endurance"]["years"] is None
    assert told(tmp_path, Written(0, DAY_S), None)["endurance"] is None


def emmc(tmp_path: Path, life: str, spare: str) -> Path:
    """The kernel's folders: the file stands on the second partition of an eMMC."""
    device = tmp_path / "sys/devices/mmc0:0001"
    disk = device / "block/mmcblk0"
    (disk / "mmcblk0p2").mkdir(parents=True)
    (disk / "device").symlink_to(device)
    (device / "life_time").write_text(life)
    (device / "pre_eol_info").write_text(spare)
    number = tmp_path.stat().st_dev
    entry = tmp_path / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    entry.parent.mkdir(parents=True)
    entry.symlink_to(disk / "mmcblk0p2")
    return tmp_path / "sys"


@pytest.mark.parametrize(
    ("life", "spare", "used_percent", "word"),
    [
        ("0x01 0x02\n", "0x01\n", 10, "enough"),
        ("0x0b 0x01\n", "0x03\n", 100, "used_up"),
        ("0x00 0x0a\n", "0x02\n", 90, "low"),
        ("0x01 0x01\n", "0x00\n", 0, "unknown"),
    ],
)
def test_card_says_the_worse_of_its_two_estimates(
    tmp_path: Path, life: str, spare: str, used_percent: int, word: str
) -> None:
    """In steps of ten; 0x0b is beyond its life."""
    sys = emmc(tmp_path, life, spare)
    expected = {"name": "mmcblk0", "used_percent": used_percent, "spare": word}
    assert card(tmp_path, sys) == expected


def test_card_that_says_nothing_is_told_of_as_such(tmp_path: Path) -> None:
    """An SD card, or an eMMC that leaves the fields undefined."""
    assert card(tmp_path, tmp_path / "nowhere") is None
    assert card(tmp_path, emmc(tmp_path, "0x00 0x00\n", "0x00\n")) is None
