"""How far a long work has come: a bar on a terminal that can draw, nothing anywhere else."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Tell on stderr how far it is, for the length of a ``with`` block.

    Args:
        what: in a word or two, for the beginning of the line.
        total: how far it can come; None: nobody knows.

    Yields:
        what is to be called with how far it is.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda _: None
    elif importlib.util.find_spec("rich"):
        with _bar(what, total) as tell:
            yield tell
    else:
        end = "" if total is None else f" of {total}"
        try:
            yield lambda done: _line(f"{what} {done}{end}")
        finally:
            _line("")


@contextlib.contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Drawn by rich, and gone at the end."""
    from rich.console import Console  # noqa: PLC0415  # only on a terminal
    from rich.progress import Progress  # noqa: PLC0415  # only on a terminal

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=total)
        yield lambda done: drawn.update(task, completed=done)


def _line(text: str) -> None:
    """Write over the line that is there (ECMA-48, EL)."""
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
