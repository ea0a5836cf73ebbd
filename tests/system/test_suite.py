"""The test suite itself, with the libraries of this Debian release."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

from fakes.installed import Installed

ROOT = Path(__file__).parents[2]
_TOOLS = """
python3-pytest python3-hypothesis python3-pytest-httpserver python3-trustme python3-flask
python3-jsonschema strace
"""
#: What needs pip, or the tools of a whole checkout, is left to `scripts/test`.
_PARTS = (
    "tests/unit tests/contract tests/functional/test_run.py tests/functional/test_kill_points.py"
)


def test_suite_passes_with_debians_own_versions(
    agent: Installed, tell: Callable[[str], None]
) -> None:
    """N passed, N not 0, and nothing skipped."""
    agent.run(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends install "
        + " ".join(_TOOLS.split())
    )
    _copy_tree(agent.machine.root / "root/tree.tar")
    agent.run("rm -rf /root/tree && mkdir /root/tree && tar -C /root/tree -xf /root/tree.tar")
    versions = agent.run(
        "dpkg-query -W -f '${Package} ${Version}\\n' python3 python3-requests python3-yaml "
        "python3-sdnotify python3-smbus2 python3-gpiozero python3-voluptuous"
    )
    said = agent.run(
        f"cd /root/tree && PYTHONPATH=. python3 -m pytest -q -p no:cacheprovider {_PARTS} 2>&1",
        timeout_s=900,
    )
    tell(f"{versions.replace(chr(10), ', ')}{said.splitlines()[-1]}")
    (passed,) = re.findall(r"(\d+) passed", said)
    assert int(passed) > 0
    assert not re.search(r"skipped|xfailed|deselected", said.splitlines()[-1])


def _copy_tree(target: Path) -> None:
    """What belongs to the project: no environments, no roots."""
    made = {".git", ".venv", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    with tarfile.open(target, "w") as tar:
        for place in sorted(ROOT.iterdir()):
            tar.add(
                place,
                place.name,
                filter=lambda member: None if made & set(member.name.split("/")) else member,
            )
