"""Why a request came to nothing: one word, whatever it is wrapped in."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from edge_agent.cloud_sync.network import failure_of
from edge_agent.errors import UploaderError


def certificate(message: str) -> ssl.SSLCertVerificationError:
    """OpenSSL's complaint about a certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = message
    return error


def openssl(reason: str) -> ssl.SSLError:
    """An alert that came, or an error of its own."""
    error = ssl.SSLError(1, f"[SSL: {reason}] in its own words")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "refused"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no_route"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no_route"),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), "reset"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "reset"),
        (TimeoutError("timed out"), "timeout"),
        (OSError("Read timed out."), "timeout"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "dns"),
        (OSError("Temporary failure in name resolution"), "dns"),
        (certificate("certificate has expired"), "tls_expired"),
        (certificate("certificate is not yet valid"), "tls_not_yet_valid"),
        (certificate("Hostname mismatch, certificate is not valid for 'x'."), "tls_wrong_host"),
        (certificate("self-signed certificate"), "tls_untrusted"),
        (ssl.SSLCertVerificationError("hostname 'a' doesn't match 'b'"), "tls_wrong_host"),
        (ValueError("hostname 'a' doesn't match 'b'"), "tls_wrong_host"),
        (ssl.SSLError(1, "internal error"), "tls"),
        (openssl("TLSV1_ALERT_PROTOCOL_VERSION"), "tls_version"),
        (openssl("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls_client_cert"),
        (openssl("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "tls_client_cert"),
        (openssl("TLSV1_ALERT_UNKNOWN_CA"), "tls_client_cert"),
        (openssl("WRONG_VERSION_NUMBER"), "tls"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "reset"),
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), "reset"),
        (UploaderError("no key in /x: it is empty"), "no_key"),
        (OSError("Could not find the TLS certificate file, invalid path: /x"), "no_ca"),
        (OSError("Connection aborted."), "reset"),
        (ValueError("label empty or too long"), "failed"),
        (OSError(), "failed"),
    ],
)
def test_failure_is_told_by_its_innermost_cause(cause: Exception, kind: str) -> None:
    """As it is, as an argument, as a reason, as a cause, and in a circle."""
    assert failure_of(cause).kind == kind
    wrapped = RuntimeError("Max retries exceeded", OSError("outer", cause))
    assert failure_of(wrapped).kind == kind
    chained = RuntimeError("outer")
    chained.__cause__ = cause
    chained.__context__ = chained
    assert failure_of(chained).kind == kind
    assert failure_of(chained).detail


def test_failure_that_hides_its_context_is_told_by_itself() -> None:
    """``raise … from None`` means it."""
    error = OSError("in our own words")
    error.__context__ = TimeoutError("by the way")
    error.__suppress_context__ = True
    assert failure_of(error).detail == "in our own words"
