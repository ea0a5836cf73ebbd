"""Long work beside others that want to write: between two slices they get their turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

#: The longest that a waiting writer sleeps before it tries again.
#:
#: Source: ``sqliteDefaultBusyCallback`` in SQLite's ``main.c``: 1, 2, 5 … 50, 50, 100 ms.
LONGEST_NAP_S = 0.1


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """After the block, leave the file alone for as long as the block took, or the longest nap.

    Who waits for SQLite's lock does not stand in a line: he tries now and then, and finds it taken
    again each time where slices follow each other at once (measured: 1.8 s for one row).
    """
    began = time.monotonic()
    yield
    time.sleep(min(time.monotonic() - began, LONGEST_NAP_S))
