"""`doctor` on the way to a server: real names, handshakes and answers; and as a command."""

from __future__ import annotations

import datetime as dt
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.patient import Patient, ill, told
from fakes.processes import Site, command, until
from fakes.tls import serving
from jsonschema import Draft202012Validator
from pytest_httpserver import HTTPServer

from edge_agent.cli import doctor, doctor_findings, doctor_server
from edge_agent.cli.doctor import DOCTOR
from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor_report import Report
from edge_agent.cli.doctor_server import server
from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon import assembly

#: The fake clock's, for certificates.
NOW = dt.datetime.fromtimestamp(1_750_000_000, dt.UTC)
DAY = dt.timedelta(days=1)
ME = pwd.getpwuid(os.geteuid()).pw_name


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


def test_doctor_command_is_good_for_programs_and_says_so_by_its_exit_code(tmp_path: Path) -> None:
    """1 with a fail, 0 with none; its JSON is what its schema says."""
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated}]\n")
    done = command("doctor", "--config", site.config, "--json")
    facts = json.loads(done.stdout)
    Draft202012Validator(DOCTOR).validate(facts)
    assert (done.returncode, facts["fail"], done.stderr) == (0, 0, "")
    site.configure("sensors: [{name: s, type: w1}]\n")
    done = command("doctor", "--config", site.config)
    assert done.returncode == 1
    assert "fail  sensor        s: the kernel has no 1-wire bus" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" 1 fail")


def test_doctor_beside_a_running_agent_goes_by_what_it_reads(tmp_path: Path) -> None:
    """Nothing is read behind its back; a bad file does not hide how it is."""
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated, interval: 100ms, fail_every: 1}]\n")
    try:
        site.agent()
        until(lambda: site.status()["sensors"]["s"]["faults"], "the fault")
        said = command("doctor", "--config", site.config).stdout
        assert "fail  sensor        s: " in said
    finally:
        site.close()


def test_doctor_with_a_bad_file_goes_on_with_the_last_good_one(tmp_path: Path) -> None:
    """The mistake is the first thing it names; the rest is looked at all the same."""
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated}]\n")
    (tmp_path / "last_good.yaml").write_text(site.config.read_text())
    site.config.write_text("sensros: []\n")
    done = command("doctor", "--config", site.config, env={"STATE_DIRECTORY": str(tmp_path)})
    first, mend, second, *rest = done.stdout.splitlines()
    assert "sensros: is unknown (did you mean 'sensors'?)" in first
    assert "pyvorin-agent check" in mend
    assert "last good one" in second
    assert any("1 of 1 answer" in line for line in rest)
    assert done.returncode == 1


def test_doctor_without_any_configuration_names_that_alone(tmp_path: Path) -> None:
    """There is nothing else to go by."""
    done = command("doctor", "--config", tmp_path / "none.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("fail  configuration ")
    assert done.stdout.splitlines()[-1] == "1 fail"


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


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo ' yes '", "yes"),
        ("echo no; false", ""),
        ("printf '\\377'", "\ufffd"),
        ("sleep 99", ""),
    ],
)
def test_doctor_asks_commands_that_fail_hang_or_babble(
    monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    """It goes on with what there is."""
    monkeypatch.setattr(doctor_findings, "_PATIENCE_S", 0.2 if "sleep" in script else 60)
    assert doctor_findings.ask(["sh", "-c", script]) == said
    assert doctor_findings.ask(["/nowhere/at/all"]) == ""


class Waiting:
    """A `Patience` that only counts."""

    def __init__(self, report: Report, silence_s: float) -> None:
        self.report, self.silence_s = report, silence_s
        self.renewed = 0
        self.stopped = False
        self.heeds = signal.getsignal(signal.SIGINT)
        WAITING.append(self)

    def renew(self) -> None:
        self.renewed += 1

    def stop(self) -> None:
        self.stopped = True


WAITING: list[Waiting] = []


def test_doctor_begins_to_wait_anew_with_each_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves the process as it was, Ctrl-C included."""
    monkeypatch.setattr(doctor, "Patience", Waiting)
    heeded = signal.getsignal(signal.SIGINT)
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated}]\n")
    assert main(["doctor", "--config", str(site.config), "--json"]) == 0
    (waiting,) = WAITING
    assert waiting.renewed == len(waiting.report.findings) > 1
    assert (waiting.stopped, waiting.heeds) == (True, signal.SIG_DFL)
    assert signal.getsignal(signal.SIGINT) is heeded


HANGS = (
    "import sys; from edge_agent.cli import doctor, main; "
    "doctor.SILENCE_S = float(sys.argv.pop()); sys.exit(main.main(sys.argv[1:]))"
)


def test_doctor_ends_itself_where_a_look_never_comes_back(tmp_path: Path) -> None:
    """With a sentence, and an exit code."""
    os.mkfifo(tmp_path / "agent.yaml")
    done = subprocess.run(
        [sys.executable, "-c", HANGS, "doctor", "--config", tmp_path / "agent.yaml", "0.1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "fail  doctor        nothing more came in 0 s" in done.stdout


def test_doctor_heeds_ctrl_c_while_a_look_does_not_come_back(tmp_path: Path) -> None:
    """At once, whatever it waits for."""
    os.mkfifo(tmp_path / "agent.yaml")
    words = ["doctor", "--config", str(tmp_path / "agent.yaml"), "3600"]
    with subprocess.Popen([sys.executable, "-c", HANGS, *words]) as process:
        # It opens the pipe to read when somebody opens it to write.
        writer = os.open(tmp_path / "agent.yaml", os.O_WRONLY)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
        os.close(writer)


def test_doctor_finds_the_agent_of_a_queue_on_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service tells of itself in systemd's directory, which a person's shell does not name."""
    monkeypatch.setattr(assembly, "SERVICE_DIRECTORY", tmp_path / "run")
    queue = tmp_path / "ssd" / "q.db"
    assert assembly.runtime_directory(queue, {}) == queue.parent
    (tmp_path / "run").mkdir()
    for written, found in (
        ({"queue": str(queue)}, tmp_path / "run"),
        ({"queue": "/other"}, queue.parent),
        ([], queue.parent),
        ({}, queue.parent),
    ):
        (tmp_path / "run" / "status.json").write_text(json.dumps(written))
        assert assembly.runtime_directory(queue, {}) == found
    assert assembly.runtime_directory(queue, {"RUNTIME_DIRECTORY": "/run/x"}) == Path("/run/x")


@pytest.mark.parametrize("written", ["[]", "{}", "7", '{"pid": 1}', '{"pid": "x"}', "\xff"])
def test_doctor_takes_a_status_of_another_age_for_none(tmp_path: Path, written: str) -> None:
    """No traceback, and the rest is looked at."""
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated}]\n")
    CloudSyncQueue(site.queue).close()
    (tmp_path / "status.json").write_text(written, encoding="latin-1")
    done = command("doctor", "--config", site.config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 answer" in done.stdout
