"""`HTTPCloudUploader`: one batch in, one verdict out.

The only module that imports ``requests``. What an answer means is decided in `verdict`; here are
the wire and its traps:

* Redirects are never followed: a POST behind a 301 becomes a GET, whose 200 would delete readings
  that nobody received.
* ``trust_env`` is off: a ``.netrc`` would replace our ``Authorization``.
* ``timeout=`` of requests bounds each read of the socket, not the request; the answer is read
  against a deadline of our own, and no more of it than 64 KiB.
"""

from __future__ import annotations

import gzip
import ipaddress
import logging
import ssl
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import requests.adapters
from urllib3.util.ssl_ import create_urllib3_context

import edge_agent
from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import door
from edge_agent.cloud_sync.batch import Batch, key_of, wire_body
from edge_agent.cloud_sync.network import failure_of
from edge_agent.cloud_sync.verdict import (
    MOST_ANSWER_BYTES,
    Action,
    Answer,
    Failure,
    Verdict,
    judge,
)
from edge_agent.errors import UploaderError
from edge_agent.events import event

_log = logging.getLogger(__name__)

#: How a key is announced, by the word in the configuration.
_SCHEMES = {"bearer": "Bearer", "token": "Token"}


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
            connect_timeout_s: seconds of that for the connection.
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
            UploaderError: the endpoint, the key or a header cannot be used.
        """
        self.endpoint = endpoint
        self.host = _checked_host(endpoint, allow_insecure_http=allow_insecure_http)
        self._key = ApiKey(api_key, api_key_file)
        self._auth = auth
        self._timeouts_s = (connect_timeout_s, timeout)
        self._compress = compression == "gzip"
        self._clock = clock or SystemClock()
        self._tls = (ca_file, client_cert_file, client_key_file)
        self._session = _session(headers or {}, proxy)

    def __repr__(self) -> str:
        """The endpoint; never the key."""
        return f"{type(self).__name__}({self.endpoint!r})"

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

    def _exchange(self, body: bytes, key: str, ids: frozenset[int]) -> Verdict:
        """One request, judged."""
        try:
            outcome: Answer | Failure = self._post(body, key)
        except (UploaderError, OSError) as exc:
            # requests' own errors are OSErrors too; a missing key or certificate file is one.
            outcome = failure_of(exc)
        return judge(outcome, ids=ids, host=self.host, wall=self._clock.wall())

    def _post(self, body: bytes, key: str) -> Answer:
        """The request, and as much of its answer as is worth reading."""
        fields = {"Idempotency-Key": key} | self._authorization()
        if self._compress:
            body, fields["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
        deadline = self._clock.monotonic() + self._timeouts_s[1]
        ca_file, cert, cert_key = self._tls
        with self._session.post(
            self.endpoint,
            data=body,
            headers=fields,
            timeout=self._timeouts_s,
            allow_redirects=False,
            stream=True,
            verify=ca_file or True,
            cert=(cert, cert_key) if cert_key else cert or None,
        ) as response:
            return self._read(response, deadline)

    def _read(self, response: requests.Response, deadline: float) -> Answer:
        """The answer, cut at `MOST_ANSWER_BYTES` decoded bytes.

        Raises:
            TimeoutError: it took longer than the whole request may.
        """
        body = b""
        for chunk in response.iter_content(4096):
            body += chunk
            if len(body) > MOST_ANSWER_BYTES:
                break
            if self._clock.monotonic() > deadline:
                raise TimeoutError("the answer dripped in for longer than upload.timeout")
        headers = {name.lower(): value for name, value in response.headers.items()}
        cut = len(body) > MOST_ANSWER_BYTES
        return Answer(response.status_code, headers, body[:MOST_ANSWER_BYTES], cut=cut)

    def _authorization(self) -> dict[str, str]:
        """The Authorization field, if there is to be one."""
        scheme = _SCHEMES.get(self._auth)
        secret = self._key.read() if scheme else ""
        return {"Authorization": f"{scheme} {secret}"} if secret else {}


class ApiKey:
    """A key, or the file it stands in; read when it is needed, so a new one is used at once."""

    def __init__(self, key: str, file: str | Path | None) -> None:
        self._key = _checked_key(key, "api_key")
        self._file = Path(file) if file else None

    def __repr__(self) -> str:
        """Where the key comes from; never the key."""
        return f"ApiKey({'file' if self._file else 'text'})"

    def read(self) -> str:
        """The key; empty where none is set.

        Raises:
            UploaderError: the file is missing, unreadable or holds no usable key.
        """
        if self._file is None:
            return self._key
        try:
            text = self._file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "not a text file"
            raise UploaderError(f"no key in {self._file}: {why}; put the API key there") from None
        key = _checked_key(text, str(self._file))
        if not key:
            raise UploaderError(f"no key in {self._file}: it is empty; put the API key there")
        return key


class _ModernTLS(requests.adapters.HTTPAdapter):
    """TLS 1.2 at the least, whatever the system's OpenSSL would still speak."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hand the pool a context of our own."""
        super().init_poolmanager(*args, ssl_context=_context(), **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same behind a proxy."""
        return super().proxy_manager_for(proxy, ssl_context=_context(), **kwargs)


def _context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _session(headers: Mapping[str, str], proxy: str) -> requests.Session:
    """A session that trusts nothing from the environment and follows nobody."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _ModernTLS())
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


def _checked_host(endpoint: str, *, allow_insecure_http: bool) -> str:
    """The endpoint's host.

    Raises:
        UploaderError: it is no URL we may send to.
    """
    try:
        parts = urllib.parse.urlsplit(endpoint)
        host = parts.hostname
    except ValueError as exc:
        raise UploaderError(f"endpoint {endpoint!r} is no URL: {exc}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UploaderError(f"endpoint {endpoint!r} is no https:// URL")
    if parts.username or parts.password:
        raise UploaderError("endpoint carries a password; use api_key_file instead")
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


def _checked_key(text: str, where: str) -> str:
    """The key without the newline an editor leaves behind.

    Raises:
        UploaderError: it has characters that no header field can carry.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise UploaderError(f"the key in {where} has characters that are no printable ASCII")
    return key
