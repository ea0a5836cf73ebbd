"""`doctor`: the configuration as the service sees it, and as the running agent has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor import config as doctor_config
from edge_agent.cli.doctor.config import configured, used
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Its agent has just been started, and keeps its copy in the state directory."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    made = Patient(tmp_path)
    made.run()
    loaded = configured(made.config).loaded
    assert loaded
    (tmp_path / "last_good.yaml").write_text(loaded.text_for_last_good)
    return made


def looked_at(patient: Patient) -> list[Finding]:
    return list(used(patient.case(), configured(patient.config).loaded))


def test_doctor_finds_the_configuration_in_use(patient: Patient) -> None:
    """One line says so."""
    assert told(configured(patient.config).findings) == [("configuration", OK)]
    assert looked_at(patient) == []


def test_doctor_sees_that_the_agent_goes_by_an_older_file(patient: Patient) -> None:
    """Whoever edits a file and forgets the reload waits in vain."""
    patient.configure("log: {level: debug}\n")
    found = ill(looked_at(patient))
    assert "before it was changed" in found.says
    assert found.mend == "sudo systemctl reload-or-restart pyvorin-agent"
    patient.status = None
    assert looked_at(patient) == []


def test_doctor_sees_that_the_agent_was_started_with_the_last_good_one(patient: Patient) -> None:
    """The file was mended since, and nobody told the agent."""
    patient.run(health={"config": "last_good"})
    assert ill(looked_at(patient)).level == WARN


@pytest.mark.parametrize("name", ["agent.yaml", "agent.d", "agent.d/10.yaml"])
def test_doctor_names_what_root_can_read_and_the_service_cannot(
    patient: Patient, name: str
) -> None:
    """By its path, alone, with a remedy that opens it to the service and to nobody else."""
    fragments = patient.config.with_suffix(".d")
    fragments.mkdir()
    (fragments / "10.yaml").write_text("log: {level: debug}\n")
    closed = patient.config.parent / name
    patient.denied.add(closed)
    found = ill(looked_at(patient))
    assert found.level == FAIL
    assert f"may not read {closed}" in found.says
    mode = "0750" if name == "agent.d" else "0640"
    assert found.mend.startswith(f"sudo chown root:pyvorin {closed} && sudo chmod {mode} {closed}")


def test_doctor_names_the_folder_where_all_of_it_is_closed(patient: Patient) -> None:
    """One cause, one line."""
    patient.denied |= {patient.config.parent, patient.config}
    assert f"may not read {patient.config.parent}," in ill(looked_at(patient)).says


def test_doctor_of_a_trial_asks_for_no_service_that_could_read_it(patient: Patient) -> None:
    """Who could read it just now is who runs it."""
    patient.denied.add(patient.config)
    loaded = configured(patient.config).loaded
    assert list(used(patient.case(installed=False), loaded)) == []


def test_doctor_names_a_last_good_copy_that_is_none(patient: Patient) -> None:
    """As when a plug-in that it needs was removed: then no agent can start."""
    patient.config.write_text("sensros: []\n")
    copy = patient.config.with_name("last_good.yaml")
    copy.write_text("sensors: [{name: a, type: gone}]\n")
    found = configured(patient.config)
    assert told(found.findings) == [("configuration", FAIL), ("configuration", FAIL)]
    assert "last good one cannot be used either" in found.findings[1].says
    assert found.config is None


@pytest.mark.parametrize(("installed", "option"), [(True, ""), (False, " --config FILE")])
def test_doctor_names_the_file_in_the_command_where_it_is_not_the_services(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, option: str, *, installed: bool
) -> None:
    """So that what is pasted looks at the same one."""
    patient.config.write_text("sensros: []\n")
    if installed:
        monkeypatch.setattr(doctor_config, "CONFIG_FILE", patient.config)
    mend = configured(patient.config).findings[0].mend
    check = f"pyvorin-agent check{option.replace('FILE', str(patient.config))}`"
    assert (f"`sudo {check}" if installed else f"`{check}") in mend


@pytest.mark.parametrize(("installed", "editor"), [(True, "sudoedit"), (False, "nano")])
def test_doctor_edits_every_file_in_which_a_setting_may_stand(
    patient: Patient, editor: str, *, installed: bool
) -> None:
    """What stands in agent.d goes before agent.yaml; root's files are edited as root."""
    fragments = patient.config.with_suffix(".d")
    fragments.mkdir()
    (fragments / "my sensors.yaml").write_text("sensors: []\n")
    edit = patient.case(installed=installed).edit
    assert edit == f"{editor} {patient.config} '{fragments}/my sensors.yaml'"
