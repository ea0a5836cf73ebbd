"""`HTTPCloudUploader`: one batch in, one verdict out.

The only module that imports ``requests``. What an answer means is decided in `verdict`; here are
the wire and its traps:

* Redirects are never followed: a POST behind a 301 becomes a GET, whose 200 would delete readings
  that nobody received. Even where it does not follow, requests reads all of the redirect's body.
* ``trust_env`` is off: a ``.netrc`` would replace our ``Authorization``.
* ``timeout=`` of requests bounds each read of the socket, not the request (see `deadline`).
* An answer is unpacked here and not by urllib3, which knows no limit; 64 KiB of it are read.
"""

from __future__ import annotations

import gzip
import http.cookiejar
import ipaddress
import logging
import re
import ssl
import urllib.parse
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import requests.adapters
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

import edge_agent
from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import door
from edge_agent.cloud_sync.api_key import ApiKey
from edge_agent.cloud_sync.batch import Batch, key_of, wire_body
from edge_agent.cloud_sync.deadline import pools
from edge_agent.cloud_sync.network import failure_of
from edge_agent.cloud_sync.verdict import (
    MOST_ANSWER_BYTES,
    Action,
    Answer,
    Failure,
    Verdict,
    dates_agree,
    judge,
)
from edge_agent.errors import UploaderError
from edge_agent.events import NOTICE, event

_log = logging.getLogger(__name__)

