"""`doctor`: the time, by whoever may know it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor.clock import clock
from edge_agent.cli.doctor.findings import OK, Finding


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """Without anybody that has set the clock."""
    made = Patient(tmp_path)
    made.clock._synchronized = False
    return made


def looked_at(patient: Patient) -> list[Finding]:
    return list(clock(patient.case()))


@pytest.mark.parametrize(
    ("active", "words"),
    [
        ("chrony", "`chronyc tracking`"),
        ("ntpsec", "`ntpq -p`"),
        ("systemd-timesyncd", "`timedatectl timesync-status`"),
        ("", "sudo apt install systemd-timesyncd"),
    ],
)
def test_doctor_asks_the_time_service_that_there_is(
    patient: Patient, active: str, words: str
) -> None:
    """To install another one would remove it."""
    names = ("chrony", "chronyd", "ntpsec", "ntpd", "systemd-timesyncd")
    if active:
        patient.active = "\n".join("active" if name == active else "inactive" for name in names)
    found = ill(looked_at(patient))
    assert "nobody has set it" in found.says
    assert found.mend.startswith(words)


def test_doctor_believes_the_kernel_that_chrony_told(patient: Patient) -> None:
    """It leaves none of systemd-timesyncd's flags."""
    patient.said["timedatectl"] = "yes"
    assert told(looked_at(patient)) == [("clock", OK)]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1/", "https://a.example/"])
def test_doctor_says_that_the_agent_cannot_see_a_right_clock(
    patient: Patient, endpoint: str
) -> None:
    """Its sandbox keeps the kernel's word from it; a server over TLS is taken for a witness."""
    patient.said["timedatectl"] = "yes"
    patient.configure(f"upload: {{endpoint: '{endpoint}', auth: none}}\n")
    patient.run(health={"clock": "unsynced"})
    if endpoint.startswith("https"):
        assert told(looked_at(patient)) == [("clock", OK)]
    else:
        assert "the agent cannot see that" in ill(looked_at(patient)).says


def test_doctor_takes_a_running_agents_word_for_the_clock(patient: Patient) -> None:
    """It has seen more of it."""
    patient.run()
    assert told(looked_at(patient)) == [("clock", OK)]
