"""A field that is to be dropped is in no file of the agent's, and nowhere it speaks."""

from __future__ import annotations

import gzip
import json

from fakes.processes import Site, command, until

from edge_agent.cloud_sync import CloudSyncQueue

OPERATOR, BADGE, PLACE = "anneliese-mueller", "badge-4711-x", 45.764043
CONFIG = f"""
device: {{labels: {{operator: {OPERATOR}, site: lyon}}}}
privacy:
  drop: [metadata.operator]
  hash: [metadata.badge]
  round: {{metadata.lat: 1}}
health: {{report_interval: 1s, upload_interval: 1s}}
sensors:
  - name: probe
    type: simulated
    interval: 100ms
    metadata: {{badge: {BADGE}, lat: {PLACE}}}
    report: {{deadband: 0.5}}
    alarm: {{above: 20}}
  - {{name: broken, type: simulated, interval: 100ms, fail_every: 2, metadata: {{badge: {BADGE}}}}}
"""
SECRETS = (OPERATOR.encode(), BADGE.encode(), str(PLACE).encode())


def secrets_in(site: Site) -> list[str]:
    """Files that hold one; the configuration itself is where a person wrote it."""
    ours = ("agent.yaml", "last_good.yaml")
    files = [file for file in site.directory.iterdir() if file.name not in ours]
    texts = {file.name: file.read_bytes() for file in files}
    texts |= {name: gzip.decompress(text) for name, text in texts.items() if name.endswith(".gz")}
    return [name for name, text in texts.items() for secret in SECRETS if secret in text]


def test_privacy_keeps_fields_from_every_file_and_from_the_journal(site: Site) -> None:
    """Queue, log, status, export and journal; in readings, faults, alarms and health alike."""
    site.configure(CONFIG)
    agent = site.agent()
    names = ("probe", "agent.queue", "agent.sensor_fault")

    def stored() -> dict[str, dict[str, object]]:
        with CloudSyncQueue(site.queue) as queue:
            items = [item.payload for item in queue.peek(1000)]
        return {item["sensor_name"]: item["metadata"] for item in items}

    until(lambda: set(names) <= set(stored()), "readings of every kind")
    until(lambda: site.status()["sensors"]["probe"]["last"], "the probe in the status")
    assert secrets_in(site) == []
    with CloudSyncQueue(site.queue) as queue:
        queue.export(site.directory / "out.ndjson")
        queue.export(site.directory / "out.ndjson.gz")
    assert {"sync_queue.db", "sync_queue.db-wal", "status.json", "out.ndjson"} <= {
        file.name for file in site.directory.iterdir()
    }
    assert secrets_in(site) == []
    shown = command("sensors", "read", "--config", site.config, "--json").stdout

    assert agent.end() == 0
    assert secrets_in(site) == []
    for secret in SECRETS:
        assert secret.decode() not in "\n".join(agent.lines) + shown

    probe = stored()["probe"]
    assert (probe["site"], probe["lat"], len(str(probe["badge"]))) == ("lyon", 45.8, 64)


def test_privacy_gives_the_same_hash_after_a_restart(site: Site) -> None:
    """The key is kept beside the queue, for its owner alone."""
    site.configure(CONFIG)
    hashes = set()
    for _ in range(2):
        agent = site.agent()
        until(lambda: site.status()["sensors"]["probe"]["last"], "the probe in the status")
        last = json.loads((site.directory / "status.json").read_text())["sensors"]["probe"]["last"]
        hashes.add(last["probe"]["metadata"]["badge"])
        assert agent.end() == 0
        (site.directory / "status.json").unlink(missing_ok=True)
    assert [len(text) for text in hashes] == [64]
    assert (site.directory / "privacy.key").stat().st_mode & 0o777 == 0o600
