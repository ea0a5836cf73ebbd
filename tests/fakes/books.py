"""What both ends say of the readings, and when the poller took them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from edge_agent.cloud_sync import CloudSyncQueue
from fakes.processes import Site

#: How far before the middle of all a reading may lie, in intervals.
_EARLY = 0.1


def check_every_reading_arrived_once(site: Site, readings: Sequence[tuple[str, float]]) -> None:
    """After a stop that drained: read, stored, delivered and received are the same number.

    Args:
        site: where the agent ran.
        readings: name and time of each at the far end.
    """
    with CloudSyncQueue(site.queue) as queue:
        ledger = queue.ledger()
    assert ledger.closes
    assert ledger.queued == 0
    assert len(readings) == len(set(readings)) == ledger.delivered == ledger.enqueued
    assert site.status()["read_total"] == ledger.enqueued


class Schedule:
    """How far readings stand from the ideal grid of their interval."""

    def __init__(self, times: Sequence[float], interval_s: float) -> None:
        times = sorted(times)
        ticks = [round((time - times[0]) / interval_s) for time in times]
        offsets = [time - tick * interval_s for time, tick in zip(times, ticks, strict=True)]
        grid = statistics.median(offsets)
        #: milliseconds, in order
        self.errors_ms = sorted(abs(offset - grid) * 1000 for offset in offsets)
        # None is read before its tick: one that is late by most of an interval is still its own.
        began = times[0] + grid - _EARLY * interval_s
        filled = {math.floor((time - began) / interval_s) for time in times}
        #: ticks without a reading
        self.missed = max(filled) - min(filled) + 1 - len(filled)

    def __str__(self) -> str:
        errors = self.errors_ms
        p50, p99 = errors[len(errors) // 2], errors[int(len(errors) * 0.99)]
        return (
            f"schedule error of {len(errors)} readings: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"max {errors[-1]:.1f} ms, {self.missed} missed"
        )
