"""Why a request came to nothing, in one word for programs and one sentence for people.

``requests`` wraps the reason three deep and names its classes after itself; underneath stand the
errors of ``socket`` and ``ssl``, which are what a person can do something about.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from edge_agent.cloud_sync.verdict import Failure
from edge_agent.errors import UploaderError

_BY_ERRNO = {
    errno.ECONNREFUSED: ("refused", "the server's machine answers, but nothing listens there"),
    errno.ENETUNREACH: ("no_route", "this machine has no route to the server: no link"),
    errno.EHOSTUNREACH: ("no_route", "the server's machine cannot be reached"),
    errno.ECONNRESET: ("reset", "the connection was cut in the middle"),
    errno.EPIPE: ("reset", "the connection was cut in the middle"),
    errno.ETIMEDOUT: ("timeout", "no answer in time"),
}

#: What names itself only in words, through all the wrapping.
_BY_WORDS = (
    ("Name or service not known", "dns", "the server's name cannot be looked up"),
    ("name resolution", "dns", "the server's name cannot be looked up"),
    ("No address associated", "dns", "the server's name has no address"),
    ("timed out", "timeout", "no answer in time"),
    ("invalid path", "no_ca", "the file of tls.ca_file or of the client certificate is missing"),
    ("doesn't match", "tls_wrong_host", "the certificate is another host's"),
    ("Connection aborted", "reset", "the connection was cut in the middle"),
    ("Connection broken", "reset", "the answer was cut off"),
    ("proxy", "proxy", "the proxy does not answer as one"),
)

#: What OpenSSL calls alerts and errors (SSL_alert_desc_string(3)), and what they mean to a person.
_BY_ALERT = (
    ("PROTOCOL_VERSION", "tls_version", "the server speaks no TLS 1.2 or newer"),
    ("UNSUPPORTED_PROTOCOL", "tls_version", "the server speaks no TLS 1.2 or newer"),
    ("ALERT_CERTIFICATE_REQUIRED", "tls_client_cert", "the server wants a client certificate"),
    (
        "ALERT_UNKNOWN_CA",
        "tls_client_cert",
        "the server does not know who issued our client certificate",
    ),
    ("ALERT_BAD_CERTIFICATE", "tls_client_cert", "the server refuses our client certificate"),
    ("ALERT_CERTIFICATE", "tls_client_cert", "the server refuses our client certificate"),
    ("ALERT_ACCESS_DENIED", "tls_client_cert", "the server refuses our client certificate"),
    ("ALERT_HANDSHAKE_FAILURE", "tls", "it speaks no TLS 1.2, or wants a client certificate"),
    ("WRONG_VERSION_NUMBER", "tls", "nobody speaks TLS at that port"),
    ("HTTP_REQUEST", "tls", "nobody speaks TLS at that port"),
)
#: TLS 1.3 has a client send its request before the server has looked at its certificate
#: (RFC 8446, 4.4.2.4 and appendix C.4): what follows may overtake the alert.
_CUT_IN_TLS = "the connection was cut; a server does so, too, that refuses our client certificate"


def failure_of(exc: BaseException) -> Failure:
    """The failure behind an exception of the uploader."""
    causes = list(_causes(exc))
    for cause in causes:
        found = _known(cause)
        if found is not None:
            return found
    words = " ".join(str(cause) for cause in causes)
    for part, kind, detail in _BY_WORDS:
        if part.lower() in words.lower():
            return Failure(kind, detail)
    return Failure("failed", str(causes[-1]) or type(causes[-1]).__name__)


def _known(cause: BaseException) -> Failure | None:
    """A failure told by the exception's type or number."""
    if isinstance(cause, UploaderError):
        return Failure("no_key", str(cause))
    if isinstance(cause, ssl.SSLError):
        return _tls_failure(cause)
    if isinstance(cause, socket.gaierror):
        return Failure("dns", "the server's name cannot be looked up")
    if isinstance(cause, TimeoutError):
        return Failure("timeout", str(cause) or "no answer in time")
    number = getattr(cause, "errno", None)
    return Failure(*_BY_ERRNO[number]) if number in _BY_ERRNO else None


def _tls_failure(cause: ssl.SSLError) -> Failure:
    """What OpenSSL complains of, in a person's words where it is known."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        # Raised by Python code (urllib3 1.26 compares names itself), they lack the attributes.
        message = getattr(cause, "verify_message", str(cause))
        return Failure(f"tls_{_tls_word(message)}", message)
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure("reset", _CUT_IN_TLS)
    reason = getattr(cause, "reason", None) or str(cause)
    known = ((kind, words) for part, kind, words in _BY_ALERT if part in reason)
    kind, words = next(known, ("tls", ""))
    return Failure(kind, f"{words} ({reason})" if words else reason)


def _tls_word(message: str) -> str:
    """OpenSSL's sentence about a certificate as one word."""
    words = {
        "expired": "expired",
        "not yet valid": "not_yet_valid",
        "ismatch": "wrong_host",
        "doesn't match": "wrong_host",
    }
    return next((word for part, word in words.items() if part in message), "untrusted")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """The exception and everything it wraps, innermost last: causes, reasons and arguments."""
    seen: set[int] = set()
    waiting: list[object] = [exc]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            context = None if cause.__suppress_context__ else cause.__context__
            waiting += [cause.__cause__, context, getattr(cause, "reason", None)]
            waiting += cause.args
