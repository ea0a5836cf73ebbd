"""`doctor` on the way to a server: real names, handshakes and answers."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.patient import Patient, ill, told
from fakes.tls import serving
from pytest_httpserver import HTTPServer

from edge_agent.cli.doctor import server as doctor_server
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor.server import server
from edge_agent.cloud_sync.certificate import shown_by

#: The fake clock's, for certificates.
NOW = dt.datetime.fromtimestamp(1_750_000_000, dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """With a service that sees where tests keep their files."""
    made = Patient(tmp_path)
    made.unit["PrivateTmp"] = "no"
    return made


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA(organization_name="Cold Chain CA")
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def looked_at(patient: Patient, endpoint: str, more: str = "auth: none") -> list[Finding]:
    patient.configure(f"upload: {{endpoint: '{endpoint}', {more}}}\n")
    return list(server(patient.case()))


def trusting(patient: Patient) -> str:
    return f"auth: none, tls: {{ca_file: {patient.config.parent}/ca.pem}}"


def test_doctor_sends_an_empty_batch(patient: Patient, httpserver: HTTPServer) -> None:
    """The contract's question: a device, and no reading."""
    httpserver.expect_request("/v1").respond_with_data("", 204)
    found = looked_at(patient, httpserver.url_for("/v1"), "auth: none, compression: none")
    assert told(found) == [("dns", OK), ("endpoint", OK)]
    (request, _) = httpserver.log[0]
    assert request.get_json()["batch"] == []
    assert request.get_json()["device_id"]


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        ((401, ""), FAIL, ("does not accept the API key", "check upload.endpoint and the API key")),
        ((404, ""), FAIL, ("no such endpoint", "check upload.endpoint")),
        ((503, ""), WARN, ("not ready", "run doctor again")),
        ((429, ""), WARN, ("too many requests", "run doctor again")),
        ((400, ""), WARN, ("400", "must answer an empty batch with 2xx")),
        ((200, "<html>log in"), FAIL, ("captive_portal", "log in to this network")),
    ],
)
def test_doctor_says_what_the_endpoint_answered(
    patient: Patient,
    httpserver: HTTPServer,
    answer: tuple[int, str],
    level: str,
    words: tuple[str, str],
) -> None:
    """In words, with what to do."""
    httpserver.expect_request("/").respond_with_data(answer[1], answer[0])
    found = ill(looked_at(patient, httpserver.url_for("/"), "auth: none, compression: none"))
    assert (found.topic, found.level) == ("endpoint", level)
    assert words[0] in found.says
    assert words[1] in found.mend


def test_doctor_names_a_machine_on_which_nobody_listens(patient: Patient) -> None:
    """The name is well, the endpoint is not."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = ill(looked_at(patient, f"http://127.0.0.1:{port}/"))
    assert "nothing listens there" in found.says
    assert "upload.endpoint" in found.mend
    found = ill(
        looked_at(patient, "https://a.example/", f"auth: none, proxy: 'http://127.0.0.1:{port}'")
    )
    assert "see upload.proxy" in found.mend


def test_doctor_names_a_name_that_cannot_be_looked_up(patient: Patient) -> None:
    """And asks no further."""
    found = looked_at(patient, "https://nowhere.invalid/")
    assert told(found) == [("dns", FAIL)]
    assert "getent hosts nowhere.invalid" in found[0].mend


def test_doctor_tells_how_long_the_certificate_is_good(
    patient: Patient, authority: trustme.CA
) -> None:
    """And by whom it is. (TLS goes by the machine's own time, these words by the fake clock's.)"""
    with serving(authority.issue_cert("127.0.0.1", not_after=NOW + 5000 * DAY)) as https:
        found = looked_at(patient, https.url, trusting(patient))
    assert told(found) == [
        ("certificate", OK),
        ("dns", OK),
        ("tls", OK),
        ("endpoint", OK),
    ]
    assert "by Cold Chain CA, is good for 13 y" in found[2].says


def test_doctor_warns_of_a_certificate_that_ends_soon(
    patient: Patient, authority: trustme.CA
) -> None:
    """In less than two weeks."""
    patient.clock.step(4990 * DAY.total_seconds())
    with serving(authority.issue_cert("127.0.0.1", not_after=NOW + 5000 * DAY)) as https:
        found = ill(looked_at(patient, https.url, trusting(patient)))
    assert (found.topic, found.level) == ("tls", WARN)
    assert "good for 10 d" in found.says


@pytest.mark.parametrize("synchronized", [True, False])
def test_doctor_lays_an_expired_certificate_beside_this_clock(
    patient: Patient, authority: trustme.CA, *, synchronized: bool
) -> None:
    """Its dates, the time here, and whether anybody set that; a clock nobody set is set first."""
    patient.clock._synchronized = synchronized
    expired = authority.issue_cert("127.0.0.1", not_before=NOW - 9 * DAY, not_after=NOW - 2 * DAY)
    with serving(expired) as https:
        found = {one.topic: one for one in looked_at(patient, https.url, trusting(patient))}
    said = found["tls"]
    assert said.level == FAIL
    assert "tls_expired: certificate has expired" in said.says
    for day in (9, 2, 0):
        assert f"{NOW - day * DAY:%Y-%m-%d}" in said.says
    assert ("set right since the boot" in said.says) is synchronized
    assert said.mend.startswith("set the clock first") is not synchronized
    assert "renew the server's certificate" in said.mend


@pytest.mark.parametrize("other", ["other.example", "10.0.0.9"])
def test_doctor_tells_whose_certificate_it_is_instead(
    patient: Patient, authority: trustme.CA, other: str
) -> None:
    """The hosts in it, where it is another's."""
    with serving(authority.issue_cert(other)) as https:
        found = ill(looked_at(patient, https.url, trusting(patient)))
    assert "tls_wrong_host" in found.says
    assert f"is for {other} from" in found.says


