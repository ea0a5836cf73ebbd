"""HTTP in front of the store: one path, one method, an answer in JSON to whatever comes."""

from __future__ import annotations

import contextlib
import gzip
import hmac
import http.server
import io
import json
import logging
import socket
import socketserver
import threading
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_agent.errors import ConfigError, StoreError
from edge_agent.events import event
from edge_agent.receiver.batch import Refusal, read_batch
from edge_agent.receiver.store import ReceiverStore

#: Where batches are posted to.
INGEST_PATH = "/v1/ingest"
#: The most of a body that is taken, as it comes over the wire.
MAX_BODY_BYTES = 8 * 2**20
#: The most a body may unpack to: a gzip bomb reaches a thousand times its size.
MAX_DECODED_BYTES = 64 * 2**20
#: How long a connection may say nothing.
IDLE_S = 75.0

_PIECE_BYTES = 64 * 2**10
_SHUTDOWN_POLL_S = 0.05

_log = logging.getLogger(__name__)


class Receiver:
    """The endpoint: a listening socket, a thread per connection and a `ReceiverStore`.

    ``start`` serves until ``close``; as a context manager it does both.

    Args:
        db_path: the SQLite file, made when it is not there.
        address: host name or IPv4 address, and port; port 0 takes a free one, which `url` tells.
        api_key: what ``Authorization: Bearer`` must say; None lets everybody in.

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
    ) -> None:
        self.store = ReceiverStore(db_path)
        try:
            self._server = _Server(address, self.store, api_key)
        except OSError as error:
            self.store.close()
            raise ConfigError(
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror};"
                " end what uses it, or name another address"
            ) from error
        #: host and port it listens on, the real one where 0 was asked for
        self.address: tuple[str, int] = self._server.socket.getsockname()
        self._thread = threading.Thread(target=self._serve, name="receiver")

    @property
    def url(self) -> str:
        """Where batches are posted to: ``http://127.0.0.1:8089/v1/ingest``."""
        host, port = self.address
        return f"http://{host}:{port}{INGEST_PATH}"

    def start(self) -> None:
        """Serve in a thread until `close`; to be called once."""
        self._thread.start()

    def close(self) -> None:
        """Answer what is being asked, cut every connection, and free port and file.

        A receiver that was closed makes an outage as a server's restart does: a kept connection is
        gone as well. Start another on the same file and address to end it.
        """
        if self._thread.is_alive():
            self._server.shutdown()
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
        self._server.serve_forever(poll_interval=_SHUTDOWN_POLL_S)


class _Server(socketserver.ThreadingTCPServer):
    """A thread per connection, all of which can be ended.

    Not ``http.server.HTTPServer``: that one asks the DNS for its own name when it binds, which
    takes seconds where nothing answers.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], store: ReceiverStore, api_key: str | None) -> None:
        self.store = store
        self.api_key = api_key
        self.closing = False
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        with self._connections_lock:
            self._connections.add(connection)
        return connection, peer

    def close_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        self.closing = True
        with self._connections_lock:
            for connection in self._connections:
                # Only the reading side: who waits for a request wakes with nothing to read, and
                # who has read one can still answer it.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        super().server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection: reads requests, answers each with one JSON object."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    # Buffered, so that head and body leave together: written apart, the body waits up to 40 ms for
    # the other side's delayed acknowledgement of the head (RFC 896, RFC 1122 4.2.3.2).
    wbufsize = -1

    def version_string(self) -> str:
        """What ``Server:`` says: a name, and nothing about the machine."""
        return "pyvorin-receiver"

    def handle(self) -> None:
        """Serve until one side hangs up, which is no error: links break."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        """Take one batch; any other method is refused in the same words."""
        try:
            body = self._read_body()
            self._check_request()
            counts = self.server.store.store(
                read_batch(self._decode(body), self.headers.get("Idempotency-Key", ""))
            )
        except Refusal as refusal:
            self._answer(refusal.status, {"error": str(refusal)}, refusal.headers)
        except StoreError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
        else:
            self._answer(HTTPStatus.OK, counts._asdict())

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815  http.server's names

    def _read_body(self) -> bytes:
        """The whole body, whatever becomes of it: the next request begins where it ends."""
        # Who sent "Expect: 100-continue" waits for the go-ahead, which is still in the buffer.
        self.wfile.flush()
        length = self._body_length()
        if length > MAX_BODY_BYTES:
            self._discard(length)
            raise Refusal(
                f"the body has {length} bytes and {MAX_BODY_BYTES} are taken; send fewer items",
                status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                headers={"Connection": "close"},
            )
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError(f"{length - len(body)} bytes of the body never came")
        return body

    def _body_length(self) -> int:
        if "Transfer-Encoding" in self.headers:
            raise Refusal(
                "the body comes in chunks; send it whole, with a Content-Length",
                status=HTTPStatus.LENGTH_REQUIRED,
                headers={"Connection": "close"},
            )
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise Refusal(
                "Content-Length is no whole number of bytes", headers={"Connection": "close"}
            )
        return int(length)

    def _discard(self, length: int) -> None:
        """Read a body away, up to a limit: a socket closed on unread bytes resets the answer."""
        left = min(length, MAX_DECODED_BYTES)
        while left > 0 and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
            left -= len(piece)

    def _check_request(self) -> None:
        """Raise for a request that may not, or cannot, be an ingest."""
        if self.path.partition("?")[0] != INGEST_PATH:
            raise Refusal(f"nothing is here; post to {INGEST_PATH}", status=HTTPStatus.NOT_FOUND)
        if self.command != "POST":
            raise Refusal(
                f"{INGEST_PATH} takes POST only",
                status=HTTPStatus.METHOD_NOT_ALLOWED,
                headers={"Allow": "POST"},
            )
        self._check_key()
        if self.headers.get_content_type() != "application/json":
            raise Refusal(
                "Content-Type is not application/json", status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            )

    def _check_key(self) -> None:
        if self.server.api_key is None:
            return
        expected = f"Bearer {self.server.api_key}".encode()
        # Header bytes come decoded as latin-1, whatever they are.
        given = self.headers.get("Authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, expected):
            raise Refusal(
                "the bearer key in Authorization is missing or wrong",
                status=HTTPStatus.UNAUTHORIZED,
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _decode(self, body: bytes) -> bytes:
        """The body as it was before its Content-Encoding."""
        encoding = self.headers.get("Content-Encoding", "identity").lower()
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise Refusal(
                "Content-Encoding is neither gzip nor identity",
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                # The way to say which encodings would do (RFC 9110 15.5.16).
                headers={"Accept-Encoding": "gzip, identity"},
            )
        try:
            decoded = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_DECODED_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Refusal(f"the body is no gzip: {error}") from None
        if len(decoded) > MAX_DECODED_BYTES:
            raise Refusal(
                f"the body unpacks to more than {MAX_DECODED_BYTES} bytes; send fewer items",
                status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        return decoded

    def _answer(
        self, status: HTTPStatus, said: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        _log.info(event("request", method=self.command, status=status.value, **said))
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.server.closing:
            self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class says to a malformed request, in JSON like every other answer."""
        status = HTTPStatus(code)
        said = message or explain or status.phrase
        self._answer(status, {"error": said}, {"Connection": "close"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's
        """Nothing: `_answer` writes the one line a request is worth."""
