"""How fast the agent uses the card up: its own bytes, and what the card says of itself."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync.traffic import Written
from edge_agent.kinds import Size

_SYS = Path("/sys")
#: What was written in less than an hour says little of a day: a start writes more than others do.
KNOWN_AFTER_S = 3600
_DAY_S, _YEAR_S = 86_400, 31_536_000
#: A card's endurance is stated in terabytes written (JEDEC JESD218, TBW), which no queue is as
#: large as.
_ENDURANCE = Size(units=(*Size().units, ("TB", 1e12), ("TiB", 1024**4)), usual="TB")

#: The worse of two estimates of an eMMC's life, in steps of 10 %, and the state of its spare
#: blocks; an SD card tells neither.
#:
#: Source: JEDEC JESD84-B51, EXT_CSD 268 and 269 (DEVICE_LIFE_TIME_EST_TYP_A, _B), 267
#: (PRE_EOL_INFO); their form in sysfs: the kernel's drivers/mmc/core/mmc.c, ``life_time``.
_STEP_PERCENT = 10
_SPARE = {1: "enough", 2: "low", 3: "used_up"}


def endurance(written: str) -> int:
    """What a card's maker states that can be written to it, in bytes.

    Raises:
        argparse.ArgumentTypeError: it is no size, in one sentence.
    """
    try:
        stated = _ENDURANCE.parse(written)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    if not stated:
        raise argparse.ArgumentTypeError(f"{written!r} is nothing; the card's maker states it")
    return stated


def wear(
    queue_file: Path, written: Written, endurance_bytes: int | None, sys: Path = _SYS
) -> dict[str, Any]:
    """The card's part of the status.

    Args:
        queue_file: stands on the card.
        written: what the agent wrote of late.
        endurance_bytes: what the card's maker states; None: nobody asks.
        sys: where the kernel tells of devices.
    """
    lasted_s = written.lasted_s
    per_s = written.written_bytes / lasted_s if lasted_s >= KNOWN_AFTER_S else None
    return {
        "bytes_a_day": None if per_s is None else round(per_s * _DAY_S),
        "over_s": lasted_s,
        "endurance": None if endurance_bytes is None else _endured(endurance_bytes, per_s),
        "card": card(queue_file, sys),
    }


def card(file: Path, sys: Path = _SYS) -> dict[str, Any] | None:
    """What the card that a file is on says of its own wear; None where it says nothing."""
    number = file.stat().st_dev
    device = (sys / f"dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    # A partition stands in the folder of its disk.
    for disk in (device, device.parent):
        lives = [int(word, 16) for word in _words(disk / "device/life_time")]
        if any(lives):
            spare = [int(word, 16) for word in _words(disk / "device/pre_eol_info")]
            return {
                "name": disk.name,
                "used_percent": (max(lives) - 1) * _STEP_PERCENT,
                "spare": _SPARE.get(max(spare, default=0), "unknown"),
            }
    return None


def _endured(stated_bytes: int, per_s: float | None) -> dict[str, Any]:
    """What the present rate means to a card that endures so much."""
    a_year = None if per_s is None else per_s * _YEAR_S
    return {
        "bytes": stated_bytes,
        "share_a_year": None if a_year is None else a_year / stated_bytes,
        "years": stated_bytes / a_year if a_year else None,
    }


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