def test_doctor_asks_for_the_certificate_without_a_key_that_is_missing(
    patient: Patient, authority: trustme.CA
) -> None:
    """The key's own line names it; the server is not asked what it would say to nobody."""
    with serving(authority.issue_cert("127.0.0.1")) as https:
        missing = f"api_key_file: /nowhere/key, {trusting(patient)[12:]}"
        found = looked_at(patient, https.url, missing)
    assert told(found)[0] == ("key", FAIL)
    assert ("tls", OK) in told(found)
    assert "endpoint" not in dict(told(found))


@pytest.mark.parametrize(
    ("written", "level", "words"),
    [
        (("k3y\n", 0o600), OK, ("can be read by pyvorin", "")),
        (("k3y\n", 0o644), WARN, ("can be read by everybody", "chmod 0640")),
        ((" \n", 0o600), FAIL, ("is empty", "/dev/stdin")),
        ((None, 0), FAIL, ("No such file", "sudo install -D -m 0640 -g pyvorin /dev/stdin")),
    ],
)
def test_doctor_looks_at_the_keys_file(
    patient: Patient,
    tmp_path: Path,
    written: tuple[str | None, int],
    level: str,
    words: tuple[str, str],
) -> None:
    """And never shows the key."""
    content, mode = written
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
        key.chmod(mode)
    found = looked_at(patient, "https://nowhere.invalid/", f"api_key_file: {key}")[0]
    assert (found.topic, found.level) == ("key", level)
    assert words[0] in found.says
    assert words[1] in found.mend
    assert "k3y" not in found.says + found.mend


def test_doctor_takes_a_credential_for_the_key(patient: Patient, httpserver: HTTPServer) -> None:
    """As `examine` puts it into the configuration."""
    httpserver.expect_request("/", headers={"Authorization": "Bearer k3y"}).respond_with_data("{}")
    patient.configure(f"upload: {{endpoint: '{httpserver.url_for('/')}', api_key: k3y}}\n")
    found = list(server(patient.case(handed_key=True)))
    assert told(found)[0] == ("key", OK)
    assert ("endpoint", OK) in told(found)


