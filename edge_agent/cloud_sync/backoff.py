"""Full jitter: how long to wait after the n-th failure in a row.

Source:
    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the variants,
    full jitter spreads a crowd that failed together best.
"""

from __future__ import annotations

#: Beyond it the doubling has long met any cap; it keeps the power from overflowing.
_MOST_DOUBLINGS = 32


def full_jitter(failures: int, *, base_s: float, cap_s: float, draw: float) -> float:
    """Seconds to wait.

    Args:
        failures: how many in a row, 1 or more.
        base_s: the longest wait after the first; doubles with each further one.
        cap_s: the longest wait of all.
        draw: uniformly random in 0 to 1.

    Returns:
        ``draw`` of the present ceiling, so anything from 0 to the ceiling.
    """
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    return draw * min(cap_s, base_s * 2.0**doublings)
