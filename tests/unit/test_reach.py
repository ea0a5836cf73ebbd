"""A name that is looked up in time or not, and addresses of which some are black holes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from edge_agent.cloud_sync import reach

V4, V6 = socket.AF_INET, socket.AF_INET6
LOOPBACK = [(V4, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 443))]


class NameServer:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked = 0
        self.error: OSError | None = None

    def ask(self, host: str, port: int) -> reach.Found:
        self.asked += 1
        self.thread = threading.current_thread()
        self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        return [*LOOPBACK]

    def answer(self) -> None:
        self.may_answer.set()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.may_answer.set()


def test_look_up_that_hangs_is_given_up_and_is_the_only_one(server: NameServer) -> None:
    """Each call ends in its time with a DNS error; none begins a second look-up."""
    lookup = reach.Lookup(server.ask)
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="no name server answers"):
            lookup.addresses("ingest.test", 443, 0.001)
    assert server.asked == 1


def test_look_up_that_came_too_late_serves_the_next_request_once(server: NameServer) -> None:
    """Slow name servers are slow, not useless; and later the name is looked up anew."""
    lookup = reach.Lookup(server.ask)
    with pytest.raises(socket.gaierror):
        lookup.addresses("ingest.test", 443, 0.001)
    server.answer()
    assert lookup.addresses("ingest.test", 443, 60) == LOOPBACK
    assert server.asked == 1
    assert lookup.addresses("ingest.test", 443, 60) == LOOPBACK
    assert server.asked == 2


def test_look_up_that_failed_late_says_nothing_of_today(server: NameServer) -> None:
    """The link is back, and the name is looked up at once."""
    lookup = reach.Lookup(server.ask)
    with pytest.raises(socket.gaierror):
        lookup.addresses("ingest.test", 443, 0.001)
    server.error = socket.gaierror(socket.EAI_AGAIN, "temporary failure")
    server.answer()
    server.error = None
    assert lookup.addresses("ingest.test", 443, 60) == LOOPBACK
    assert server.asked == 2


def test_look_up_that_fails_raises_what_the_system_said(server: NameServer) -> None:
    """The reason goes into the journal."""
    server.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    server.may_answer.set()
    with pytest.raises(socket.gaierror, match="not known"):
        reach.Lookup(server.ask).addresses("ingest.test", 443, 60)


class Address:
    """A socket in a network where only one address answers; each black hole costs its time-out."""

    now_s = 0.0
    tried: list[tuple[str, float]]

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        self.timeout_s = 0.0

    def setsockopt(self, *option: int) -> None:
        """Nothing to set."""

    def settimeout(self, seconds: float) -> None:
        self.timeout_s = seconds

    def connect(self, address: tuple[str, int]) -> None:
        Address.tried.append((address[0], self.timeout_s))
        if address[0] != "answers":
            Address.now_s += self.timeout_s
            raise TimeoutError("timed out")
        Address.now_s += 1.0

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> type[Address]:
    monkeypatch.setattr(Address, "now_s", 0.0)
    monkeypatch.setattr(Address, "tried", [], raising=False)
    monkeypatch.setattr(reach.time, "monotonic", lambda: Address.now_s)
    monkeypatch.setattr(reach.socket, "socket", Address)
    return Address


def addresses(*entries: tuple[int, str]) -> reach.Lookup:
    return reach.Lookup(
        lambda _, port: [(family, 1, 6, "", (name, port)) for family, name in entries]
    )


def test_connection_to_black_holes_ends_within_the_whole_time_out(network: type[Address]) -> None:
    """However many addresses a name has."""
    lookup = addresses(*((V4, f"hole-{n}") for n in range(8)))
    with pytest.raises(TimeoutError):
        reach.connect(lookup, "ingest.test", 443, 16.0, ())
    assert network.now_s == 16.0


def test_connection_finds_the_other_family_behind_black_holes(network: type[Address]) -> None:
    """Four dead IPv6 addresses come first; IPv4 is tried second, and the handshake has the rest."""
    lookup = addresses(*((V6, f"hole-{n}") for n in range(4)), (V4, "answers"))
    sock = reach.connect(lookup, "ingest.test", 443, 16.0, ())
    assert network.tried == [("hole-0", 8.0), ("answers", 4.0)]
    assert sock.timeout_s == 7.0  # type: ignore[attr-defined]  # the fake has one


def test_connection_without_an_address_is_an_error(network: type[Address]) -> None:
    """A resolver may answer with nothing."""
    with pytest.raises(OSError, match="no answer"):
        reach.connect(addresses(), "ingest.test", 443, 16.0, ())
