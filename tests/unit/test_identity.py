"""Who the device is to the server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge_agent.daemon.identity import device_id

MACHINE = "0123456789abcdef0123456789abcdef"


def _root(path: Path, machine: str = MACHINE, serial: str = "10000000a1b2c3d4") -> Path:
    for name, text in (
        ("etc/machine-id", machine + "\n"),
        ("proc/device-tree/serial-number", serial + "\0"),
    ):
        file = path / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return path


def test_device_id_is_stable_and_never_the_machine_id(tmp_path: Path) -> None:
    """The same over a reinstallation of the agent; machine-id(5) forbids the raw id."""
    root = _root(tmp_path)
    one = device_id("auto", root)
    assert one == device_id("auto", root) == "ac9d808658dca9c4"
    assert one not in MACHINE


@pytest.mark.parametrize(
    ("machine", "serial"), [(MACHINE, "10000000ffffffff"), ("f" * 32, "10000000a1b2c3d4")]
)
def test_device_id_differs_by_board_and_by_machine(
    tmp_path: Path, machine: str, serial: str
) -> None:
    """Two cards cloned from one image differ by their boards."""
    one = device_id("auto", _root(tmp_path / "one"))
    assert one != device_id("auto", _root(tmp_path / "other", machine, serial))


@pytest.mark.parametrize(
    ("configured", "found"),
    [("hostname", socket.gethostname()), ("pi-7", "pi-7"), ("auto", socket.gethostname())],
)
def test_device_id_of_a_machine_without_any(tmp_path: Path, configured: str, found: str) -> None:
    """What is configured, else the host's name."""
    assert device_id(configured, tmp_path) == found
