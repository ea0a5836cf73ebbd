"""The service manager: READY, STATUS, STOPPING and the watchdog's ping, by sd_notify.

Source:
    sd_notify(3). The library swallows every error, encodes latin-1 and sends one datagram a call:
    a status with another character would lose the READY sent with it, so the two go apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import sdnotify


class ServiceManager:
    """Talks to systemd where there is one; silent elsewhere."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        # The library makes a socket even where there is nobody to talk to.
        self._notifier = sdnotify.SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        #: seconds within which a ping must come; None where no watchdog is set
        self.watchdog_s = _watchdog_s(environ)
        self._status = ""

    def starting(self, within_s: float) -> None:
        """The start may take this long: a damaged file on a slow card is looked over first.

        Source:
            sd_notify(3), EXTEND_TIMEOUT_USEC: READY must come within that time, counted from here,
            where the unit's own time to start would be over before.
        """
        self._tell(f"EXTEND_TIMEOUT_USEC={within_s * 1e6:.0f}")

    def ready(self) -> None:
        """The agent is up: the queue is open and the threads run."""
        self._tell("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; sent when it changed."""
        if text != self._status:
            self._status = text
            # A line break would begin another message to systemd.
            line = " ".join(text.split()).encode("ascii", "replace").decode("ascii")
            self._tell(f"STATUS={line}")

    def alive(self) -> None:
        """All threads have made progress."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The agent is on its way out."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if self._notifier is not None:
            self._notifier.notify(message)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog's time, if it is meant for this process (sd_watchdog_enabled(3))."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdigit() and int(text) else None
