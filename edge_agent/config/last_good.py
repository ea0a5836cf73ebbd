"""The last configuration that was accepted, kept for the day when the file is bad at start."""

from __future__ import annotations

from pathlib import Path

from edge_agent import files


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
    files.replace(path, content)
    return True
