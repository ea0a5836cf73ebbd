"""Who this device is to the server: stable over reinstallation, and never the raw machine id.

Source:
    machine-id(5): the id is confidential and must not be exposed on the network; a keyed hash of
    it may.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from pathlib import Path

_PURPOSE = b"pyvorin-agent device id"


def device_id(configured: str, root: Path = Path("/")) -> str:
    """The device's id.

    Args:
        configured: ``auto``, ``hostname``, or the id itself.
        root: where /etc and /proc are; ``/`` but in tests.

    Returns:
        for ``auto`` 16 hexadecimal digits made of the machine id and the board's serial number:
        the second tells two cards apart that were cloned from one image. Where a machine has
        neither, its host name.
    """
    if configured == "hostname":
        return socket.gethostname()
    if configured != "auto":
        return configured
    machine = _text(root / "etc/machine-id")
    board = _text(root / "proc/device-tree/serial-number")
    if not machine and not board:
        return socket.gethostname()
    digest = hmac.new(_PURPOSE, f"{machine}\n{board}".encode(), hashlib.sha256)
    return digest.hexdigest()[:16]


def _text(path: Path) -> str:
    """The file's text; the device tree ends its texts with a NUL."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip("\0\n ")
    except OSError:
        return ""
