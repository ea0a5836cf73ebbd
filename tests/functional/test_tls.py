"""TLS: whom the uploader trusts, whom it does not, and in which word it says so."""

from __future__ import annotations

import datetime as dt
import email.utils
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from fakes.clock import FakeClock
from fakes.tls import serving
from pytest_httpserver import HTTPServer

from edge_agent.cloud_sync import HTTPCloudUploader, door
from edge_agent.cloud_sync.batch import Batch, Row
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.types import Priority

KEY = "k3y-never-to-be-seen"
BATCH = Batch("q-1", "", (Row(1, door.encode({}), Priority.TELEMETRY, 1.0, 9, 0, 1.0),))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def sent(url: str, **options: object) -> Verdict:
    """The verdict on one batch."""
    uploader = HTTPCloudUploader(url, KEY, timeout=20.0, **options)  # type: ignore[arg-type]  # by name
    try:
        return uploader.send(BATCH)
    finally:
        uploader.close()


def test_server_of_the_configured_authority_is_trusted(authority: trustme.CA, ca_file: str) -> None:
    """And gets the key."""
    with serving(authority.issue_cert("127.0.0.1")) as server:
        assert sent(server.url, ca_file=ca_file).action is Action.DELIVERED
        assert f"Authorization: Bearer {KEY}".encode() in server.asked[0]


@pytest.mark.parametrize(("off_s", "right"), [(0, True), (-59, True), (61, False), (None, False)])
def test_date_of_a_trusted_server_shows_whether_the_clock_is_right(
    authority: trustme.CA, ca_file: str, off_s: float | None, right: bool
) -> None:
    """A Pi whose time service never answers may learn from its own server that all is well."""
    clock = FakeClock(synchronized=False)
    with serving(authority.issue_cert("127.0.0.1")) as server:
        if off_s is not None:
            server.date = email.utils.formatdate(clock.wall() + off_s, usegmt=True)
        assert sent(server.url, ca_file=ca_file, clock=clock).action is Action.DELIVERED
    assert clock.synchronized() is right


def test_date_in_the_clear_shows_nothing(httpserver: HTTPServer) -> None:
    """Anybody on the way could have written it."""
    clock = FakeClock(synchronized=False)
    date = email.utils.formatdate(clock.wall(), usegmt=True)
    httpserver.expect_request("/").respond_with_data("", 204, {"Date": date})
    assert sent(httpserver.url_for("/"), clock=clock).action is Action.DELIVERED
    assert not clock.synchronized()


@pytest.mark.parametrize(
    ("name", "dates", "kind"),
    [
        ("elsewhere.example", {}, "tls_wrong_host"),
        ("127.0.0.1", {"not_after": -1}, "tls_expired"),
    ],
)
def test_server_that_cannot_be_trusted_gets_nothing(
    authority: trustme.CA, ca_file: str, name: str, dates: dict[str, int], kind: str
) -> None:
    """Link down, each reason by its word; neither key nor reading leaves this machine."""
    now = dt.datetime.now(dt.UTC)
    span = {end: now + dt.timedelta(days=days) for end, days in dates.items()}
    with serving(authority.issue_cert(name, **span)) as server:
        verdict = sent(server.url, ca_file=ca_file)
        assert verdict.action is Action.LINK_DOWN
        assert verdict.reason.split(":")[0] == kind
        assert server.asked == []
    assert KEY not in verdict.reason


def test_environment_cannot_add_an_authority(
    authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the configuration says whom to trust."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, ca_file)
    with serving(authority.issue_cert("127.0.0.1")) as server:
        assert sent(server.url).reason.startswith("tls_untrusted")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_server_that_speaks_only_an_old_tls_is_refused(authority: trustme.CA, ca_file: str) -> None:
    """1.2 at the least."""
    old = {
        "minimum_version": ssl.TLSVersion.TLSv1,
        "maximum_version": ssl.TLSVersion.TLSv1_1,
    }
    with serving(authority.issue_cert("127.0.0.1"), **old) as server:
        verdict = sent(server.url, ca_file=ca_file)
        assert verdict.action is Action.LINK_DOWN
        # Which alert it sends is up to the system's OpenSSL.
        assert verdict.reason.startswith(("tls: ", "tls_version: "))
        assert "1.2" in verdict.reason
        assert server.asked == []


def test_server_that_wants_a_certificate_of_ours_gets_it(
    authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    """In one file with its key, or in two; without one, nothing is delivered."""
    ours = authority.issue_cert("pi-7")
    both, cert, key = (str(tmp_path / name) for name in ("both.pem", "cert.pem", "key.pem"))
    ours.private_key_and_cert_chain_pem.write_to_path(both)
    ours.cert_chain_pems[0].write_to_path(cert)
    ours.private_key_pem.write_to_path(key)
    with serving(
        authority.issue_cert("127.0.0.1"),
        verify_mode=ssl.CERT_REQUIRED,
        maximum_version=ssl.TLSVersion.TLSv1_2,
    ) as server:
        authority.configure_trust(server._context)
        assert sent(server.url, ca_file=ca_file).action is Action.LINK_DOWN
        for files in (
            {"client_cert_file": both},
            {"client_cert_file": cert, "client_key_file": key},
        ):
            assert sent(server.url, ca_file=ca_file, **files).action is Action.DELIVERED
        assert len(server.asked) == 2


@pytest.mark.parametrize("option", ["ca_file", "client_cert_file"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_file_of_certificates_that_is_missing_or_garbage_is_a_link_down(
    authority: trustme.CA, ca_file: str, tmp_path: Path, option: str, content: bytes | None
) -> None:
    """Said, kept, and mended without a restart."""
    path = tmp_path / "x.pem"
    if content is not None:
        path.write_bytes(content)
    with serving(authority.issue_cert("127.0.0.1")) as server:
        verdict = sent(server.url, **{"ca_file": ca_file} | {option: str(path)})
        assert verdict.action is Action.LINK_DOWN
        assert verdict.reason.split(":")[0] in ("no_ca", "tls")
        assert server.asked == []


def test_server_that_speaks_no_tls_is_a_link_down() -> None:
    """Somebody's plain HTTP on the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        verdict = sent(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert (verdict.action, verdict.reason.split(":")[0]) == (Action.LINK_DOWN, "tls")
