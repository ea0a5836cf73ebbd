"""TLS for the receiver: its certificate, whose clients it lets in, and which versions it speaks."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

from edge_agent.errors import ConfigError

#: What ``--tls-max-version`` takes.
VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def server_context(
    cert: Path, key: Path | None = None, client_ca: Path | None = None, newest: str = "1.3"
) -> ssl.SSLContext:
    """What every connection is wrapped with.

    Args:
        cert: PEM certificate, with its chain.
        key: PEM key, where it is not in the same file.
        client_ca: PEM authority; clients must show a certificate of it.
        newest: the newest version spoken; an old one is for showing that agents refuse it.

    Raises:
        ConfigError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if newest in ("1.0", "1.1"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = VERSIONS[newest]
        # OpenSSL 3 has no old version at a higher level (SSL_CTX_set_security_level(3)).
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    else:
        context.maximum_version = VERSIONS[newest]
    try:
        # No password: OpenSSL would ask for it on the terminal.
        context.load_cert_chain(cert, key, password="")
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        files = ", ".join(str(file) for file in (cert, key, client_ca) if file is not None)
        raise ConfigError(
            f"TLS cannot be set up from {files}: {error}; all are PEM files, and the key is the"
            " certificate's, without a password"
        ) from error
    return context
