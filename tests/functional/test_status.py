"""`pyvorin-agent status` beside a running agent and without one."""

from __future__ import annotations

import json

from fakes.processes import Site, command, until
from jsonschema import Draft202012Validator

from edge_agent.cli.status.schema import STATUS
from edge_agent.cloud_sync import CloudSyncQueue

STATUS_OF_AGENT = STATUS["properties"]["agent"]["anyOf"][1]["properties"]
CONFIG = """
sensors:
  - {name: probe, type: simulated, interval: 100ms, base: 4, amplitude: 0}
  - {name: room, type: bme280, bus: 99, interval: 1s}
"""


def test_status_of_a_running_and_of_a_stopped_agent(site: Site) -> None:
    """Depth and ledger come from the file; sensors from the agent, while there is one."""
    site.configure(CONFIG)
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    agent = site.agent()
    until(lambda: site.status()["sensors"]["probe"]["last"], "the probe's first reading")
    until(lambda: site.status()["sensors"]["room"]["faults"], "the absent sensor's fault")

    running = command("status", "--config", site.config, env=env)
    assert running.returncode == 0
    assert running.stdout.startswith("agent    running for ")
    assert "sensor   probe: 4.0 celsius at " in running.stdout
    assert (
        "sensor   room: absent_bus (there is no such bus: switch it on with raspi-config), since "
        in running.stdout
    )
    live = json.loads(command("status", "--config", site.config, "--json", env=env).stdout)
    Draft202012Validator(STATUS).validate(live)
    assert live["agent"].keys() == STATUS_OF_AGENT.keys()
    assert live["agent"]["health"].keys() == STATUS_OF_AGENT["health"]["properties"].keys()
    assert agent.end() == 0

    stopped = command("status", "--config", site.config, "--json", env=env)
    facts = json.loads(stopped.stdout)
    schema = json.loads(command("status", "--json-schema").stdout)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(facts)
    assert facts["last_run"]["ended"] == "stopped"
    assert (facts["running"], facts["agent"]) == (False, {})
    assert facts["queue"]["depth"] == facts["ledger"]["enqueued"] > 0

    history = command("status", "--config", site.config, "--history", env=env)
    assert "sensor_faulty sensor=room" in history.stdout


def test_status_knows_past_faults_and_the_cards_wear_over_restarts(site: Site) -> None:
    """One count and one average, from run to run; and what the maker's number comes to."""
    site.configure(CONFIG)
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    told = []
    for _ in range(2):
        agent = site.agent()
        until(lambda: site.status()["sensors"]["room"]["faults"], "the absent sensor's fault")
        told.append(site.status()["sensors"]["room"])
        assert agent.end() == 0
    assert told[0]["history"] == told[1]["history"]
    assert (told[1]["history"]["total"], told[1]["faulty_since"]) == (1, told[0]["faulty_since"])

    with CloudSyncQueue(site.queue) as queue:
        queue.traffic.keep_written(5_000_000_000, 86_400, {})
    words = ("status", "--config", site.config, "--endurance", "30TB")
    said = command(*words, env=env).stdout
    assert "wear     5.0 GB a day, on average over 1 d" in said
    assert (
        "that is 6.1 % of 30.0 TB a year; with nothing else written, the card lasts 16.4 y" in said
    )
    facts = json.loads(command(*words, "--json", env=env).stdout)
    assert facts["wear"]["endurance"]["bytes"] == 30_000_000_000_000

    refused = command("status", "--config", site.config, "--endurance", "30", env=env)
    assert refused.returncode == 2
    assert "argument --endurance: '30' is not a size; write it like '30TB'" in refused.stderr


def test_status_with_a_bad_file_goes_by_the_last_good_one(site: Site) -> None:
    """That is when a person looks: the agent runs on, and the file has a mistake."""
    site.configure(CONFIG)
    env = {"RUNTIME_DIRECTORY": str(site.directory), "STATE_DIRECTORY": str(site.directory)}
    agent = site.agent()
    site.config.write_text("upload: {endpiont: x}\n")

    told = command("status", "--config", site.config, env=env)
    assert told.stdout.startswith("agent    running for ")
    assert "endpiont: is unknown (did you mean 'endpoint'?)" in told.stderr
    assert f"so this goes by {site.directory}/last_good.yaml" in told.stderr
    assert agent.end() == 0

    (site.directory / "last_good.yaml").unlink()
    told = command("status", "--config", site.config, env=env)
    assert (told.returncode, told.stdout) == (1, "")


def test_status_before_the_first_start_says_what_to_do(site: Site) -> None:
    """No queue is made by looking for one."""
    site.configure(CONFIG)
    ended = command("status", "--config", site.config)
    assert ended.returncode == 1
    assert "does not exist yet; start the agent first" in ended.stderr
    assert not site.queue.exists()


def test_status_of_a_queue_that_lost_rows_uncounted_says_so(site: Site) -> None:
    """A 0 would say that none are missing."""
    site.configure(CONFIG)
    site.queue.write_bytes(b"sensor,value\n" * 50)
    with CloudSyncQueue(site.queue, unattended=True) as queue:
        queue.upkeep()
    told = command("status", "--config", site.config).stdout
    assert "ledger   enqueued 0, corrupt 0 or more\n" in told
