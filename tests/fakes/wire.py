"""Servers that are no more than the bytes they say, and a batch to send to them."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator

from edge_agent.cloud_sync import HTTPCloudUploader, door
from edge_agent.cloud_sync.batch import Batch, Row
from edge_agent.types import Priority

PATH = "/v1/ingest"

#: Makes an uploader, of a URL (that of the test server if none is given) and options.
Make = Callable[..., HTTPCloudUploader]


def batch_of(*ids: int) -> Batch:
    """Rows with these ids."""
    rows = (Row(n, door.encode({"n": n}), Priority.TELEMETRY, 1.0, 9, 0, 1.0) for n in ids)
    return Batch("q-1", "pi-7", tuple(rows))


@contextlib.contextmanager
def raw_server(*answers: bytes, drip: bytes = b"") -> Iterator[str]:
    """A server that says exactly these bytes, one answer a connection, whatever it is asked.

    ``drip`` follows the last of them, for ever, a little at a time.
    """
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        take_request(connection)
                        connection.sendall(answer)
                        while drip and not stop.wait(0.02):
                            connection.sendall(drip)

        thread = threading.Thread(target=serve)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}{PATH}"
        finally:
            stop.set()
            # Whoever still waits in accept() is woken.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def take_request(connection: socket.socket) -> None:
    """Read one whole request: what is left unread would turn a close into a reset."""
    with connection.makefile("rb") as stream:
        fields = itertools.takewhile(bytes.strip, stream)
        lengths = [int(f.split(b":")[1]) for f in fields if f.lower().startswith(b"content-length")]
        stream.read(*lengths)


def head(*fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode("latin-1")
