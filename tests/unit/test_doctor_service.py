"""`doctor`: the unit, its sandbox, the last run, both watchdogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor_service import service


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """With its queue where the package puts it."""
    made = Patient(tmp_path)
    made.configure("", Path("/var/lib/pyvorin"))
    return made


def looked_at(patient: Patient) -> list[Finding]:
    return list(service(patient.case()))


def test_doctor_finds_the_packages_unit_well(patient: Patient) -> None:
    """Running, enabled, with both watchdogs."""
    patient.plant("dev/watchdog")
    assert told(looked_at(patient)) == [("service", OK), ("watchdog", OK)]


@pytest.mark.parametrize(
    ("name", "value", "level", "words"),
    [
        ("LoadState", "not-found", FAIL, ("knows no", "apt install --reinstall")),
        ("UnitFileState", "masked", FAIL, ("masked", "systemctl unmask")),
        ("UnitFileState", "disabled", FAIL, ("not start at boot", "systemctl enable")),
        ("LoadState", "bad-setting", FAIL, ("bad-setting", "systemd-analyze verify")),
        ("UnitFileState", "linked", FAIL, ("not start at boot", "systemctl enable")),
        ("ActiveState", "failed", FAIL, ("ended with status 0", "journalctl")),
        ("ActiveState", "inactive", FAIL, ("was stopped", "systemctl start")),
        ("NeedDaemonReload", "yes", WARN, ("the old one", "daemon-reload")),
        ("NRestarts", "3", WARN, ("restarted 3 times", "journalctl")),
        ("WatchdogUSec", "0", WARN, ("stays stuck", "WatchdogSec=60s")),
        ("WatchdogUSec", "infinity", WARN, ("stays stuck", "WatchdogSec=60s")),
        ("StateDirectory", "", FAIL, ("may not write to /var/lib/pyvorin", "ReadWritePaths=")),
    ],
)
def test_doctor_names_what_is_wrong_with_the_unit(
    patient: Patient, name: str, value: str, level: str, words: tuple[str, str]
) -> None:
    """One thing at a time: it alone is named, with its remedy."""
    patient.unit[name] = value
    found = ill(looked_at(patient))
    assert found.level == level
    assert words[0] in found.says
    assert words[1] in found.mend


def test_doctor_leaves_a_trials_service_alone(patient: Patient) -> None:
    """Another configuration than the service's has no unit."""
    assert list(service(patient.case(installed=False))) == []


def test_doctor_takes_a_queue_elsewhere_that_the_unit_may_write_to(patient: Patient) -> None:
    """As the README has it for a disk of its own."""
    patient.configure("", Path("/mnt/ssd/pyvorin"))
    assert ill(looked_at(patient)).topic == "sandbox"
    patient.unit["ReadWritePaths"] = "/srv -/mnt/ssd"
    assert ("sandbox", FAIL) not in told(looked_at(patient))


@pytest.mark.parametrize(
    ("ended", "words"), [("watchdog", "flusher stuck"), ("killed", "killed, or crashed")]
)
def test_doctor_tells_how_a_bad_last_run_ended(patient: Patient, ended: str, words: str) -> None:
    """What systemd has mended already is worth knowing."""
    patient.run(last={"ended": ended, "reason": "flusher stuck", "uptime_s": 9, "version": "1"})
    assert words in ill(looked_at(patient)).says


def test_doctor_wants_the_machines_own_watchdog_on(patient: Patient) -> None:
    """Where there is one."""
    patient.runtime_watchdog = "0"
    assert told(looked_at(patient))[-1] == ("watchdog", OK)
    patient.plant("dev/watchdog")
    assert "RuntimeWatchdogSec=15s" in ill(looked_at(patient)).mend
