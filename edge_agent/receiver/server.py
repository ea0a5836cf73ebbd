"""The listening socket: accepts connections, and closes the port when the script says so."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_agent.clock import Clock, SystemClock
from edge_agent.errors import ConfigError
from edge_agent.receiver.handler import INGEST_PATH, Endpoint, Handler
from edge_agent.receiver.script import Play, Script
from edge_agent.receiver.store import ReceiverStore

_POLL_S = 0.05


class Receiver:
    """The endpoint: a listening socket, a thread per connection and a `ReceiverStore`.

    ``start`` serves until ``close``; as a context manager it does both.

    Args:
        db_path: the SQLite file, made when it is not there.
        address: host name or IPv4 address, and port; port 0 takes a free one, which `url` tells.
        api_key: what ``Authorization: Bearer`` must say; None lets everybody in.
        script: faults to play; it begins now.
        tls: what connections are wrapped with; None speaks plain HTTP.
        clock: another than this machine's, for tests.

    Raises:
        ConfigError: the address cannot be listened on.
        StoreError: the file cannot be used.
    """

    def __init__(
        self,
        db_path: str | Path,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        api_key: str | None = None,
        script: Script | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.store = ReceiverStore(db_path, clock)
        self.endpoint = Endpoint(self.store, Play(script, clock), api_key, tls)
        try:
            self._server = Server(address, self.endpoint, self._pausing)
        except OSError as error:
            self.store.close()
            raise ConfigError(
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror};"
                " end what uses it, or name another address"
            ) from error
        #: host and port it listens on, the real one where 0 was asked for
        self.address: tuple[str, int] = self._server.socket.getsockname()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="receiver")

    @property
    def url(self) -> str:
        """Where batches are posted to: ``http://127.0.0.1:8089/v1/ingest``."""
        host, port = self.address
        return f"http{'s' if self.endpoint.tls else ''}://{host}:{port}{INGEST_PATH}"

    def start(self) -> None:
        """Serve in a thread until `close`; to be called once."""
        self._thread.start()

    def close(self) -> None:
        """Answer what is being asked, cut every connection, and free port and file.

        A receiver that was closed makes an outage as a server's restart does: a kept connection is
        gone as well. Start another on the same file and address to end it.
        """
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._server.server_close()
        self.store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self) -> None:
        """Serve, and be gone whenever the script wants it."""
        while not self._closed.is_set():
            with contextlib.suppress(_Pause):
                self._server.serve_forever(_POLL_S)
            if self._closed.is_set():
                return
            self._server.server_close()
            with _reserved(self.address):
                while self.endpoint.play.refusing() and not self._closed.wait(_POLL_S):
                    pass
                if not self._closed.is_set():
                    self._server = Server(self.address, self.endpoint, self._pausing)

    def _pausing(self) -> bool:
        return self._closed.is_set() or self.endpoint.play.refusing()


class _Pause(Exception):
    """The loop is to end: for good, or until the port opens again."""


class Server(socketserver.ThreadingTCPServer):
    """A thread per connection, all of which can be ended.

    Not ``http.server.HTTPServer``: that one asks the DNS for its own name when it binds, which
    takes seconds where nothing answers.

    Args:
        address: where to listen.
        endpoint: what the connections share.
        pausing: asked again and again; serving ends when it says yes.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], endpoint: Endpoint, pausing: Callable[[], bool]
    ) -> None:
        self.endpoint = endpoint
        self._pausing = pausing
        self._connections: set[socket.socket] = set()
        endpoint.closing = False
        super().__init__(address, Handler)

    def service_actions(self) -> None:
        """Ask whether to go on, after each connection and every now and then."""
        if self._pausing():
            raise _Pause

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection, on which TLS has not begun yet."""
        connection, peer = super().get_request()
        if self.endpoint.tls is not None:
            connection = self.endpoint.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self.endpoint.lock:
            self._connections.add(connection)
        return connection, peer

    def close_request(self, request: Any) -> None:
        """Forget a connection."""
        with self.endpoint.lock:
            self._connections.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        """Free the port and end every connection; waits for their threads."""
        self.endpoint.closing = True
        with self.endpoint.lock:
            for connection in self._connections:
                # Only the reading side: who waits for a request wakes with nothing to read, and
                # who has read one can still answer it. Who plays a fault has nothing to answer.
                played = connection in self.endpoint.played
                # Not the connection's own method: that of TLS would go on in the clear.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(
                        connection, socket.SHUT_RDWR if played else socket.SHUT_RD
                    )
        super().server_close()


@contextlib.contextmanager
def _reserved(address: tuple[str, int]) -> Iterator[None]:
    """Keep a port that nobody listens on from being given to somebody else.

    A client on this machine could be given it for its own end, and would connect to itself.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address)
        yield
