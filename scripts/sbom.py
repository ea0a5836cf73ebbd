"""Prints the software bill of materials, as CycloneDX JSON: the agent and what it runs on.

The package carries none of its libraries: they are the distribution's, and get their security
updates from there. So each is named with the versions that will do, and with the one that this
package was made and tested with, where it is there; on a device `dpkg-query -W` tells its own.

Source: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sqlite3
import sys
import time
import tomllib
import uuid
from pathlib import Path
from typing import Any

import edge_agent

_TREE = Path(__file__).parents[1]
#: By the name on PyPI: the SPDX licence, and Debian's package.
_KNOWN = {
    "requests": ("Apache-2.0", "python3-requests"),
    "pyyaml": ("MIT", "python3-yaml"),
    "sdnotify": ("MIT", "python3-sdnotify"),
    "smbus2": ("MIT", "python3-smbus2"),
    "voluptuous": ("BSD-3-Clause", "python3-voluptuous"),
    "rich": ("MIT", "python3-rich"),
    "gpiozero": ("BSD-3-Clause", "python3-gpiozero"),
    "lgpio": ("Unlicense", "python3-lgpio"),
}
#: The package recommends these, and runs without them.
_OPTIONAL = ("rich", "lgpio")


def main() -> int:
    """Print it."""
    json.dump(bill(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def bill() -> dict[str, Any]:
    """The whole document; the same source and environment make the same one."""
    made = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    agent = _agent()
    parts = [_python(), _sqlite(), *map(_library, declared())]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, agent['purl'])}",
        "version": 1,
        "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", made), "component": agent},
        "components": parts,
        "dependencies": [
            {"ref": agent["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }


def declared() -> list[str]:
    """What pyproject.toml requires, with the bounds, and what reaches the pins."""
    project = tomllib.loads((_TREE / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["gpio"]]


def _agent() -> dict[str, Any]:
    version = edge_agent.__version__
    return {
        "type": "application",
        "bom-ref": "pyvorin-agent",
        "name": "pyvorin-agent",
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": f"pkg:generic/pyvorin-agent@{version}",
    }


def _python() -> dict[str, Any]:
    part = _part("python", platform.python_version(), "PSF-2.0", ">=3.11", "python3")
    return part | {"type": "platform"}


def _sqlite() -> dict[str, Any]:
    return _part("sqlite", sqlite3.sqlite_version, "blessing", ">=3.40", "libsqlite3-0")


def _library(requirement: str) -> dict[str, Any]:
    """One of the libraries: ``requests>=2.28``."""
    name, bounds = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement).groups()
    licence, package = _KNOWN[name]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    part = _part(name, version, licence, bounds, package)
    part["scope"] = "optional" if name in _OPTIONAL else "required"
    part["purl"] = f"pkg:pypi/{name}" + (f"@{version}" if version else "")
    return part


def _part(
    name: str, version: str | None, licence: str, bounds: str, package: str
) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "library", "bom-ref": name, "name": name}
    if version:
        part["version"] = version
    part["licenses"] = [{"license": {"id": licence}}]
    part["properties"] = [
        {"name": "pyvorin:accepted-versions", "value": bounds},
        {"name": "pyvorin:debian-package", "value": package},
    ]
    return part


if __name__ == "__main__":
    sys.exit(main())
