"""The certificate of a server that the agent does not trust, as a person compares it.

A handshake that fails shows none, so it is asked for anew: when a person looks, and not by the
daemon. Nothing is sent but the greeting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edge_agent.clock import Clock
from edge_agent.daemon.link import OF_TIME

if TYPE_CHECKING:
    from edge_agent.cloud_sync.certificate import Certificate

#: What the link's last error begins with where the certificate is to blame, or the clock.
DOUBTS = (*OF_TIME, "tls_untrusted", "tls_wrong_host")
#: A status must not take long.
WITHIN_S = 3.0
#: Who watches need not ask each time.
_KEPT_S = 60.0


def shown_to(endpoint: str, proxy: str | None, within_s: float) -> Certificate | None:
    """The server's certificate; None where it cannot be had, as behind a proxy.

    Args:
        endpoint: a URL with ``https``.
        proxy: a URL, where there is one.
        within_s: seconds for all of it.
    """
    # The largest import of all, for what is seldom wanted.
    from edge_agent.cloud_sync.certificate import shown_by  # noqa: PLC0415

    if proxy:
        return None
    parts = urlsplit(endpoint)
    try:
        return shown_by(parts.hostname or "", parts.port or 443, within_s)
    except (OSError, ValueError):
        return None


class Asked:
    """Asks for the certificate where the agent doubts it, and keeps the answer for a minute."""

    def __init__(self, ask: Callable[[], Certificate | None], clock: Clock) -> None:
        """Begin with nothing asked.

        Args:
            ask: asks for it; takes `WITHIN_S` at the most.
            clock: the machine's.
        """
        self._ask = ask
        self._clock = clock
        self._due = 0.0
        self._told: dict[str, Any] | None = None

    def certificate(self, agent: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is shown, JSON-representable; None where nobody doubts it, or it cannot be had.

        Args:
            agent: what a running agent wrote of itself; empty where none runs.
        """
        reason = (agent["health"]["link_reason"] or "") if agent else ""
        if reason.partition(":")[0] not in DOUBTS:
            return None
        now = self._clock.monotonic()
        if now >= self._due:
            self._told, self._due = _told(self._ask()), now + _KEPT_S
        return self._told


def _told(shown: Certificate | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    hosts = list(shown.hosts)
    return {"issuer": shown.issuer, "hosts": hosts, "from": shown.begins, "to": shown.ends}
