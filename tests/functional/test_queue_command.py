"""`pyvorin-agent queue` as people run it: beside a running agent, and without one."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.processes import COMMAND, Site, command, received, until
from fakes.published import facts_in

from edge_agent.cloud_sync import CloudSyncQueue, Priority
from edge_agent.types import Submission

CONFIG = """
sensors:
  - {name: probe, type: simulated, interval: 100ms, base: 4, amplitude: 0}
"""


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
    facts: dict[str, Any] = facts_in(ended.stdout, named(words))
    return facts


def named(words: Sequence[str]) -> str:
    """The command that the words begin with."""
    count = 2 if words[0] == "dead" else 1
    return " ".join(["queue", *words[:count]])


def environment(site: Site) -> dict[str, str]:
    return {"RUNTIME_DIRECTORY": str(site.directory), "STATE_DIRECTORY": str(site.directory)}


def test_queue_stats_tell_depth_and_ledger(agent_site: Site) -> None:
    """Each row that was ever queued is somewhere."""
    facts = facts_of(agent_site, "stats")
    assert facts["depth"] == facts["by_priority"]["telemetry"] + facts["by_priority"]["logs"] > 0
    assert facts["ledger"]["enqueued"] >= facts["depth"]
    assert facts["path"] == str(agent_site.queue)
    assert f"queue        {agent_site.queue}\n" in asked(agent_site, "stats")


def test_queue_peek_shows_so_many_rows(agent_site: Site) -> None:
    """The first of them, whole."""
    (item,) = facts_of(agent_site, "peek", "-n", "1")["items"]
    assert item["payload"]["value"] == 4.0
    assert Priority(item["priority"]) is Priority.TELEMETRY
    header, row, rest = asked(agent_site, "peek", "-n", "1").splitlines()
    assert header.split() == ["ID", "PRIORITY", "AGE", "TRIES", "PAYLOAD"]
    assert row.startswith(str(item["id"]))
    assert re.fullmatch(r"\d+ more rows? in the queue; .*", rest)


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


def test_queue_export_and_move_carry_rows_away(agent_site: Site, tmp_path: Path) -> None:
    """One line for each row; with --move they leave the queue."""
    for name, move in (("all.ndjson", []), ("moved.ndjson", ["--move"])):
        said = asked(agent_site, "export", tmp_path / name, *move)
        lines = (tmp_path / name).read_text().splitlines()
        assert said.startswith(f"{tmp_path / name}: {len(lines)} row")
        assert json.loads(lines[0])["id"] == 1
    left = facts_of(agent_site, "stats")
    assert left["ledger"]["exported"] == len(lines)
    refused = asked(agent_site, "export", tmp_path / "all.ndjson", code=1)
    assert "there is such a file already; name another" in refused


def test_queue_purge_of_a_sensor_leaves_no_byte_of_it(agent_site: Site) -> None:
    """Not in queue, log or reserve, nor in what the agent keeps of the past or of its settings."""
    agent_site.configure("sensors: [{name: other, type: simulated, interval: 100ms}]\n")
    running = json.loads(command("status", "--json", "--config", agent_site.config).stdout)[
        "running"
    ]
    if running:
        os.kill(agent_site.status()["pid"], signal.SIGHUP)
        until(lambda: "other" in agent_site.status()["sensors"], "the reload")
    with CloudSyncQueue(agent_site.queue) as queue:
        queue.enqueue({"sensor_name": "probe.x", "text": "probe"})
        queue.dead_letter([1], "HTTP 400 probe")
        queue.memory.save("meter:probe", 7)
        queue.memory.note("sensor_faulty sensor=probe")
    Path(f"{agent_site.queue}.corrupt-20250101T000000Z").write_text("probe")
    kept = {"sync_queue.db-wal"} if running else {"last_good.yaml", "status.json", "metrics.prom"}
    assert traces(agent_site, "probe") > kept

    said = asked(agent_site, "purge", "--sensor", "probe", "--yes")

    # A running agent's next word of itself comes within seconds.
    until(lambda: not traces(agent_site, "probe"), "no byte of it")
    assert "1 dead letter, states and lines of history: " in said.splitlines()[0]
    assert "damaged files set aside: 1" in said.splitlines()[0]
    assert re.search(r"(?m)^[0-9a-f]{32} +\S+ +1 +\d+$", said)
    assert facts_of(agent_site, "verify")["sound"]


def traces(site: Site, word: str) -> set[str]:
    """The files that have the word in them, as another process sees them.

    To open the database here would drop the locks that SQLite holds on it.
    """
    found = subprocess.run(
        ["grep", "-alr", word, str(site.directory)], capture_output=True, text=True, check=False
    )
    return {Path(name).name for name in found.stdout.splitlines()}


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (["--expired"], 8),
        (["--match", "n=5"], 7),
        (["--before", "2026-01-01"], 8),
        (["--before", "2999-01-01T00:00Z"], 0),
        (["--all"], 0),
    ],
)
def test_queue_purge_takes_what_was_meant(full: Site, selection: list[str], left: int) -> None:
    """And books it; dead letters too, but for --expired."""
    asked(full, "purge", *selection, "--yes")
    facts = facts_of(full, "stats")
    assert facts["depth"] == left
    assert facts["dead_letters"] == (0 if left == 0 else 2)


def test_queue_purge_with_nobody_to_ask_refuses(full: Site) -> None:
    """The count is shown, and nothing is gone."""
    said = asked(full, "purge", "--all", code=1)
    assert "nobody is there to be asked; say --yes" in said
    assert facts_of(full, "stats")["depth"] == 8


@pytest.mark.parametrize(("typed", "depth"), [("n", 8), ("", 8), ("yes", 0)])
def test_queue_purge_at_a_terminal_asks(full: Site, typed: str, depth: int) -> None:
    """Only a yes is one."""
    master, slave = pty.openpty()
    os.write(master, f"{typed}\n".encode())
    ended = subprocess.run(
        [*COMMAND, "queue", "purge", "--all", "--config", full.config],
        stdin=slave,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(master)
    os.close(slave)
    assert "Delete for good? [y/N] " in ended.stderr
    assert ended.returncode == (1 if depth else 0)
    assert facts_of(full, "stats")["depth"] == depth


def test_queue_purge_of_a_sensor_that_is_still_configured_says_so(agent_site: Site) -> None:
    """What comes back would surprise."""
    running = json.loads(command("status", "--json", "--config", agent_site.config).stdout)[
        "running"
    ]
    ended = command(
        *("queue", "purge", "--sensor", "probe", "--yes", "--config", agent_site.config),
        env=environment(agent_site),
    )
    assert ("the running agent goes on reading probe;" in ended.stderr) == running
    assert ("the configuration still has probe, so the agent reads it" in ended.stderr) != running


def test_queue_purge_with_a_bad_file_says_what_names_the_sensor_still(full: Site) -> None:
    """The last good configuration stays as it is: without it nothing could be started."""
    copy = full.directory / "last_good.yaml"
    copy.write_text(full.config.read_text())
    full.config.write_text("sensors: 5\n")
    ended = command(
        *("queue", "purge", "--sensor", "probe", "--yes", "--config", full.config),
        env=environment(full),
    )
    assert ended.returncode == 0
    assert f"{copy} still names it, until the agent starts with" in ended.stderr
    assert "probe" in copy.read_text()


def test_queue_purge_with_a_wrong_selection_is_usage() -> None:
    """In a sentence."""
    for words, said in (
        (["--match", "badge"], "has no '='; write metadata.badge_id=17"),
        (["--before", "yesterday"], "is no time; write 2026-03-01"),
        (["--sensor", ""], "the sensor's name is empty"),
        ([], "one of the arguments --expired"),
    ):
        ended = command("queue", "purge", *words)
        assert ended.returncode == 2
        assert said in ended.stderr


def test_queue_dead_letters_are_listed_shown_replayed_and_dropped(full: Site) -> None:
    """Each with its answer; a replayed one is queued under its id, a dropped one is discarded."""
    letters = facts_of(full, "dead", "list")["dead_letters"]
    assert [letter["id"] for letter in letters] == [1, 2]
    assert "probe   HTTP 400 no such sensor" in asked(full, "dead", "list")
    shown = facts_of(full, "dead", "show", "2")
    assert (shown["payload"]["n"], shown["device_id"]) == (1, "pi-7")
    assert "no dead letter has the id 7;" in asked(full, "dead", "show", "7", code=1)

    assert asked(full, "dead", "replay", "2") == "1 dead letter back in the queue\n"
    assert 2 in [item["id"] for item in facts_of(full, "peek", "-n", "20")["items"]]
    assert "no dead letter has the id 2, 9;" in asked(full, "dead", "drop", "2", "9", code=1)
    assert "say --yes" in asked(full, "dead", "drop", code=1)
    assert asked(full, "dead", "drop", "--yes") == "1 dead letter deleted\n"
    assert asked(full, "dead", "list") == "no dead letters\n"
    ledger = facts_of(full, "stats")["ledger"]
    assert (ledger["queued"], ledger["dead"], ledger["discarded"]) == (9, 0, 1)
    assert facts_of(full, "verify")["sound"]


@pytest.mark.fault(
    "poison", "an item at the server", how="a dead letter is replayed beside a running agent"
)
def test_queue_dead_replay_beside_an_agent_is_sent_once_more(site: Site) -> None:
    """By the running agent, as any other row."""
    _, url = site.receiver()
    with CloudSyncQueue(site.queue) as queue:
        queue.enqueue({"sensor_name": "door", "timestamp": 1.0, "value": 1})
        queue.dead_letter([1], "HTTP 400")
    site.configure(f"upload: {{endpoint: {url}, interval: 200ms}}\n{CONFIG}")
    site.agent()
    asked(site, "dead", "replay")
    until(lambda: ("door", 1.0) in received(site), "the dead letter at the receiver")


@pytest.mark.parametrize(
    "words", ["stats", "peek", "verify", "vacuum", "export x", "purge --all", "dead list"]
)
def test_queue_commands_without_a_queue_say_what_to_do(site: Site, words: str) -> None:
    """No queue is made by asking for one."""
    site.configure(CONFIG)
    assert "does not exist yet; start the agent first" in asked(site, *words.split(), code=1)
    assert not site.queue.exists()


def test_command_line_loads_neither_rich_nor_requests() -> None:
    """The daemon is one of its commands, and would carry them."""
    look = "import sys, edge_agent.cli.main; print({'rich', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
