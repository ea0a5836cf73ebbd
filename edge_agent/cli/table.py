"""Lines for a terminal: columns as wide as they need to be, and nothing that could break them."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line for each row, two spaces between the columns; the last is as wide as it likes.

    Args:
        rows: may differ in length; a cell that is the last of its row widens no column.
    """
    widths: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row[:-1]):
            widths[column] = max(widths.get(column, 0), len(cell))
    return [
        printable("  ".join(cell.ljust(widths.get(n, 0)) for n, cell in enumerate(row)).rstrip())
        for row in rows
    ]


def printable(line: str) -> str:
    """What a kernel, a chip or a plugin calls a thing must not end the line it stands in."""
    return "".join(c if c.isprintable() else "?" for c in line)
