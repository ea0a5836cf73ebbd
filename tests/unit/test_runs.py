"""How the last run ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.clock import FakeClock

import edge_agent
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.runs import Run


def _killed(run: Run, clock: FakeClock) -> None:
    run.note()


def _power_cut(run: Run, clock: FakeClock) -> None:
    run.note()
    clock.reboot()


def _stopped(run: Run, clock: FakeClock) -> None:
    run.note("stopped")


def _stopped_and_rebooted(run: Run, clock: FakeClock) -> None:
    run.note("stopped")
    clock.reboot()


def _watchdog(run: Run, clock: FakeClock) -> None:
    run.note("watchdog", "flusher stuck in uploader.send")


@pytest.mark.parametrize(
    ("end", "ended", "reason"),
    [
        (_killed, "killed", None),
        (_power_cut, "power_cut", None),
        (_stopped, "stopped", None),
        (_stopped_and_rebooted, "stopped", None),
        (_watchdog, "watchdog", "flusher stuck in uploader.send"),
    ],
)
def test_run_tells_how_the_one_before_ended(
    tmp_path: Path,
    clock: FakeClock,
    end: Callable[[Run, FakeClock], None],
    ended: str,
    reason: str | None,
) -> None:
    """Kept in the queue file, with how long it ran."""
    with CloudSyncQueue(tmp_path / "q.db", clock=clock) as queue:
        run = Run(queue, clock)
        assert run.begin() is None
        clock.advance(100)
        end(run, clock)
        assert Run(queue, clock).begin() == {
            "ended": ended,
            "reason": reason,
            "uptime_s": 100,
            "version": edge_agent.__version__,
        }