#: How a key is announced, by the word in the configuration.
_SCHEMES = {"bearer": "Bearer", "token": "Token", "none": ""}
_COMPRESSIONS = ("gzip", "none")
#: Statuses by which a server may mean the compression of a body, not the body.
_DISLIKES_GZIP = (400, 415, 422)
#: RFC 9110, 5.1: a field's name is a token; 5.5: its value, of which we take the ASCII part.
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class HTTPCloudUploader:
    """Sends batches to one HTTP endpoint.

    One caller at a time: it keeps a connection open between requests. Never raises for what a
    network or a server does; that is in the verdict.
    """

    def __init__(
        self,
        endpoint: str,
        api_key: str = "",
        timeout: float = 30.0,
        *,
        api_key_file: str | Path | None = None,
        connect_timeout_s: float = 15.0,
        auth: str = "bearer",
        headers: Mapping[str, str] | None = None,
        compression: str = "gzip",
        ca_file: str = "",
        client_cert_file: str = "",
        client_key_file: str = "",
        proxy: str = "",
        allow_insecure_http: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Prepare to send; nothing is sent and no file is read yet.

        Args:
            endpoint: where to POST; ``https``, or ``http`` on this machine.
            api_key: the key itself; or
            api_key_file: the file it stands in, read again whenever it changes.
            timeout: seconds for a whole request and its answer.
            connect_timeout_s: seconds of that for the connection, the name's look-up included.
            auth: ``bearer``, ``token`` (InfluxDB's word for it) or ``none``.
            headers: more header fields.
            compression: ``gzip`` or ``none``.
            ca_file: PEM file of the authority to trust instead of the system's.
            client_cert_file: PEM certificate to show to the server.
            client_key_file: its key, where it is not in the same file.
            proxy: URL of a proxy for everything.
            allow_insecure_http: send over ``http`` to another machine, for everybody to read.
            clock: another than this machine's, for simulations.

        Raises:
            UploaderError: the endpoint, the key, a header or a word cannot be used.
        """
        _check_word("auth", auth, _SCHEMES)
        _check_word("compression", compression, _COMPRESSIONS)
        self.endpoint = endpoint
        self.host = _checked_host(endpoint, allow_insecure_http=allow_insecure_http)
        self._secure = endpoint.lower().startswith("https:")
        self._key = ApiKey(api_key, api_key_file)
        self._auth = auth
        self._timeout = urllib3.Timeout(total=timeout, connect=connect_timeout_s)
        self._compress = compression == "gzip"
        self._clock = clock or SystemClock()
        self._tls = (ca_file, client_cert_file, client_key_file)
        self._session = _session(_checked_headers(headers or {}), proxy, self._count)
        #: bytes of all requests so far, heads included, failed attempts too
        self.sent_bytes = 0
        #: whether this endpoint has accepted a compressed body
        self._unpacks = False

    def __repr__(self) -> str:
        """The endpoint; never the key, nor a query, which may be one."""
        return f"{type(self).__name__}({self.endpoint.partition('?')[0]!r})"

    def post_batch(self, payloads: Sequence[Mapping[str, Any]]) -> bool:
        """Send payloads that have no ids; each call carries a key of its own.

        Returns:
            whether the server took all of them.

        Raises:
            PayloadError: a payload is not JSON.
        """
        items = list(enumerate((door.encode(payload) for payload in payloads), 1))
        ids = frozenset(number for number, _ in items)
        verdict = self._exchange(wire_body(items), f'"{uuid.uuid4().hex}"', ids)
        if verdict.action is not Action.DELIVERED:
            _log.warning(event("post_batch", outcome=verdict.action.value, reason=verdict.reason))
        return verdict.action is Action.DELIVERED and not (verdict.rejected or verdict.retry)

    def send(self, batch: Batch) -> Verdict:
        """Send one batch with its ids; same rows, same bytes, same key."""
        body = batch.body()
        return self._exchange(body, key_of(body), frozenset(batch.ids))

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def key_changed(self) -> bool:
        """Whether the key's file has changed since it was last read."""
        return self._key.changed()

    def _count(self, sent: int) -> None:
        self.sent_bytes += sent

    def _exchange(self, body: bytes, key: str, ids: frozenset[int]) -> Verdict:
        """One request, judged; a second one, uncompressed, where compression may be to blame."""
        verdict, status = self._attempt(body, key, ids, packed=self._compress)
        if not self._compress or self._unpacks:
            return verdict
        if status in _DISLIKES_GZIP:
            verdict, _ = self._attempt(body, key, ids, packed=False)
            if verdict.action is Action.DELIVERED:
                self._compress = False
                _log.log(NOTICE, event("gzip_refused", do="bodies go uncompressed from now on"))
        elif verdict.action is Action.DELIVERED:
            self._unpacks = True
        return verdict

    def _attempt(
        self, body: bytes, key: str, ids: frozenset[int], *, packed: bool
    ) -> tuple[Verdict, int]:
        """One request: its verdict, and the status (0 where nothing came back)."""
        try:
            outcome: Answer | Failure = self._post(body, key, packed=packed)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as exc:
            # requests' own errors are OSErrors, a missing key is a ValueError; and some of
            # urllib3's and of the codecs' (a host name that is none) slip past requests.
            outcome = failure_of(exc)
        wall = self._clock.wall()
        # Over TLS nobody in between can have made the date up.
        if isinstance(outcome, Answer) and self._secure and dates_agree(outcome, wall):
            self._clock.trust()
        verdict = judge(outcome, ids=ids, host=self.host, wall=wall)
        return verdict, outcome.status if isinstance(outcome, Answer) else 0

    def _post(self, body: bytes, key: str, *, packed: bool) -> Answer:
        """The request, and as much of its answer as is worth reading."""
        fields = {"Idempotency-Key": key} | self._authorization()
        if packed:
            body, fields["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
        ca_file, cert, cert_key = self._tls
        with self._session.post(
            self.endpoint,
            data=body,
            headers=fields,
            timeout=self._timeout,  # type: ignore[arg-type]  # taken, but not in the stubs
            allow_redirects=False,
            stream=True,
            verify=ca_file or True,
            cert=(cert, cert_key) if cert_key else cert or None,
        ) as response:
            return _read(response)

    def _authorization(self) -> dict[str, str]:
        """The Authorization field, if there is to be one."""
        scheme = _SCHEMES[self._auth]
        secret = self._key.read() if scheme else ""
        return {"Authorization": f"{scheme} {secret}"} if secret else {}


class _Session(requests.Session):
    """A session that does not look where a redirect leads."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: requests reads a redirect's whole body, and trips over a Location of garbage."""


class _Adapter(requests.adapters.HTTPAdapter):
    """TLS 1.2 at the least, whatever the system's OpenSSL would still speak; answers in time."""

    def __init__(self, sent: Callable[[int], None]) -> None:
        self._pools = pools(sent)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hand the pool a context and connections of our own."""
        super().init_poolmanager(*args, ssl_context=_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same behind a proxy."""
        manager = super().proxy_manager_for(proxy, ssl_context=_context(), **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _session(
    headers: Mapping[str, str], proxy: str, sent: Callable[[int], None]
) -> requests.Session:
    """A session that trusts nothing from the environment and follows nobody."""
    session = _Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(sent))
    # What a server wants remembered would grow, and a portal's would go to the endpoint.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update(
        {
            "User-Agent": f"pyvorin-agent/{edge_agent.__version__}",
            "Content-Type": "application/json",
            # A compressed answer could unpack to anything.
            "Accept-Encoding": "identity",
            **headers,
        }
    )
    if proxy:
        session.proxies = {"http": proxy, "https": proxy}
    return session


def _read(response: requests.Response) -> Answer:
    """The answer, cut at `MOST_ANSWER_BYTES` decoded bytes.

    Raises:
        OSError: it broke off, took too long, or is packed in a way that cannot be undone.
    """
    # Taken away before urllib3 sees it, which would unpack layer within layer, without a limit.
    packing = response.raw.headers.pop("Content-Encoding", "identity").lower()
    # Before urllib3 2 it did not mind when less came than was announced.
    response.raw.enforce_content_length = True
    body = b""
    for chunk in response.iter_content(4096):
        body += chunk
        if len(body) > MOST_ANSWER_BYTES:
            break
    cut = len(body) > MOST_ANSWER_BYTES
    body = _unpacked(body, packing)
    cut = cut or len(body) > MOST_ANSWER_BYTES
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body[:MOST_ANSWER_BYTES], cut=cut)


def _unpacked(body: bytes, packing: str) -> bytes:
    """The beginning of a body without its Content-Encoding.

    Raises:
        OSError: it is packed otherwise than in gzip, or not at all what it says.
    """
    if packing == "identity":
        return body
    if packing not in ("gzip", "x-gzip"):
        raise OSError(f"the answer is packed as {packing!r}; only identity was asked for")
    try:
        return zlib.decompressobj(wbits=31).decompress(body, MOST_ANSWER_BYTES + 1)
    except zlib.error as exc:
        raise OSError(f"the answer calls itself {packing} and is none: {exc}") from None


def _check_word(name: str, word: str, known: Iterable[str]) -> None:
    """Raises UploaderError where a word is none of those known."""
    if word not in known:
        raise UploaderError(f"{name} is {word!r}; it is one of {', '.join(known)}")


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The header fields; a message names the field and never its value, which may be a key.

    Raises:
        UploaderError: one cannot go over the wire.
    """
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name):
            raise UploaderError(f"header {name!r} has a name that HTTP does not allow")
        if not (value.isascii() and value.isprintable()):
            raise UploaderError(f"header {name} has characters that are no printable ASCII")
    return headers


def _checked_host(endpoint: str, *, allow_insecure_http: bool) -> str:
    """The endpoint's host.

    Raises:
        UploaderError: it is no URL we may send to; the message repeats no password.
    """
    try:
        parts = urllib.parse.urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UploaderError(
            "endpoint is no URL: its host or its port cannot be read; write https://host/path"
        ) from None
    if parts.username or parts.password:
        raise UploaderError("endpoint carries a password; use api_key_file instead")
    if parts.scheme not in ("http", "https") or not host:
        raise UploaderError(f"endpoint {endpoint!r} is no https:// URL")
    if parts.scheme == "http" and not (allow_insecure_http or _is_loopback(host)):
        raise UploaderError(
            f"endpoint {endpoint!r} would send readings and key in the clear; use https://, or set "
            "allow_insecure_http: true if you must"
        )
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
