"""`doctor` as a command: what it prints, how it ends, and that it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.processes import Site, command, until
from jsonschema import Draft202012Validator

from edge_agent.cli.doctor import command as doctor
from edge_agent.cli.doctor import findings as doctor_findings
from edge_agent.cli.doctor.command import DOCTOR
from edge_agent.cli.doctor.report import Report
from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.daemon import assembly


#: The fake clock's, for certificates.
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
    "import sys; from edge_agent.cli import main; from edge_agent.cli.doctor import command; "
    "command.SILENCE_S = float(sys.argv.pop()); sys.exit(main.main(sys.argv[1:]))"
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


def test_doctor_of_a_queue_that_is_no_database_says_so_and_goes_on(tmp_path: Path) -> None:
    """The sensors are not read then, and all the rest is looked at."""
    site = Site(tmp_path)
    site.configure("sensors: [{name: s, type: simulated}]\n")
    site.queue.write_text("holiday" * 1000)
    done = command("doctor", "--config", site.config)
    assert (done.returncode, done.stderr) == (1, "")
    assert "file is not a database" in done.stdout
    assert f"mend: pyvorin-agent queue verify --config {site.config}" in done.stdout
    assert "clock" in done.stdout
