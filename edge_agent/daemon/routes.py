"""The kernel's word that a way may have opened: a route came or went, or a link has its carrier.

Without it a link that returns is noticed when the back-off is over, which may take a quarter of an
hour. A cable that is put back under a static route changes no route: that is why links are listened
to as well.

Source:
    netlink(7), rtnetlink(7), and linux/netlink.h, linux/rtnetlink.h, linux/if.h for the numbers.
    What the kernel sends was recorded from Linux 6.18 (tests/unit/test_routes.py).
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from edge_agent.events import event

#: Groups to be sent what changes: links, and the routes of both families (RTMGRP_LINK,
#: RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE).
GROUPS = 0x1 | 0x40 | 0x400
#: From the first message to what is made of it: a link that comes up brings several routes, and a
#: routing daemon thousands.
SETTLES_S = 0.5
#: How long a stop waits for the thread.
ENDS_S = 1.0
#: The kernel makes no notification larger than this but for cards with many virtual functions, and
#: of those the beginning is enough.
_MOST_BYTES = 32 * 1024
#: Messages read in a row: those of a storm must not keep the thread from its end.
_MOST_IN_A_ROW = 10_000

#: struct nlmsghdr: length, type, flags, sequence number, sender; then the body, and padding to 4.
_HEADER = struct.Struct("=IHHII")
#: struct rtmsg: family, two lengths of addresses, tos, table, protocol, scope, type; flags.
_ROUTE = struct.Struct("=8BI")
#: struct ifinfomsg: family, padding, hardware type, index, flags, which of them changed.
_LINK = struct.Struct("=BxHiII")
_NEWLINK, _DELLINK, _NEWROUTE, _DELROUTE = 16, 17, 24, 25
#: A gateway or a directly connected network; others reject, drop, or are this machine.
_UNICAST = 1
_LOOPBACK, _RUNNING = 0x8, 0x40

_log = logging.getLogger(__name__)


class Ways:
    """What the kernel's messages mean; remembers which links have their carrier."""

    def __init__(self) -> None:
        self._running: set[int] = set()

    def changed(self, data: bytes) -> bool:
        """Whether a datagram tells of a way that may have opened.

        A route that goes counts too: it may uncover the next best one, as when a cable is pulled
        and the mobile link takes over.

        Args:
            data: any number of messages, the last of them perhaps cut off.
        """
        # All of them are looked at: what is not news now is remembered.
        return sum(self._opens(kind, body) for kind, body in _messages(data)) > 0

    def forget(self) -> None:
        """Messages were missed: the next word of any link that runs is news."""
        self._running.clear()

    def _opens(self, kind: int, body: bytes) -> bool:
        if kind in (_NEWROUTE, _DELROUTE) and len(body) >= _ROUTE.size:
            *_, route_type, _ = _ROUTE.unpack_from(body)
            return bool(route_type == _UNICAST)
        if kind in (_NEWLINK, _DELLINK) and len(body) >= _LINK.size:
            _, _, index, flags, _ = _LINK.unpack_from(body)
            return self._runs(index, flags if kind == _NEWLINK else 0)
        return False

    def _runs(self, index: int, flags: int) -> bool:
        """Note a link's state; whether it runs since now."""
        known = index in self._running
        runs = bool(flags & _RUNNING) and not flags & _LOOPBACK
        (self._running.add if runs else self._running.discard)(index)
        return runs and not known


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message in a datagram."""
    start = 0
    while len(data) - start >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data, start)
        # Shorter than its own header: no message, and nothing tells where the next one begins.
        if length < _HEADER.size:
            return
        yield kind, data[start + _HEADER.size : start + length]
        start += (length + 3) & ~3


def kernel_socket() -> socket.socket:
    """A socket on which the kernel tells what changes; needs no privilege.

    Raises:
        OSError: not allowed here, as in some containers.
        AttributeError: this operating system has no such thing.
    """
    news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        news.bind((0, GROUPS))
    except OSError:
        news.close()
        raise
    return news


class RouteListener:
    """A thread that calls ``changed`` when a way may have opened, at most once in `SETTLES_S`."""

    def __init__(
        self,
        changed: Callable[[], None],
        open_socket: Callable[[], socket.socket] = kernel_socket,
    ) -> None:
        """Begin without a thread; `start` starts it.

        Args:
            changed: called in the listener's thread; must return soon and touch no file.
            open_socket: opens what the kernel's messages come from.
        """
        self._changed = changed
        self._open = open_socket
        self._ways = Ways()
        #: the thread, and a socket whose closing it sees at its own end; None: it does not run
        self._running: tuple[threading.Thread, socket.socket] | None = None

    def start(self) -> None:
        """Start to listen; where that is not possible, say so and go without."""
        try:
            news = self._open()
        except (OSError, AttributeError) as exc:
            _unheard(exc)
            return
        news.settimeout(0.0)
        ours, its = socket.socketpair()
        # A daemon thread: nothing it does is worth keeping the process alive for.
        thread = threading.Thread(target=self._listen, args=(news, its), name="routes", daemon=True)
        self._running = thread, ours
        thread.start()

    def close(self) -> None:
        """Stop, and wait for the thread's end."""
        if self._running is not None:
            thread, ours = self._running
            ours.close()
            thread.join(ENDS_S)
            self._running = None

    def _listen(self, news: socket.socket, end: socket.socket) -> None:
        either, the_end = select.poll(), select.poll()
        either.register(news, select.POLLIN)
        for poll in (either, the_end):
            poll.register(end, select.POLLIN)
        with news, end:
            # Waits for the first message, then for what comes with it.
            while either.poll() and not the_end.poll(SETTLES_S * 1000):
                try:
                    changed = self._hear(news)
                except OSError as exc:
                    _unheard(exc)
                    return
                if changed:
                    self._changed()

    def _hear(self, news: socket.socket) -> bool:
        """Read what is there; whether it tells of a way that may have opened.

        Raises:
            OSError: nothing can be heard any more.
        """
        changed = False
        for _ in range(_MOST_IN_A_ROW):
            try:
                changed |= self._ways.changed(news.recv(_MOST_BYTES))
            except BlockingIOError:
                break
            except OSError as exc:
                # netlink(7): more came than the socket holds, and some of it was lost.
                if exc.errno != errno.ENOBUFS:
                    raise
                self._ways.forget()
                changed = True
        return changed


def _unheard(exc: Exception) -> None:
    """Say that nothing is heard; the agent does without."""
    reason = getattr(exc, "strerror", None) or str(exc)
    advice = "nothing; a link that returns is used when its back-off is over"
    _log.info(event("routes_unheard", reason=reason, do=advice))
