"""What the kernel says of routes and links: messages recorded from Linux 6.18, and the listener."""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from edge_agent.daemon import routes
from edge_agent.daemon.routes import RouteListener, Ways

#: A real thread that does not do its part in this time never will.
FAR_S = 60.0


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


#: ip route add default via 10.77.0.1
DEFAULT_ROUTE = _bytes(
    "34000000180000069384016bb945000002000000fe0300010000000008000f00fe000000080005000a4d0001"
    "0800040002000000"
)
#: ip route del default
DEFAULT_ROUTE_GONE = _bytes(
    "34000000190000009984016bdb45000002000000fe0300010000000008000f00fe000000080005000a4d0001"
    "0800040002000000"
)
#: ip -6 route add default via fe80::1 dev a0
DEFAULT_ROUTE_6 = _bytes(
    "74000000180000069384016bbb4500000a000000fe0300010000000008000f00fe0000000800060000040000"
    "14000500fe8000000000000000000000000000010800040002000000"
    "24000c0000000000000000000000000000000000000000000000000000000000000000000500140000000000"
)
#: 10.77.0.0/30 dev a0, which came by itself when a0 was set up
CONNECTED_ROUTE = _bytes(
    "3c000000180000060000000000000000021e0000fe02fd010000000008000f00fe000000080001000a4d0000"
    "080007000a4d00020800040002000000"
)
#: ip addr add 10.77.0.2/30 dev a0: this machine's own address
LOCAL_ROUTE = _bytes(
    "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff000000080001000a4d0002"
    "080007000a4d00020800040002000000"
)
#: ff00::/8, which came with a0
MULTICAST_ROUTE_6 = _bytes(
    "740000001800000600000000000000000a080000ff0200050000000008000f00ff00000014000100ff000000"
    "000000000000000000000000080006000001000008000400020000002400"
    "0c0000000000000000000000000000000000000000000000000000000000000000000500140000000000"
)
#: ip route add unreachable 192.0.2.0/24
UNREACHABLE_ROUTE = _bytes(
    "2c000000180000069a84016be145000002180000fe0300070000000008000f00fe00000008000100c0000200"
)
#: The beginnings of messages on links, as their attributes are not looked at: ip link set lo up
LOOPBACK_UP = _bytes("bc05000010000000000000000000000000000403010000004900010001000000")
#: ip link set a0 up, before its carrier is there
A0_UP = _bytes("dc05000010000000000000000000000000000100020000000310010001000000")
#: the other end is set up
A0_CARRIER = _bytes("dc05000010000000000000000000000000000100020000004310010000000000")
#: the other end is set down
A0_NO_CARRIER = _bytes("dc05000010000000000000000000000000000100020000000310000000000000")
#: ip link del a0
A0_GONE = _bytes("a8020000110000000000000000000000000001000200000002100000ffffffff")


@pytest.mark.parametrize(
    ("message", "opens"),
    [
        (DEFAULT_ROUTE, True),
        (DEFAULT_ROUTE_6, True),
        (CONNECTED_ROUTE, True),
        # It may uncover the next best one.
        (DEFAULT_ROUTE_GONE, True),
        (LOCAL_ROUTE, False),
        (MULTICAST_ROUTE_6, False),
        (UNREACHABLE_ROUTE, False),
        (LOOPBACK_UP, False),
        (A0_UP, False),
        (A0_CARRIER, True),
        (A0_NO_CARRIER, False),
        (A0_GONE, False),
    ],
)
def test_ways_know_what_may_lead_to_a_server(message: bytes, *, opens: bool) -> None:
    """Each alone, as the first thing that is heard."""
    assert Ways().changed(message) is opens


def test_ways_carrier_is_news_when_it_was_gone() -> None:
    """A link that says again that it runs, as a wireless one does, has not come back."""
    ways = Ways()
    heard = [A0_UP, A0_CARRIER, A0_CARRIER, A0_NO_CARRIER, A0_CARRIER, A0_GONE, A0_CARRIER]
    assert [ways.changed(message) for message in heard] == [
        *(False, True, False),
        *(False, True),
        *(False, True),
    ]


def test_ways_after_lost_messages_take_any_running_link_for_news() -> None:
    """The word that it was gone may have been among them."""
    ways = Ways()
    ways.changed(A0_CARRIER)
    ways.forget()
    assert ways.changed(A0_CARRIER)


def _of_length(length_bytes: int, message: bytes) -> bytes:
    """The message with another length in its header."""
    return length_bytes.to_bytes(4, sys.byteorder) + message[4:]


