"""What may be sent in a day and in a month; once that is reached, telemetry and logs wait.

Critical readings and anomalies go on, and count.
"""

from __future__ import annotations

import dataclasses
import logging

from edge_agent.cloud_sync.traffic import Sent, Traffic
from edge_agent.daemon.journal import Say
from edge_agent.events import NOTICE, event
from edge_agent.types import Priority

#: What goes on when a quota is reached.
URGENT = (Priority.CRITICAL, Priority.ANOMALY)


@dataclasses.dataclass(frozen=True, slots=True)
class Allowance:
    """What one period allows; None: as much as there is."""

    #: delivered items
    messages: int | None = None
    #: of requests, compressed, heads included, every attempt
    sent_bytes: int | None = None

    def left(self, sent: Sent) -> tuple[int | None, int | None]:
        """Messages and bytes that may still be sent."""
        messages = None if self.messages is None else self.messages - sent.items
        in_bytes = None if self.sent_bytes is None else self.sent_bytes - sent.sent_bytes
        return messages, in_bytes


#: An allowance of everything.
UNLIMITED = Allowance()


class Quota:
    """Both allowances of one agent. Used by the flusher's thread, but for `periods`."""

    def __init__(self, traffic: Traffic, daily: Allowance, monthly: Allowance, *, say: Say) -> None:
        self._traffic = traffic
        self._daily, self._monthly = daily, monthly
        self._say = say
        #: which quota is reached: ``daily messages`` …; empty while none is
        self.reached = ""

    @property
    def limited(self) -> bool:
        """Whether there is any quota."""
        return (self._daily, self._monthly) != (UNLIMITED, UNLIMITED)

    def periods(self) -> dict[str, tuple[Allowance, Sent]]:
        """What each period allows, and what was sent in it. For any thread."""
        return {
            "daily": (self._daily, self._traffic.day()),
            "monthly": (self._monthly, self._traffic.month()),
        }

    def look(self) -> int | None:
        """Messages that may still be sent of telemetry and logs; None: as many as there are.

        Says when a quota is reached, and when its period is over.
        """
        if not self.limited:
            return None
        left = {}
        for period, (allowance, sent) in self.periods().items():
            left[f"{period} messages"], left[f"{period} bytes"] = allowance.left(sent)
        spent = [name for name, rest in left.items() if rest is not None and rest <= 0]
        self._tell(spent[0] if spent else "")
        messages = [left["daily messages"], left["monthly messages"]]
        return 0 if spent else min((rest for rest in messages if rest is not None), default=None)

    def open_to(self) -> tuple[Priority, ...]:
        """The priorities that may be sent, as of the last look."""
        return URGENT if self.reached else tuple(Priority)

    def _tell(self, reached: str) -> None:
        if reached and not self.reached:
            advice = "telemetry and logs wait for the next period; raise upload.quota to send them"
            line = event("quota_reached", quota=reached, do=advice)
            self._say(logging.WARNING, line)
        if self.reached and not reached:
            self._say(NOTICE, event("quota_over", quota=self.reached))
        self.reached = reached
