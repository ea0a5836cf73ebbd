"""The Debian package says of itself what the rest of the tree says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import edge_agent

TREE = Path(__file__).parents[2]
#: Where Debian's name is not that of PyPI with python3- before it.
DEBIAN = {"pyyaml": "python3-yaml"}


def _field(paragraph: int, field: str) -> list[str]:
    """The packages that a field of debian/control names."""
    text = (TREE / "debian/control").read_text().split("\n\n")[paragraph]
    (value,) = re.findall(rf"(?m)^{field}:((?:.*\n)(?: .*\n?)*)", text)
    return [item.split()[0] for item in value.split(",") if item.strip()]


def _required() -> set[str]:
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    names = (re.split(r"[<>=~ ]", requirement)[0] for requirement in project["dependencies"])
    return {DEBIAN.get(name, f"python3-{name}") for name in names}


def test_package_version_is_the_agents() -> None:
    """The newest entry of debian/changelog, a native version."""
    first = (TREE / "debian/changelog").read_text().splitlines()[0]
    assert first.startswith(f"pyvorin-agent ({edge_agent.__version__}) ")


def test_package_that_the_readme_installs_is_the_one_that_is_built() -> None:
    """Its name has the version in it."""
    shown = re.findall(r"pyvorin-agent_([0-9.]+)_all\.deb", (TREE / "README.md").read_text())
    assert set(shown) == {edge_agent.__version__}


def test_package_brings_what_pip_brings() -> None:
    """All that pyproject.toml requires, rich alone as a recommendation; and the pins' library."""
    depends, recommends = set(_field(1, "Depends")), set(_field(1, "Recommends"))
    assert _required() - depends == {"python3-rich"}
    assert "python3-rich" in recommends
    assert "python3-gpiozero" in depends


def test_package_is_built_with_what_it_runs_with() -> None:
    """Its pages are made, and its tests run, with the same libraries."""
    needed = _required() - {"python3-rich"} | {"python3-gpiozero"}
    assert needed <= set(_field(0, "Build-Depends"))
