"""A server that speaks TLS, with whatever certificate a test gives it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Iterator

import trustme


class TLSServer:
    """Answers each request on one connection at a time with 204, and keeps what it was asked."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.asked: list[bytes] = []
        self.date = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v1/ingest"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(30)
                with connection, contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as secure:
            with secure.makefile("rb") as stream:
                head = b"".join(itertools.takewhile(bytes.strip, stream))
                if not head:
                    return
                # All of it: what is left unread would turn the close into a reset.
                stream.read(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            self.asked.append(head)
            date = f"Date: {self.date}\r\n".encode() if self.date else b""
            secure.sendall(b"HTTP/1.1 204 No Content\r\n" + date + b"Connection: close\r\n\r\n")


@contextlib.contextmanager
def serving(certificate: trustme.LeafCert, **changes: object) -> Iterator[TLSServer]:
    """A server that shows this certificate, with a context changed as told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    for name, value in changes.items():
        setattr(context, name, value)
    server = TLSServer(context)
    try:
        yield server
    finally:
        server.close()
