"""I2C buses as /dev and /sys show them, below a root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def plant_bus(
    root: Path, number: int, label: str = "", *, drivers: Mapping[int, str] | None = None
) -> None:
    """A bus with a device file, a name if it has one, and the chips that kernel drivers own."""
    (root / "dev").mkdir(exist_ok=True)
    (root / f"dev/i2c-{number}").touch()
    devices = root / "sys/bus/i2c/devices"
    if label:
        (devices / f"i2c-{number}").mkdir(parents=True)
        (devices / f"i2c-{number}/name").write_text(f"{label}\n")
    for address, name in (drivers or {}).items():
        driver = root / "sys/bus/i2c/drivers" / name
        driver.mkdir(parents=True, exist_ok=True)
        chip = devices / f"{number}-{address:04x}"
        chip.mkdir(parents=True)
        (chip / "driver").symlink_to(driver)
