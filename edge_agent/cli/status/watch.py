"""Shows the same lines again and again: in one place on a terminal, one after the other elsewhere.

Source:
    ECMA-48, 8.3.21 (CUP), 8.3.39 (ED), 8.3.41 (EL): what is drawn over stands still, and does not
    flicker as a screen does that is cleared each time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable

from edge_agent.errors import EdgeAgentError

EVERY_S = 2.0
#: What a terminal has that does not say (the VT100's).
_UNKNOWN = (80, 24)
_HOME, _CLEAR, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"

#: The lines as they are now, for a terminal of so many columns; None: for no terminal.
Look = Callable[[int | None], list[str]]


def watch(look: Look, *, newest_last: bool = False, stream: bool = False) -> int:
    """Show the lines every two seconds until Ctrl-C, which is how this ends: 0.

    Where they cannot be told once, the reason stands in their place, and it goes on.

    Args:
        look: tells them; none may be wider than it is told.
        newest_last: where there are too many for the terminal, the last ones are shown.
        stream: they are for a program: one time after the other, also on a terminal.

    Raises:
        EdgeAgentError: they cannot be told the first time.
    """
    in_place = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not stream
    show = _in_place(newest_last=newest_last) if in_place else _below(apart=not stream)
    with contextlib.suppress(KeyboardInterrupt):
        show(look)
        while True:
            time.sleep(EVERY_S)
            show(_undaunted(look))
    if in_place:
        sys.stdout.write("\n")
    return 0


def fitted(lines: list[str], rows: int, *, newest_last: bool = False) -> list[str]:
    """As many lines as there are rows; one of them says how many are missing."""
    surplus = len(lines) - rows + 1
    if surplus <= 1:
        return lines
    missing = f"... {surplus} lines more; a higher window shows them"
    return [missing, *lines[surplus:]] if newest_last else [*lines[: rows - 1], missing]


def _undaunted(look: Look) -> Look:
    """The same, with the reason where it cannot be told."""

    def looked(columns: int | None) -> list[str]:
        try:
            return look(columns)
        except EdgeAgentError as exc:
            told = f"pyvorin-agent: {exc}"
            return textwrap.wrap(told, columns or len(told), break_on_hyphens=False)

    return looked


def _in_place(*, newest_last: bool) -> Callable[[Look], None]:
    first = iter([_CLEAR])

    def show(look: Look) -> None:
        columns, rows = shutil.get_terminal_size(_UNKNOWN)
        # A line that fills its row leaves the cursor on the last column, and it would be erased.
        lines = fitted(look(columns - 1), rows, newest_last=newest_last)
        drawn = f"{_END_OF_LINE}\r\n".join(lines)
        # In one go: half a picture is seen as a flicker.
        sys.stdout.write(f"{_HOME}{next(first, '')}{drawn}{_END_OF_LINE}{_END_OF_SCREEN}")
        sys.stdout.flush()

    return show


def _below(*, apart: bool) -> Callable[[Look], None]:
    def show(look: Look) -> None:
        between = [""] if apart else []
        sys.stdout.write("\n".join([*look(None), *between, ""]))
        sys.stdout.flush()

    return show