def test_doctor_without_an_endpoint_has_nothing_to_ask(patient: Patient) -> None:
    """Store only is a way to run."""
    assert told(list(server(patient.case()))) == [("endpoint", OK)]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_doctor_says_that_the_server_wants_a_client_certificate(
    patient: Patient, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    """And shows no dates of the server's own, which is well."""
    certificate = authority.issue_cert("127.0.0.1")
    with serving(certificate, maximum_version=version, verify_mode=ssl.CERT_REQUIRED) as https:
        found = ill(looked_at(patient, https.url, trusting(patient)))
    assert "client certificate" in found.says
    assert "Cold Chain CA" not in found.says


@pytest.mark.parametrize(("left", "level"), [(2, OK), (1, WARN)])
def test_doctor_leaves_a_certificate_of_few_days_alone(
    patient: Patient, authority: trustme.CA, left: int, level: str
) -> None:
    """It is renewed in the last of them; a quarter of its days is soon enough to speak of it."""
    now = dt.datetime.now(dt.UTC)
    patient.clock.step(now.timestamp() - patient.clock.wall())
    short = authority.issue_cert(
        "127.0.0.1", not_before=now - (6 - left) * DAY, not_after=now + left * DAY
    )
    with serving(short) as https:
        found = {one.topic: one for one in looked_at(patient, https.url, trusting(patient))}
    assert found["tls"].level == level


def test_doctor_tells_a_certificate_without_hosts_from_another_hosts(
    patient: Patient, authority: trustme.CA
) -> None:
    """As old ones are that name their host in the subject alone."""
    with serving(authority.issue_cert(common_name="127.0.0.1")) as https:
        found = ill(looked_at(patient, https.url, trusting(patient)))
    assert "is for no host that is named" in found.says


@pytest.mark.parametrize("timeout_s", [0.2, 30])
def test_doctor_waits_no_longer_than_a_person_does(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, timeout_s: float
) -> None:
    """The agent may wait longer; that nothing came until then is no fault, then."""
    monkeypatch.setattr(doctor_server, "_REQUEST_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        more = f"auth: none, timeout: {timeout_s * 1000:.0f}ms, connect_timeout: 100ms"
        found = ill(looked_at(patient, url, more))
    assert found.level == (FAIL if timeout_s < 1 else WARN)
    assert ("no firewall" if timeout_s < 1 else "upload.timeout allows more") in found.mend
    assert timeout_s < 1 or found.says.endswith("in 0 s")


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            {"health": {"link": "suspended", "link_reason": "HTTP 401", "next_try_s": 90}},
            ("sends nothing just now: the server does not accept", "flush"),
        ),
        ({"request": {"quota_reached": "today"}}, ("upload.quota of today", "upload.quota")),
    ],
)
def test_doctor_says_what_holds_the_running_agent_back(
    patient: Patient, httpserver: HTTPServer, agent: dict[str, Any], words: tuple[str, str]
) -> None:
    """One empty batch is taken all the same."""
    httpserver.expect_request("/").respond_with_data("{}")
    patient.run(**agent)
    found = ill(looked_at(patient, httpserver.url_for("/")))
    assert (found.topic, found.level) == ("upload", WARN)
    assert words[0] in found.says
    assert words[1] in found.mend


def test_a_certificate_is_not_waited_for_longer_than_allowed(authority: trustme.CA) -> None:
    """Not either where the second handshake, which is for its fields, gets no answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    left: list[bool] = []

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as first, contextlib.suppress(OSError):
            context.wrap_socket(first, server_side=True).close()
        with listener.accept()[0] as mute:
            # Far longer than the client may take; it greets first, and then it goes.
            mute.settimeout(20)
            with contextlib.suppress(TimeoutError):
                while mute.recv(4096):
                    pass
                left.append(True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        with pytest.raises(OSError, match="timed out"):
            shown_by("127.0.0.1", listener.getsockname()[1], 0.5)
        server.join()
    assert left == [True]


def test_doctor_shows_no_secret(patient: Patient, tmp_path: Path) -> None:
    """Neither the endpoint's query nor the proxy's password, whatever goes wrong."""
    key = tmp_path / "key"
    key.write_text("s3cret")
    upload = f"api_key_file: {key}, proxy: 'http://me:s3cret@127.0.0.1:1/', timeout: 1s"
    for endpoint in ("http://127.0.0.1:1/v1?token=s3cret", "https://127.0.0.1:1/v1?token=s3cret"):
        for more in (upload, upload.replace("me:s3cret@127.0.0.1", "me:s3cret@nowhere.invalid")):
            for one in looked_at(patient, endpoint, f"{more}, connect_timeout: 1s"):
                assert "s3cret" not in f"{one.says} {one.mend}"


def test_doctor_shows_the_servers_certificate_only_where_that_is_to_blame(
    patient: Patient, authority: trustme.CA, tmp_path: Path
) -> None:
    """A file of authorities that is damaged is our own."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    with serving(authority.issue_cert("127.0.0.1")) as https:
        found = ill(looked_at(patient, https.url, trusting(patient)))
    assert (found.topic, "Cold Chain CA" in found.says) == ("tls", False)
    assert "the files of upload.tls" in found.mend


def test_doctor_asks_the_server_whatever_became_of_the_privacy_key(
    patient: Patient, httpserver: HTTPServer
) -> None:
    """They have nothing to do with each other."""
    httpserver.expect_request("/").respond_with_data("{}")
    upload = f"upload: {{endpoint: '{httpserver.url_for('/')}', auth: none}}\n"
    patient.configure(f"{upload}privacy: {{hash: ['metadata.user'], key_file: /nowhere/key}}\n")
    found = told(list(server(patient.case())))
    assert found == [("privacy", FAIL), ("dns", OK), ("endpoint", OK)]
