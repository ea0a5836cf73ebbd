"""A server's certificate as it is shown, whether or not it is to be trusted: for a person to see.

Nothing is sent over these connections. Python tells the fields of a certificate only where it was
verified; so the one that the server shows is taken first, and then trusted for the length of a
second handshake.

Source:
    ssl.SSLSocket.getpeercert; X509_VERIFY_PARAM_set_flags(3): X509_V_FLAG_PARTIAL_CHAIN takes a
    certificate that is no authority as the anchor, X509_V_FLAG_NO_CHECK_TIME leaves its dates be.
"""

from __future__ import annotations

import dataclasses
import ssl
import time
from collections.abc import Mapping
from typing import Any

from edge_agent.cloud_sync.reach import Lookup, connect

_PARTIAL_CHAIN = 0x80000
_NO_CHECK_TIME = 0x200000


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """What a person compares."""

    #: Unix seconds
    begins: float
    #: Unix seconds
    ends: float
    #: the organisation or, where it names none, the name of who issued it
    issuer: str
    #: the hosts it is for, as written: ``*.example.com``
    hosts: tuple[str, ...]


def shown_by(host: str, port: int, within_s: float) -> Certificate:
    """The certificate that a server shows.

    Args:
        host: a name or an address.
        port: the server's.
        within_s: seconds for all of it.

    Raises:
        OSError: nobody answers there, or not in TLS, or not in time.
    """
    deadline = time.monotonic() + within_s
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with _shaken(blind, host, port, deadline) as link:
        shown = link.getpeercert(binary_form=True)
    if not shown:
        raise ssl.SSLError("the server shows no certificate")
    taken = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    taken.check_hostname = False
    taken.load_verify_locations(cadata=shown)
    taken.verify_flags = ssl.VerifyFlags(_PARTIAL_CHAIN | _NO_CHECK_TIME)
    with _shaken(taken, host, port, deadline) as link:
        return _parsed(link.getpeercert() or {})


def _shaken(context: ssl.SSLContext, host: str, port: int, deadline: float) -> ssl.SSLSocket:
    """A connection whose handshake is done, with time left until the deadline.

    Raises:
        OSError: there is none.
    """
    plain = connect(Lookup(), host, port, max(deadline - time.monotonic(), 0.001), ())
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except (OSError, ValueError):
        plain.close()
        raise


def _parsed(fields: Mapping[str, Any]) -> Certificate:
    """What `ssl.SSLSocket.getpeercert` tells.

    Raises:
        OSError: it is not all there.
    """
    issuer = {name: text for part in fields.get("issuer", ()) for name, text in part}
    names = fields.get("subjectAltName", ())
    try:
        begins, ends = (ssl.cert_time_to_seconds(fields[key]) for key in ("notBefore", "notAfter"))
    except (KeyError, ValueError) as exc:
        raise ssl.SSLError(f"the certificate has no dates: {exc}") from None
    return Certificate(
        begins,
        ends,
        issuer.get("organizationName") or issuer.get("commonName") or "nobody who is named",
        tuple(text for kind, text in names if kind in ("DNS", "IP Address")),
    )
