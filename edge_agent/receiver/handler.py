"""One connection: requests are read and checked, answered by the contract or by the script."""

from __future__ import annotations

import collections
import contextlib
import hmac
import http.server
import json
import logging
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from edge_agent.errors import StoreError
from edge_agent.events import event
from edge_agent.receiver import faults
from edge_agent.receiver.batch import Batch, Refusal, read_batch
from edge_agent.receiver.claims import Claims
from edge_agent.receiver.reaction import NORMAL, Answer, Asked, Reaction, text_answer
from edge_agent.receiver.script import Cue, Play
from edge_agent.receiver.store import Receipt, ReceiverStore

#: Where batches are posted to.
INGEST_PATH = "/v1/ingest"
#: The most of a body that is taken, as it comes over the wire.
MAX_BODY_BYTES = 8 * 2**20
#: The most a body may unpack to: a gzip bomb reaches a thousand times its size.
MAX_DECODED_BYTES = 64 * 2**20
#: How long a connection may say nothing.
IDLE_S = 75.0

_PIECE_BYTES = 64 * 2**10

_log = logging.getLogger(__name__)


@dataclass
class Endpoint:
    """What all connections share."""

    store: ReceiverStore
    play: Play
    #: what ``Authorization: Bearer`` must say; None lets everybody in
    api_key: str | None = None
    #: what connections are wrapped with; None: plain HTTP
    tls: ssl.SSLContext | None = None
    claims: Claims = field(default_factory=Claims)
    #: status -> how often it was said
    answers: collections.Counter[int] = field(default_factory=collections.Counter)
    #: connections on which a fault is being played: they end at once when the receiver closes
    played: set[socket.socket] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: bool = False

    @contextlib.contextmanager
    def playing_on(self, connection: socket.socket) -> Iterator[None]:
        """Play a fault on a connection."""
        with self.lock:
            self.played.add(connection)
        try:
            yield
        finally:
            with self.lock:
                self.played.discard(connection)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection: reads requests, answers each with one JSON object, or plays a fault."""

    server: Any  # `server.Server`, which imports this module
    connection: socket.socket
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def version_string(self) -> str:
        """What ``Server:`` says: a name, and nothing about the machine."""
        return "pyvorin-receiver"

    def handle(self) -> None:
        """Serve until one side hangs up, which is no error: links break."""
        # What TLS has to complain of is a broken link, too; its other errors are none of these.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            if self.server.endpoint.play.deaf():
                self._sit_in_silence()
            if isinstance(self.connection, ssl.SSLSocket):
                self._shake_hands(self.connection)
            super().handle()

    def _sit_in_silence(self) -> None:
        _log.info(event("connection", do="deaf"))
        faults.be_silent(self.connection)

    def _shake_hands(self, connection: ssl.SSLSocket) -> None:
        """Here, not where connections are accepted: a slow client must not hold up the others."""
        try:
            connection.do_handshake()
        except (OSError, TimeoutError) as error:
            _log.info(event("tls_failed", reason=error))
            raise ConnectionAbortedError(str(error)) from error

    def do_POST(self) -> None:
        """Take one batch; any other method is refused in the same words."""
        try:
            body = self._read_body()
            self._check_request()
            self._take(body)
        except Refusal as refusal:
            self._answer(refusal.status, {"error": str(refusal)}, refusal.headers)
        except StoreError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815  http.server's names

    def _take(self, body: bytes) -> None:
        """One request that is well-formed: by the contract, or as the script has it."""
        decoded = self._decode(body)
        batch = read_batch(decoded, self.headers.get("Idempotency-Key", ""))
        asked = Asked(batch, len(decoded), packed=self._encoding() != "identity")
        with contextlib.ExitStack() as claim:
            claim.enter_context(self.server.endpoint.claims.hold(batch.key))
            with (
                self.server.endpoint.play.request(asked) as cue,
                self.server.endpoint.playing_on(self.connection)
                if cue.count
                else contextlib.nullcontext(),
            ):
                receipt = self._store(batch, cue.reaction)
                # Before the answer: who has it may send the same again, and is in nobody's way.
                claim.close()
                self._say(cue, receipt)

    def _store(self, batch: Batch, reaction: Reaction) -> Receipt | None:
        """Keep the batch, with the silences before and after it; None if it is not kept."""
        faults.be_silent(self.connection, reaction.wait_before_s)
        receipt = None
        if reaction.store:
            receipt = self.server.endpoint.store.store(
                batch, rejected=reaction.rejected, retry=reaction.retry
            )
            self.server.endpoint.play.stored(receipt.counts.stored)
        faults.be_silent(self.connection, reaction.wait_after_s)
        return receipt

    def _say(self, cue: Cue, receipt: Receipt | None) -> None:
        said: dict[str, Any] = dict(receipt.said) if receipt else {}
        replayed = {"Idempotent-Replayed": "true"} if receipt and receipt.replayed else {}
        answer = cue.reaction.answer or _json_answer(HTTPStatus.OK, said, replayed)
        played: dict[str, Any] = {"step": cue.count.step, "do": cue.count.do} if cue.count else {}
        if cue.reaction.mute:
            self._log_request(None, played)
            self._end(cue.reaction)
        else:
            shown: dict[str, Any] = {
                name: said[name] for name in ("stored", "repeated") if name in said
            }
            self._log_request(answer.status, {**shown, **played})
            self._send(answer, cue.reaction)

    def _send(self, answer: Answer, reaction: Reaction = NORMAL) -> None:
        """Say an answer as the reaction has it, and end the connection where it does."""
        ends = self.server.endpoint.closing or reaction.cut_after_bytes is not None
        fields = [("Server", self.version_string()), ("Date", self.date_time_string())]
        fields += [("Connection", "close")] if ends and answer.length is not None else []
        faults.say(
            self.connection,
            answer.head(*fields),
            () if self.command == "HEAD" else answer.body,
            byte_every_s=reaction.byte_every_s,
            cut_after_bytes=reaction.cut_after_bytes,
        )
        if ends or answer.length is None or "Connection" in answer.headers:
            self._end(reaction)

    def _end(self, reaction: Reaction) -> None:
        self.close_connection = True
        if reaction.reset:
            faults.reset(self.connection)

    def _read_body(self) -> bytes:
        """The whole body, whatever becomes of it: the next request begins where it ends."""
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
        if self.server.endpoint.api_key is None:
            return
        expected = f"Bearer {self.server.endpoint.api_key}".encode()
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
        encoding = self._encoding()
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise Refusal(
                "Content-Encoding is neither gzip nor identity",
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                # The way to say which encodings would do (RFC 9110 15.5.16).
                headers={"Accept-Encoding": "gzip, identity"},
            )
        # Not GzipFile: its read() reserves as much memory as it is allowed to fill.
        unpacker = zlib.decompressobj(wbits=31)
        try:
            decoded = unpacker.decompress(body, MAX_DECODED_BYTES + 1)
        except zlib.error as error:
            raise Refusal(f"the body is no gzip: {error}") from None
        if len(decoded) > MAX_DECODED_BYTES:
            raise Refusal(
                f"the body unpacks to more than {MAX_DECODED_BYTES} bytes; send fewer items",
                status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        if not unpacker.eof or unpacker.unused_data:
            raise Refusal("the body is no gzip: it is cut off, or something follows it")
        return decoded

    def _encoding(self) -> str:
        return str(self.headers.get("Content-Encoding", "identity")).lower()

    def _answer(
        self, status: HTTPStatus, said: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        self._log_request(status.value, said)
        self._send(_json_answer(status, said, headers or {}))

    def _log_request(self, status: int | None, said: Mapping[str, Any]) -> None:
        """The one line that a request is worth, and its place in the sum."""
        _log.info(event("request", method=self.command, status=status, **said))
        with self.server.endpoint.lock:
            # 0: nothing was said.
            self.server.endpoint.answers[status or 0] += 1

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class says to a malformed request, in JSON like every other answer."""
        status = HTTPStatus(code)
        said = message or explain or status.phrase
        self._answer(status, {"error": said}, {"Connection": "close"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's
        """Nothing: `_log_request` writes the one line a request is worth."""


def _json_answer(status: HTTPStatus, said: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    fields = {"Content-Type": "application/json", **headers}
    return text_answer(status.value, json.dumps(said).encode(), fields)
