"""A guest with the package on it, booted once; each test finds it whole, with its cables in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.chips_humidity import FakeSht3x
from fakes.chips_temperature import FakeLm75
from fakes.guest import Guest
from fakes.guest_disk import base
from fakes.hardware import AIR, PLATE, Table
from fakes.installed import Installed
from fakes.processes import Site
from fakes.tiny_usb import IDENTITY, Adapter
from fakes.usbredir import Device

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    """The package that `scripts/test-hardware` has built."""
    return Path(os.environ["PYVORIN_DEB"])


@pytest.fixture(scope="session")
def adapter() -> Adapter:
    """The wires that the guest's USB port leads to; each test puts its chips on them."""
    return Adapter({})


@pytest.fixture(scope="session")
def guest(adapter: Adapter) -> Iterator[Guest]:
    """A computer that was just switched on, with nothing plugged in."""
    with Guest(base(ROOT / "build" / "hardware"), Device(IDENTITY, adapter.answer)) as booted:
        yield booted


@pytest.fixture(scope="session")
def installed(guest: Guest, package: Path) -> Installed:
    """The package, installed as a user does."""
    place = Installed(guest, package)
    print(place.install())
    return place


@pytest.fixture
def table(
    guest: Guest,
    adapter: Adapter,
    installed: Installed,
    tmp_path: Path,
    tell: Callable[[str], None],
) -> Iterator[Table]:
    """The agent with nothing read yet; the adapter plugged in, the carrier there, no receiver."""
    adapter.wire({AIR: FakeSht3x(), PLATE: FakeLm75(0x1A80)})
    guest.set_carrier(up=True)
    guest.plug()
    guest.until(lambda: guest.run("ls /dev/i2c-1", status=None).strip() == "/dev/i2c-1", "a bus")
    installed.start_over()
    site = Site(tmp_path)
    yield Table(guest, adapter, installed, site, tell)
    site.close()
    print(guest.journal())
    assert adapter.misused == []
