"""How the last run ended: kept in the queue file, as no Pi keeps its journal over a reboot."""

from __future__ import annotations

from typing import Any

import edge_agent
from edge_agent.clock import Clock
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon.wear import Wear

_OWNER = "agent.run"


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
            how the run before ended: ``ended`` (``stopped``, ``watchdog``, ``killed`` in this boot,
            ``power_cut`` or a reboot without a stop in an earlier one), ``reason``, ``uptime_s``
            as last noted, ``version``; None on the first run of all.
        """
        before = self._memory.load(_OWNER)
        self.note()
        if before is None:
            return None
        if not before["ended"]:
            before["ended"] = "killed" if before["boot_id"] == self._boot_id else "power_cut"
        names = ("ended", "reason", "uptime_s", "version")
        self.previous = {name: before[name] for name in names}
        return self.previous

    def note(self, ended: str = "", reason: str = "") -> None:
        """Bring the record, and the wear, up to date; with ``ended``, say how this run ends.

        Raises:
            StoreError: it could not be written.
        """
        record = {
            "version": edge_agent.__version__,
            "boot_id": self._boot_id,
            "uptime_s": self.uptime_s,
            "ended": ended,
            "reason": reason or None,
        }
        self.wear.keep({_OWNER: record})
