"""The last configuration that was accepted, kept for the day when the file is bad at start."""

from __future__ import annotations

import os
from pathlib import Path

_MODE = 0o600


def save(path: Path, text: str) -> bool:
    """Keep the text of a configuration that was accepted.

    A power cut leaves either the old file or the new one, whole. Only the owner can read it: a
    key written in the configuration itself stands in it too.

    Args:
        path: where to keep it; it is read again with `edge_agent.config.loader.load`.
        text: ``Loaded.text_for_last_good``.

    Returns:
        whether anything was written; what is there already is left alone, for the card's sake.

    Raises:
        OSError: it could not be written; an older copy, if any, is still there.
    """
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    fresh = path.with_name(f".{path.name}.new")
    _write(fresh, content)
    fresh.replace(path)
    _sync_directory(path.parent)
    return True


def _write(path: Path, content: bytes) -> None:
    # What a power cut left of an earlier try may have another owner or mode.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    # The rename itself is durable only once the directory is. Source: fsync(2).
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
