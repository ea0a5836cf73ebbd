"""Small files that must be whole after a power cut, and be nobody else's to read."""

from __future__ import annotations

import os
from pathlib import Path

_MODE = 0o600


def replace(path: Path, content: bytes) -> None:
    """Write a file of which a power cut leaves either the old one or the new one, whole.

    Only the owner can read it. It is on the disk when this returns.

    Raises:
        OSError: it could not be written; an older one, if any, is still there.
    """
    fresh = path.with_name(f".{path.name}.new")
    _write(fresh, content)
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make what was renamed in a directory last: it is durable only once the directory is.

    Source: fsync(2).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    # What a power cut left of an earlier try may have another owner or mode.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