def test_ways_look_at_every_message_of_a_datagram() -> None:
    """Each begins at a multiple of four bytes; what comes after news is remembered too."""
    padded = _of_length(42, UNREACHABLE_ROUTE)
    ways = Ways()
    assert ways.changed(padded + DEFAULT_ROUTE + _of_length(32, A0_CARRIER))
    assert not ways.changed(A0_CARRIER)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DEFAULT_ROUTE[:15],
        DEFAULT_ROUTE[:27],
        A0_CARRIER[:31],
        bytes(64),
        b"\xff" * 64,
        b"\x0f" + bytes(63),
    ],
)
def test_ways_make_nothing_of_what_is_no_message(data: bytes) -> None:
    """Cut off, of length zero, of another kind: no error, and no endless loop."""
    assert not Ways().changed(data)


class Kernel:
    """Its end of a socket, and a listener at the other."""

    def __init__(self) -> None:
        self.socket, self.news = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard = threading.Semaphore(0)
        self.listener = RouteListener(self.heard.release, lambda: self.news)

    def thread(self) -> threading.Thread | None:
        return next((t for t in threading.enumerate() if t.name == "routes"), None)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """One that need not be waited for."""
    monkeypatch.setattr(routes, "SETTLES_S", 0.0)
    made = Kernel()
    yield made
    made.listener.close()
    made.socket.close()
    made.news.close()


def test_listener_calls_for_news_alone(kernel: Kernel) -> None:
    """What is none wakes nobody."""
    kernel.listener.start()
    kernel.socket.send(UNREACHABLE_ROUTE)
    kernel.socket.send(A0_NO_CARRIER)
    kernel.socket.send(DEFAULT_ROUTE)
    assert kernel.heard.acquire(timeout=FAR_S)
    kernel.listener.close()
    assert not kernel.heard.acquire(blocking=False)


def test_listener_takes_what_comes_together_for_one_piece_of_news(kernel: Kernel) -> None:
    """A link that comes up brings several routes."""
    kernel.news.settimeout(0.0)
    for _ in range(5):
        kernel.socket.send(DEFAULT_ROUTE)
    assert kernel.listener._hear(kernel.news)
    assert not kernel.listener._hear(kernel.news)


def test_listener_stop_ends_the_thread_and_closes_its_socket(kernel: Kernel) -> None:
    """Also in the middle of waiting for more, and when it never ran."""
    kernel.listener.close()
    kernel.listener.start()
    assert kernel.thread() is not None
    kernel.listener.close()
    assert kernel.thread() is None
    assert kernel.news.fileno() == -1


class Failing(socket.socket):
    """A socket that always has something to read, and fails at it as it is told."""

    def __init__(self, *errors: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._errors = [OSError(number, "as told") for number in errors]

    def recv(self, *_: object) -> bytes:
        raise self._errors.pop(0) if self._errors else BlockingIOError()


def test_listener_takes_lost_messages_for_news(kernel: Kernel) -> None:
    """ENOBUFS: there was more than the socket holds, and nobody knows what."""
    kernel.listener._ways.changed(A0_CARRIER)
    with Failing(errno.ENOBUFS) as news:
        assert kernel.listener._hear(news)
    assert kernel.listener._ways.changed(A0_CARRIER)


def _not_allowed() -> socket.socket:
    raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")


def _unknown() -> socket.socket:
    raise AttributeError("module 'socket' has no attribute 'AF_NETLINK'")


@pytest.mark.parametrize("no_socket", [_not_allowed, _unknown])
def test_listener_without_a_socket_says_so_and_does_without(
    no_socket: Callable[[], socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    """A container that allows no AF_NETLINK, another operating system: one line, no thread."""
    caplog.set_level(logging.INFO)
    listener = RouteListener(pytest.fail, no_socket)
    listener.start()
    listener.close()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage().startswith("routes_unheard reason=")


def test_listener_that_cannot_hear_any_more_says_so_and_ends(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a loop around an error."""
    caplog.set_level(logging.INFO)
    news = Failing(errno.EIO)
    listener = RouteListener(pytest.fail, lambda: news)
    # An unconnected socket of this kind is always ready in one way or another.
    news.bind("")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"something", news.getsockname())
    listener.start()
    assert listener._running is not None
    listener._running[0].join(FAR_S)
    listener.close()
    assert [record.getMessage().split()[0] for record in caplog.records] == ["routes_unheard"]


def test_kernel_socket_is_given_to_anybody() -> None:
    """The real one: its groups can be joined without a privilege."""
    with routes.kernel_socket() as news:
        assert news.getsockname()[1] == routes.GROUPS
