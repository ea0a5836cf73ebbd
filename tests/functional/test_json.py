"""`--json` of every command that tells something: one object, as its published schema says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.processes import Site, until
from fakes.published import LEAVES, SCHEMAS, facts_in
from jsonschema import Draft202012Validator

from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import Receiver
from edge_agent.types import Submission

CONFIG = """
sensors:
  - {name: probe, type: simulated, interval: 1d}
"""
#: They tell what is no result, or are JSON anyway.
WITHOUT = {"run", "demo", "config schema", "config reference"}
#: What stands behind the command, of those that need neither an agent nor a server.
OPERANDS = {
    "check": "",
    "status": "",
    "sensors read": "probe",
    "sensors scan": "",
    "sensors types": "",
    "queue stats": "",
    "queue peek": "",
    "queue verify": "",
    "queue vacuum": "",
    "queue export": "barn.ndjson.gz",
    "queue purge": "--all --yes",
    "queue dead list": "",
    "queue dead show": "1",
    "queue dead replay": "1 99",
    "queue dead drop": "1 2",
}
#: Whose test with an agent, a server or a process looks at its JSON, too.
ELSEWHERE = {"flush", "receive", "queue send", "doctor"}
Ask = Callable[..., Any]


@pytest.fixture
def ask(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks a command for its JSON, beside a queue of a stopped agent."""
    site.configure(CONFIG)
    with CloudSyncQueue(site.queue, device_id="pi-7") as queue:
        queue.enqueue_many([Submission({"sensor_name": "probe", "n": n}) for n in range(5)])
        queue.dead_letter([1, 2], "HTTP 400 no such sensor")
    monkeypatch.chdir(site.directory)

    def run(name: str, operands: str = "") -> Any:
        words = [*name.split(), *operands.split(), "--json"]
        if "types" not in words:
            words += ["--config", "agent.yaml"]
        assert main(words) == int("99" in words)
        return facts_in(capsys.readouterr().out, name)

    return run


def test_commands_that_tell_something_publish_what() -> None:
    """Each but those that are for people alone; and each is looked at here."""
    assert LEAVES.keys() - SCHEMAS.keys() == WITHOUT
    assert SCHEMAS.keys() - OPERANDS.keys() <= ELSEWHERE


@pytest.mark.parametrize("name", SCHEMAS)
def test_json_schema_is_printed_and_is_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the command's name, so that a program can be written against it."""
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--json-schema"])
    assert ended.value.code == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == SCHEMAS[name]
    assert schema["title"] == f"pyvorin-agent {name} --json"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", OPERANDS)
def test_json_keeps_to_its_schema(name: str, ask: Ask) -> None:
    """One object, in its first version, with nothing that is not published."""
    assert ask(name, OPERANDS[name])["version"] == 1


def test_commands_beside_a_running_agent_tell_the_same(
    ask: Ask, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, while it goes on; the file is whole at the end, and nothing is lost."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(site.directory))
    agent = site.agent()
    until(lambda: site.status()["sensors"]["probe"]["last"], "the probe's first reading")
    # Last what takes the rows away that the others look at.
    takes_away = {"queue dead drop": "2", "queue purge": "--all --yes"}
    looks = {name: words for name, words in OPERANDS.items() if name not in takes_away}
    for name, operands in (looks | takes_away).items():
        assert ask(name, operands)["version"] == 1
    assert ask("queue verify")["sound"]
    books = ask("queue stats")["ledger"]
    assert books["discarded"] >= 5
    assert agent.end() == 0


def test_json_of_check_has_the_problems(ask: Ask, site: Site) -> None:
    """And of a good file what it would do, without what may be a key in the URL."""
    assert (ask("check")["problems"], ask("check")["sensors"]) == ([], 1)
    site.configure("upload: {endpoint: 'https://u.example.com/in?key=x'}")
    assert ask("check")["endpoint"] == "https://u.example.com"


def test_json_of_check_with_a_mistake_is_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says that there is one."""
    (tmp_path / "bad.yaml").write_text("upload: {intervall: 5s}\n")
    assert main(["check", "--json", "--config", str(tmp_path / "bad.yaml")]) == 1
    (problem,) = facts_in(capsys.readouterr().out, "check")["problems"]
    assert "bad.yaml:1:10: upload.intervall: is unknown (did you mean" in problem


def test_json_of_purge_has_the_ids_to_ask_the_server_for(ask: Ask) -> None:
    """Each range with its owner; and what is gone."""
    facts = ask("queue purge", "--sensor probe --yes")
    assert (facts["rows"], facts["dead_letters"], facts["remains"]) == (3, 2, None)
    (given,) = facts["ranges"]
    assert (given["device_id"], given["first_id"], given["last_id"]) == ("pi-7", 1, 5)


def test_json_of_dead_letters_names_those_that_are_none(ask: Ask) -> None:
    """And counts what was done."""
    assert ask("queue dead replay", "2 99") == {"version": 1, "replayed": 1, "missing": [99]}
    assert ask("queue dead drop", "1") == {"version": 1, "dropped": 1, "missing": []}


def test_json_of_export_and_send_count_rows(
    ask: Ask, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many arrive as were carried away."""
    facts = ask("queue export", "--move barn.ndjson")
    assert (facts["rows"], facts["moved"], facts["unfit"]) == (3, 3, 0)
    with Receiver(site.directory / "r.db") as receiver:
        sent = ask("queue send", f"barn.ndjson --endpoint {receiver.url}")
    assert (sent["delivered"], sent["refused"], sent["left"]) == (3, 0, 0)
    assert (sent["rejects"], sent["trouble"]) == (None, None)
    nobody = ["--endpoint", "http://127.0.0.1:9/"]
    assert main(["queue", "send", "barn.ndjson", "--json", *nobody]) == 1
    assert "it goes on from here" in facts_in(capsys.readouterr().out, "queue send")["trouble"]
