"""How the last run ended: kept in the queue file, as no Pi keeps its journal over a reboot."""

from __future__ import annotations

from typing import Any

import edge_agent
from edge_agent.clock import Clock
from edge_agent.cloud_sync.memory import Memory
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.wear import Wear

_OWNER = "agent.run"
#: How a run may end: in order, by the watchdog, killed in this boot; or with the power, or a reboot
#: without a stop.
ENDS = ("stopped", "watchdog", "killed", "power_cut")


def last_end(memory: Memory, clock: Clock) -> dict[str, Any] | None:
    """How the last run ended, where none runs now.

    Returns:
        ``ended`` (one of `ENDS`), ``reason``, ``uptime_s`` as last noted, ``version``; None where
        there was no run.
    """
    record = memory.load(_OWNER)
    if record is None:
        return None
    if not record["ended"]:
        record["ended"] = "killed" if record["boot_id"] == clock.boot_id() else "power_cut"
    return {name: record[name] for name in ("ended", "reason", "uptime_s", "version")}


class Run:
    """The record of one run of the agent, kept in the queue file."""

    def __init__(self, queue: CloudSyncQueue, clock: Clock) -> None:
        self._memory = queue.memory
        #: what the agent writes to the card
        self.wear = Wear(queue.traffic)
        #: how the run before ended, as `begin` found it
        self.previous: dict[str, Any] | None = None
        self._clock = clock
        self._began = clock.monotonic()
        self._boot_id = clock.boot_id()

    @property
    def uptime_s(self) -> int:
        """How long it has run."""
        return round(self._clock.monotonic() - self._began)

    def begin(self) -> dict[str, Any] | None:
        """Open the record.

        Returns:
            how the run before ended, as `last_end` says it.
        """
        self.previous = last_end(self._memory, self._clock)
        self.note()
        return self.previous

    def note(self, ended: str = "", reason: str = "") -> None:
        """Bring the record, and the wear, up to date; with ``ended``, say how this run ends.

        Raises:
            StoreError: it could not be written.
        """
        uptime_s = self.uptime_s
        record = {
            "version": edge_agent.__version__,
            "boot_id": self._boot_id,
            "uptime_s": uptime_s,
            "ended": ended,
            "reason": reason or None,
        }
        self.wear.keep(uptime_s, {_OWNER: record})
