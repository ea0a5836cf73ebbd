"""The package on machines with a real systemd: one for each Debian release, booted once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.installed import Installed
from fakes.machine import SUITES, Machine, base

ROOT = Path(__file__).parents[2]
#: Kept between runs: making a root takes longer than all that is done with it.
ROOTS = ROOT / "build" / "roots"


@pytest.fixture
def tell(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Callable[[str], None]:
    """Says what was measured, also where the test passes."""

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {text}\n")

    return say


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
