"""`pyvorin-agent queue` as people run it: beside a running agent, and without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.processes import Site, command, until
from jsonschema import Draft202012Validator

from edge_agent.cli import queue_schemas
from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.types import Submission

CONFIG = """
sensors:
  - {name: probe, type: simulated, interval: 100ms, base: 4, amplitude: 0}
"""
Ask = Callable[..., Any]


@pytest.fixture(params=["running", "stopped"])
def agent_site(site: Site, request: pytest.FixtureRequest) -> Site:
    """A queue with readings in it, beside a running agent or after one."""
    site.configure(CONFIG)
    agent = site.agent()
    until(lambda: site.status()["health"]["depth"], "readings in the queue")
    if request.param == "stopped":
        assert agent.end() == 0
    return site


@pytest.fixture
def full(site: Site) -> Site:
    """A queue of ten rows, the first two of them dead letters; no agent."""
    site.configure(CONFIG)
    with CloudSyncQueue(site.queue, device_id="pi-7") as queue:
        queue.enqueue_many([Submission({"sensor_name": "probe", "n": n}) for n in range(10)])
        queue.dead_letter([1, 2], "HTTP 400 no such sensor")
    return site


def asked(site: Site, *words: str | Path, code: int = 0) -> str:
    """What a queue command printed."""
    ended = command("queue", *words, "--config", site.config, env=environment(site))
    assert ended.returncode == code, ended.stderr
    return ended.stdout if code == 0 else ended.stderr


def facts_of(site: Site, *words: str, code: int = 0) -> dict[str, Any]:
    """What it printed as JSON, which keeps to its schema."""
    ended = command("queue", *words, "--json", "--config", site.config, env=environment(site))
    assert ended.returncode == code, ended.stderr
    facts: dict[str, Any] = json.loads(ended.stdout)
    schema = json.loads(command("queue", *words, "--json-schema").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(facts)
    return facts


def environment(site: Site) -> dict[str, str]:
    return {"RUNTIME_DIRECTORY": str(site.directory)}


def test_queue_stats_tell_depth_and_ledger(agent_site: Site) -> None:
    """Each row that was ever queued is somewhere."""
    facts = facts_of(agent_site, "stats")
    assert facts["depth"] == facts["by_priority"]["telemetry"] + facts["by_priority"]["logs"] > 0
    assert facts["ledger"]["enqueued"] >= facts["depth"]
    assert facts["path"] == str(agent_site.queue)
    assert f"queue            {agent_site.queue}\n" in asked(agent_site, "stats")


def test_queue_peek_shows_so_many_rows(agent_site: Site) -> None:
    """The first of them, whole."""
    (item,) = facts_of(agent_site, "peek", "-n", "1")["items"]
    assert item["payload"]["value"] == 4.0
    assert Priority(item["priority"]) is Priority.TELEMETRY
    header, row = asked(agent_site, "peek", "-n", "1").splitlines()
    assert header.split() == ["ID", "PRIORITY", "AGE", "TRIES", "PAYLOAD"]
    assert row.startswith(str(item["id"]))


def test_queue_peek_into_an_empty_queue_says_so(site: Site) -> None:
    """No header above nothing."""
    site.configure(CONFIG)
    CloudSyncQueue(site.queue).close()
    assert asked(site, "peek") == "nothing may be sent now\n"
    assert facts_of(site, "peek")["items"] == []


def test_queue_verify_of_a_whole_file_finds_nothing(agent_site: Site) -> None:
    """And reads every row."""
    facts = facts_of(agent_site, "verify")
    assert (facts["sound"], facts["problems"]) == (True, [])
    assert facts["rows"] > 0
    assert asked(agent_site, "verify").startswith(f"{agent_site.queue}: sound; ")


def test_queue_verify_of_a_damaged_file_tells_and_changes_nothing(full: Site) -> None:
    """One that no agent could open is looked over all the same."""
    damaged = b"sensor,value\n" * 50
    full.queue.write_bytes(damaged)
    facts = facts_of(full, "verify", code=1)
    assert not facts["sound"]
    assert "file is not a database" in facts["problems"][0]
    assert full.queue.read_bytes() == damaged


def test_queue_vacuum_gives_space_back(agent_site: Site) -> None:
    """What a purge by age left unused."""
    with CloudSyncQueue(agent_site.queue) as queue:
        ids = queue.enqueue_many([Submission({"text": "x" * 4_000}) for _ in range(200)])
        queue.ack(ids)
    assert facts_of(agent_site, "vacuum")["given_back_bytes"] > 200 * 4_000
    assert " bytes given back, " in asked(agent_site, "vacuum")


@pytest.mark.parametrize("words", ["stats", "peek", "verify", "vacuum"])
def test_queue_commands_without_a_queue_say_what_to_do(site: Site, words: str) -> None:
    """No queue is made by asking for one."""
    site.configure(CONFIG)
    assert "does not exist yet; start the agent first" in asked(site, *words.split(), code=1)
    assert not site.queue.exists()


def test_queue_help_has_an_example_each() -> None:
    """For who asks for it there, and wrong usage is 2."""
    for name in ("stats", "peek", "verify", "vacuum"):
        assert f"Example: pyvorin-agent queue {name}" in command("queue", name, "--help").stdout
    assert command("queue", "peek", "-n", "0").returncode == 2


def test_queue_schemas_are_titled_by_their_commands() -> None:
    """As `--json-schema` prints them."""
    assert queue_schemas.STATS["title"] == "pyvorin-agent queue stats --json"
