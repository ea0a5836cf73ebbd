"""When a person's look asks a server for its certificate, and when not."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.cli.status.certificate import Asked, shown_to
from edge_agent.cloud_sync.certificate import Certificate

SHOWN = Certificate(1.0, 2.0, "Cold Chain CA", ("ingest.example",))


class Server:
    """Counts how often it is asked."""

    def __init__(self, shown: Certificate | None = SHOWN) -> None:
        self.shown = shown
        self.asked = 0

    def __call__(self) -> Certificate | None:
        self.asked += 1
        return self.shown


def agent(reason: str | None) -> dict[str, Any]:
    return {"health": {"link_reason": reason}}


@pytest.mark.parametrize("reason", [None, "dns: no such name", "tls: nobody speaks TLS there"])
def test_certificate_that_nobody_doubts_is_not_asked_for(
    clock: FakeClock, reason: str | None
) -> None:
    """Nor that of a stopped agent's server."""
    server = Server()
    asked = Asked(server, clock)
    assert asked.certificate(agent(reason)) is None
    assert asked.certificate({}) is None
    assert server.asked == 0


@pytest.mark.parametrize("shown", [SHOWN, None])
def test_certificate_is_asked_for_once_a_minute(
    clock: FakeClock, shown: Certificate | None
) -> None:
    """Who watches looks every two seconds; also where nobody answers."""
    server = Server(shown)
    asked = Asked(server, clock)
    doubt = agent("tls_expired: certificate has expired")
    told = {"issuer": "Cold Chain CA", "hosts": ["ingest.example"], "from": 1.0, "to": 2.0}
    for _ in range(30):
        assert asked.certificate(doubt) == (told if shown else None)
        clock.advance(2)
    assert server.asked == 1
    asked.certificate(doubt)
    assert server.asked == 2


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [("https://127.0.0.1:1/", "http://proxy.example"), ("https://127.0.0.1:1/", None), ("", None)],
)
def test_certificate_that_cannot_be_had_is_none(endpoint: str, proxy: str | None) -> None:
    """Behind a proxy, or where nobody listens."""
    assert shown_to(endpoint, proxy, 1.0) is None
