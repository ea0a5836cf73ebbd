"""`doctor`: keys and certificates, as the agent may read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor.files import closed_folder, files
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding

KEY = "abcdefgh12345678"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """With a service that sees where tests keep their files."""
    made = Patient(tmp_path)
    made.unit["PrivateTmp"] = "no"
    return made


def looked_at(patient: Patient, upload: str = "auth: none", more: str = "") -> list[Finding]:
    patient.configure(f"upload: {{endpoint: 'https://api.example.com/', {upload}}}\n{more}")
    return list(files(patient.case()))


def written(patient: Patient, content: str, mode: int = 0o600) -> Path:
    file = patient.plant("etc/secret", content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("upload", "key"),
    [
        ("api_key_file: /home/pi/key", "upload.api_key_file"),
        ("auth: none, tls: {ca_file: /root/ca.pem}", "upload.tls.ca_file"),
    ],
)
def test_doctor_names_a_file_that_the_sandbox_hides(
    patient: Patient, upload: str, key: str
) -> None:
    """A person's own folder is where a key is put first, and where no service sees it."""
    found = ill(looked_at(patient, upload))
    assert key in found.says
    assert "its sandbox hides that folder" in found.says
    assert "sudo install -m 0640 -g pyvorin" in found.mend


def test_doctor_follows_a_link_to_where_the_sandbox_hides_it(patient: Patient) -> None:
    """What the link names lies in /home all the same."""
    link = patient.root / "key"
    link.symlink_to("/home/pi/key")
    assert "its sandbox hides" in ill(looked_at(patient, f"api_key_file: {link}")).says


@pytest.mark.parametrize("setting", ["no", "read-only"])
def test_doctor_goes_by_the_sandbox_as_it_is(patient: Patient, setting: str) -> None:
    """A drop-in may have opened it; then the file itself is looked at."""
    patient.unit["ProtectHome"] = setting
    assert "No such file" in ill(looked_at(patient, "api_key_file: /home/nobody/key")).says


@pytest.mark.parametrize("handed", [True, False])
def test_doctor_misses_a_key_unless_systemd_hands_it_over(
    patient: Patient, *, handed: bool
) -> None:
    """A warning only: some servers want none."""
    patient.configure("upload: {endpoint: 'https://api.example.com/'}\n")
    found = list(files(patient.case(handed_key=handed)))
    assert told(found) == [("key", OK if handed else WARN)]


def test_doctor_asks_for_no_key_without_an_endpoint(patient: Patient) -> None:
    """Store only needs none."""
    patient.configure("")
    assert list(files(patient.case())) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "is empty"), ("one\ntwo\n", "more than a key"), ("kéy", "more than a key")],
)
def test_doctor_names_a_file_that_holds_no_key(patient: Patient, content: str, words: str) -> None:
    """The remedy writes another one, without a word of the old one."""
    file = written(patient, content)
    found = ill(looked_at(patient, f"api_key_file: {file}"))
    assert words in found.says
    assert found.mend.startswith(f"`sudo install -D -m 0640 -g pyvorin /dev/stdin {file}`")
    assert "two" not in found.says


@pytest.mark.parametrize(
    ("key", "topic"),
    [("ca_file", "certificate"), ("client_cert_file", "certificate"), ("client_key_file", "key")],
)
def test_doctor_names_what_is_no_pem(patient: Patient, key: str, topic: str) -> None:
    """A certificate in DER, or a file named by mistake."""
    good = patient.plant("etc/good", "-----BEGIN X-----\n")
    good.chmod(0o600)
    file = written(patient, "0\x82")
    names = {"client_cert_file": good, key: file}
    tls = ", ".join(f"{name}: {path}" for name, path in names.items())
    found = ill(looked_at(patient, f"auth: none, tls: {{{tls}}}"))
    assert (found.topic, found.says) == (topic, f"upload.tls.{key}: {file} is not in PEM format")


def test_doctor_does_not_wait_for_a_pipe(patient: Patient) -> None:
    """Nobody may ever write to it."""
    pipe = patient.root / "pipe"
    os.mkfifo(pipe)
    assert f"{pipe} is no file" in ill(looked_at(patient, f"api_key_file: {pipe}")).says


@pytest.mark.parametrize(
    ("rules", "content", "level"),
    [
        ("hash: ['metadata.user']", KEY, OK),
        ("hash: ['metadata.user']", "short", FAIL),
        ("drop: ['metadata.user']", "short", None),
    ],
)
def test_doctor_looks_at_the_key_that_hides_names(
    patient: Patient, rules: str, content: str, level: str | None
) -> None:
    """Without it what is to be hashed is dropped; without a hash nobody needs it."""
    file = written(patient, content)
    found = looked_at(patient, more=f"privacy: {{{rules}, key_file: {file}}}\n")
    assert told(found) == ([("privacy", level)] if level else [])


def test_doctor_opens_the_folder_that_is_in_the_way(patient: Patient) -> None:
    """The first of them; to open the file itself would change nothing."""
    case = patient.case()
    key = patient.plant("srv/a/b/key")
    assert closed_folder(case, key) is None
    patient.denied |= {key.parent, key.parent.parent, patient.root / "gone"}
    assert closed_folder(case, key) == key.parent.parent
    assert closed_folder(case, patient.root / "gone/key") is None


def test_doctor_of_a_trial_gives_the_key_to_whoever_runs_it(patient: Patient) -> None:
    """Not to a service, which there is none of."""
    file = written(patient, KEY, 0o644)
    patient.configure(f"upload: {{endpoint: 'https://api.example.com/', api_key_file: {file}}}\n")
    mend = ill(list(files(patient.case(installed=False)))).mend
    assert mend == f"sudo chown pyvorin {file} && chmod 0600 {file}"


def test_doctor_survives_links_in_a_circle(patient: Patient) -> None:
    """They are told as what cannot be read."""
    link = patient.root / "key"
    link.symlink_to(link)
    assert "symbolic links" in ill(looked_at(patient, f"api_key_file: {link}")).says
