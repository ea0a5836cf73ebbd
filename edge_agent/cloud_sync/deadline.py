"""A connection and an answer, each within one time-out; an answer of bounded size.

A socket's time-out begins anew with every byte that comes, and a buffered ``read(4096)`` returns
only when all of them are there: a server that drips a byte a second holds its client for hours.
Here the bytes of an answer come through a reader that grants each wait only what is left of the
whole. How a connection comes about in time is told in `reach`.

Source:
    ``response_class`` of ``http.client.HTTPConnection`` and ``pool_classes_by_scheme`` of urllib3's
    ``PoolManager`` are the seams that both libraries offer for it, and ``_new_conn`` is the one
    that urllib3's own ``contrib.socks`` uses for another way to connect.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from edge_agent.cloud_sync.reach import Lookup, connect

#: The most that is read of one answer, head included, as it comes over the wire: far above any
#: answer that is looked at, and a bound for one that never ends.
MOST_WIRE_BYTES = 1 << 20


class _Rationed(io.RawIOBase):
    """A socket's bytes, all of them within the socket's present time-out."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._timeout_s = sock.gettimeout() or 0.0
        self._deadline = time.monotonic() + self._timeout_s
        self._room_bytes = MOST_WIRE_BYTES
        #: whether the other side has ended
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As a socket's, with what is left of time and room.

        Raises:
            TimeoutError: the time is over.
            OSError: the answer is longer than `MOST_WIRE_BYTES`.
        """
        left_s = self._deadline - time.monotonic()
        if left_s <= 0.0:
            raise TimeoutError("the answer took longer than a request may")
        self._sock.settimeout(left_s)
        try:
            count = self._raw.readinto(buffer)
        finally:
            # The connection is kept, and the next request begins with a whole time-out.
            self._sock.settimeout(self._timeout_s)
        self.ended = count == 0
        self._room_bytes -= count or 0
        if self._room_bytes < 0:
            raise OSError(f"the answer is longer than {MOST_WIRE_BYTES} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is read through `_Rationed`, and whose head is whole."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._wire = _Rationed(sock, self.fp.detach())
        self.fp = io.BufferedReader(self._wire)

    def begin(self) -> None:
        """Read the head.

        Raises:
            http.client.IncompleteRead: it broke off, which the base class takes for its end: a
                refusal in the body would be lost, and the batch with it.
        """
        super().begin()
        if self._wire.ended:
            raise http.client.IncompleteRead(b"")


def pools(sent: Callable[[int], None]) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """For ``PoolManager.pool_classes_by_scheme``: connections that keep to all this.

    Args:
        sent: told of the bytes of each request, head and body, as they go to the socket (TLS and
            the layers below it add theirs).
    """
    lookup = Lookup()

    class Timely:
        """Over a connection's own ways of connecting and sending."""

        sock: socket.socket | None
        port: int
        timeout: Any
        socket_options: Any
        _dns_host: str

        def _new_conn(self) -> socket.socket:
            """A socket that is connected, with what is left of the time for the TLS handshake."""
            try:
                return connect(
                    lookup, self._dns_host, self.port, self.timeout, self.socket_options or ()
                )
            except OSError as exc:
                raise NewConnectionError(self, str(exc)) from exc  # type: ignore[arg-type]  # it is one

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]  # the connection's own
            # What is sent over it begins with a whole time-out.
            if self.sock is not None:
                self.sock.settimeout(self.timeout)

        def send(self, data: Any) -> None:
            # What finds nobody to be sent to is not sent.
            if self.sock is None:
                self.connect()
            sent(len(data))
            super().send(data)  # type: ignore[misc]  # the connection's own

    class Plain(Timely, HTTPConnection):
        response_class = _Answer

    class TLS(Timely, HTTPSConnection):
        response_class = _Answer

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class TLSPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = TLS

    return {"http": PlainPool, "https": TLSPool}
