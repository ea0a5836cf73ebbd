"""`doctor`: the unit, its sandbox, the last run, both watchdogs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor.service import service


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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("78", ("configuration cannot be used", "sudo pyvorin-agent check")),
        ("217", ("its user is missing", "systemd-sysusers")),
        ("226", ("folder that its unit names is missing", "systemctl cat")),
        ("1", ("ended with status 1", "journalctl")),
    ],
)
@pytest.mark.parametrize("state", ["failed/failed", "activating/auto-restart"])
def test_doctor_says_why_a_start_came_to_nothing(
    patient: Patient, state: str, status: str, words: tuple[str, str]
) -> None:
    """By the exit status; systemd starts some of them again and again."""
    active, sub = state.split("/")
    patient.unit |= {"ActiveState": active, "SubState": sub, "ExecMainStatus": status}
    found = ill(looked_at(patient))
    assert (found.level, words[0] in found.says, words[1] in found.mend) == (FAIL, True, True)


def test_doctor_leaves_an_agent_that_is_starting_alone(patient: Patient) -> None:
    """A damaged queue is looked over first, for minutes on a slow card."""
    patient.unit |= {"ActiveState": "activating", "SubState": "start"}
    assert told(looked_at(patient))[0] == ("service", OK)


@pytest.mark.parametrize("known", [{}, {"LoadState": "loaded"}])
def test_doctor_goes_on_where_systemctl_tells_little_or_nothing(
    patient: Patient, known: dict[str, str]
) -> None:
    """No systemd here, one that is stuck, or one of another age: no reason to install anew."""
    patient.unit = known
    found = looked_at(patient)
    assert found
    assert not any("reinstall" in one.mend for one in found)


def test_doctor_takes_a_number_of_restarts_that_is_none_for_none(patient: Patient) -> None:
    """Whatever systemd says."""
    patient.unit["NRestarts"] = "[not set]"
    assert told(looked_at(patient))[0] == ("service", OK)


@pytest.mark.parametrize(
    ("name", "value"), [("ProtectSystem", "full"), ("ReadWritePaths", "/srv -/mnt/my ssd")]
)
def test_doctor_goes_by_the_sandbox_as_it_is(patient: Patient, name: str, value: str) -> None:
    """A drop-in may have opened it."""
    patient.configure("", Path("/mnt/my ssd/pyvorin"))
    assert ill(looked_at(patient)).topic == "sandbox"
    patient.unit[name] = value
    assert "sandbox" not in dict(told(looked_at(patient)))


def test_doctor_makes_the_folder_before_the_service_is_to_write_there(
    patient: Patient, tmp_path: Path
) -> None:
    """systemd starts nothing that names a folder which is not there."""
    folder = Path("/srv/no such/pyvorin")
    patient.configure("", folder)
    mend = ill(looked_at(patient)).mend
    assert mend.startswith(f"sudo install -d -m 0750 -o pyvorin -g pyvorin '{folder}' && ")
    patient.unit["PrivateTmp"] = "no"
    patient.configure("", tmp_path)
    assert ill(looked_at(patient)).mend.startswith("sudo mkdir -p /etc/systemd/")


def test_doctor_sends_a_queue_that_is_hidden_elsewhere(patient: Patient) -> None:
    """No ReadWritePaths= opens a home."""
    patient.configure("", Path("/home/pi/pyvorin"))
    found = ill(looked_at(patient))
    assert "its sandbox hides it" in found.says
    assert "set queue.path to a folder elsewhere" in found.mend


def test_doctor_follows_the_links_of_a_queue(patient: Patient, tmp_path: Path) -> None:
    """A state directory may lie on another disk."""
    patient.unit["PrivateTmp"] = "no"
    (tmp_path / "ssd").mkdir()
    (tmp_path / "link").symlink_to("ssd")
    patient.unit["ReadWritePaths"] = str(tmp_path / "link")
    patient.configure("", tmp_path / "ssd")
    assert "sandbox" not in dict(told(looked_at(patient)))


@pytest.mark.parametrize("installed", [True, False])
def test_doctor_sees_an_agent_that_says_nothing_any_more(
    patient: Patient, *, installed: bool
) -> None:
    """A process that is there, and hangs; a minute is allowed."""
    for silent_s, topics in ((59, []), (61, ["service"])):
        patient.run(at=patient.clock.wall() - silent_s)
        found = list(service(patient.case(installed=installed)))
        assert [one.topic for one in found if one.level != OK] == topics
    assert ("systemctl restart" in found[-1].mend) is installed


def test_doctor_takes_another_programs_hand_on_the_watchdog(patient: Patient) -> None:
    """The package watchdog does it without systemd."""
    patient.runtime_watchdog = "0"
    patient.plant("dev/watchdog")
    patient.plant("sys/class/watchdog/watchdog0/state", "active\n")
    assert told(looked_at(patient))[-1] == ("watchdog", OK)


def test_doctor_leaves_the_persons_own_drop_ins_alone(patient: Patient) -> None:
    """What they say of the queue's folder is not to be lost over the watchdog."""
    patient.unit["WatchdogUSec"] = "0"
    mend = ill(looked_at(patient)).mend
    assert "revert" not in mend
    assert "pyvorin-agent.service.d/zz-watchdog.conf" in mend


def test_doctor_does_not_call_well_what_is_disabled(patient: Patient) -> None:
    """It runs, and does not start at boot: that is one line."""
    patient.unit["UnitFileState"] = "disabled"
    assert [one.level for one in looked_at(patient) if one.topic == "service"] == [FAIL]
