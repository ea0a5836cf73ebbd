"""How fast the queue grows, and for how long it still has room."""

from __future__ import annotations

from collections import deque

#: How often a look is kept, and how many: the present rate is that of the last half hour.
LOOK_EVERY_S = 60.0
_LOOKS = 31
#: Of so many looks at either end the least counts: a queue that fills and empties with every
#: request does not grow.
_END_LOOKS = 5


class Growth:
    """Remembers how many rows there were lately. Used by one thread."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)

    def look(self, rows: int, now: float) -> None:
        """Take note.

        Args:
            rows: those that are in the queue, and those that would be if there had been room.
            now: monotonic seconds.
        """
        if not self._looks or now >= self._looks[-1][0] + LOOK_EVERY_S:
            self._looks.append((now, rows))

    def rows_per_s(self) -> float | None:
        """How fast it grows; below 0 while it drains; None before the second look."""
        ends = min(_END_LOOKS, len(self._looks) // 2)
        if not ends:
            return None
        looks = list(self._looks)
        (began, least), (ended, last) = (
            min(part, key=lambda look: (look[1], look[0])) for part in (looks[:ends], looks[-ends:])
        )
        return (last - least) / (ended - began)


def hours_left(left_bytes: int, row_bytes: float, rows_per_s: float | None) -> int | None:
    """Whole hours for which what comes still fits at the present rate of growth.

    Args:
        left_bytes: what the queue may still take, by its own size and by the disk's.
        row_bytes: what one more row takes.
        rows_per_s: how fast it grows; None: not known yet.

    Returns:
        0 where there is no room for one more row; else None where nothing grows.
    """
    if left_bytes <= row_bytes:
        return 0
    if not rows_per_s or rows_per_s < 0 or not row_bytes:
        return None
    return int(left_bytes / (row_bytes * rows_per_s) / 3600)


def drain_s(rows: int, rows_per_s: float | None) -> int | None:
    """Seconds until nothing waits any more at the present rate.

    Args:
        rows: that wait.
        rows_per_s: how fast they become more; None: not known yet.

    Returns:
        None where they do not become fewer.
    """
    return round(-rows / rows_per_s) if rows_per_s and rows_per_s < 0 else None
