"""The package on machines with a real systemd: one for each Debian release, booted once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.installed import Installed
from fakes.machine import SUITES, Machine, base

ROOT = Path(__file__).parents[2]
#: Kept between runs: making a root takes longer than all that is done with it.
ROOTS = ROOT / "build" / "roots"


@pytest.fixture(scope="session")
def package() -> Path:
    """The package that `scripts/test-system` has built."""
    return Path(os.environ["PYVORIN_DEB"])


@pytest.fixture(scope="session", params=SUITES)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A booted machine that nothing was installed on by hand."""
    with Machine(request.param, base(request.param, ROOTS), ROOTS.parent) as booted:
        yield booted


@pytest.fixture
def bare(machine: Machine, package: Path) -> Iterator[Installed]:
    """The machine without the package, and what installs it."""
    place = Installed(machine, package)
    place.purge()
    yield place
    print(machine.journal())


@pytest.fixture
def agent(machine: Machine, package: Path) -> Iterator[Installed]:
    """The package as it is after `apt install`, running, with nothing read or configured yet."""
    place = Installed(machine, package)
    place.start_over()
    yield place
    print(machine.journal())
