"""`pyvorin-agent run` as a process: what signals, crashes, hangs and bad files do to it."""

from __future__ import annotations

import resource
import signal
import socket
import threading
from pathlib import Path

import pytest
from fakes.processes import Site, bytes_unread_at, command, notify_socket, received, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import ReceiverStore

SENSORS = """
sensors:
  - {name: machine, type: system, interval: 500ms}
  - {name: probe, type: simulated, interval: 100ms, seed: 1}
  - {name: door, type: simulated, interval: 200ms, waveform: square, period: 2s}
"""
STORE_ONLY = SENSORS


def uploading(url: str, *, sensors: str = SENSORS, timeout: str = "30s") -> str:
    """A configuration that sends often and comes back fast."""
    return (
        f"upload: {{endpoint: '{url}', auth: none, interval: 200ms, retry_delay: 100ms,"
        f" max_retry_delay: 500ms, timeout: {timeout}}}\n{sensors}"
    )


def enqueued(site: Site) -> int:
    with CloudSyncQueue(site.queue) as queue:
        return queue.ledger().enqueued


@pytest.mark.fault(
    "server",
    "stores, and its answer is lost",
    how="the agent is killed with a request on the wire, which the receiver then stores",
)
def test_agent_killed_in_the_middle_of_an_upload_delivers_every_reading_once(site: Site) -> None:
    """kill -9 while the request is on the wire; the receiver then stores it, and is asked again."""
    receiver, url = site.receiver()
    site.configure(uploading(url))
    agent = site.agent()
    until(lambda: len(received(site)) > 20, "the first readings at the receiver")

    receiver.send(signal.SIGSTOP)
    port = int(url.split(":")[2].split("/")[0])
    until(lambda: bytes_unread_at(port) > 500, "a request that nobody reads")
    agent.end(signal.SIGKILL)
    receiver.send(signal.SIGCONT)

    again = site.agent()
    assert again.said("previous_run ended=killed")
    until(lambda: len(received(site)) > 100, "more readings at the receiver")
    assert again.end() == 0
    with CloudSyncQueue(site.queue) as queue:
        ledger = queue.ledger()
    readings = received(site)
    assert ledger.closes
    assert ledger.queued == 0
    assert len(readings) == len(set(readings)) == ledger.enqueued == ledger.delivered
    store = ReceiverStore(site.directory / "received.db")
    repeated = store.totals().repeated
    store.close()
    assert repeated > 0, "the batch on the wire was stored, and recognised when it came again"


@pytest.mark.fault("server", "hangs", how="a socket takes the request and never answers")
def test_request_that_hangs_does_not_move_the_pollers_schedule(site: Site) -> None:
    """A server that takes the request and never answers: readings go on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        site.configure(uploading(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        agent = site.agent()
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            before = enqueued(site)
            until(lambda: enqueued(site) > before + 60, "readings during the hang")
            assert agent.end() == 0
    status = site.status()
    # One that waited for the request would have missed nearly all; a busy machine may miss one.
    assert status["overruns_total"] < status["read_total"] / 10
    assert status["delivered_total"] == 0
    assert status["read_total"] == enqueued(site)


def test_agent_without_endpoint_stores_and_sends_when_there_is_one(site: Site) -> None:
    """Store only is said; a reload with an endpoint sends what was kept."""
    site.configure(STORE_ONLY)
    agent = site.agent()
    agent.wait_for("store_only")
    until(lambda: enqueued(site) > 10, "readings in the queue")
    _, url = site.receiver()
    site.configure(uploading(url))
    agent.send(signal.SIGHUP)
    agent.wait_for("config_reloaded")
    until(lambda: len(received(site)) > 20, "the kept readings at the receiver")
    assert agent.end() == 0
    assert site.status()["health"]["depth"] == 0


@pytest.mark.fault(
    "configuration",
    "changed to garbage and SIGHUP",
    how="the file is changed to garbage, and SIGHUP is sent",
)
def test_reload_of_a_bad_file_is_refused_and_the_old_one_runs_on(site: Site) -> None:
    """Every problem is in the journal; readings go on."""
    _, url = site.receiver()
    site.configure(uploading(url))
    agent = site.agent()
    site.config.write_text("quueue: {}\nsensors: [{name: x}]\n")
    agent.send(signal.SIGHUP)
    agent.wait_for("did you mean 'queue'")
    agent.wait_for("sensors.x")
    before = len(received(site))
    until(lambda: len(received(site)) > before + 10, "readings after the refused reload")
    assert agent.end() == 0


def test_start_with_a_bad_file_runs_on_the_last_good_one(site: Site) -> None:
    """A typo must not silence a site that nobody can drive to."""
    site.configure(STORE_ONLY)
    assert site.agent().end() == 0
    site.config.write_text("sensors: 7\n")
    agent = site.agent()
    assert agent.said("config_last_good problem=")
    until(lambda: site.status()["health"]["config"] == "last_good", "the status to say so")
    assert agent.end() == 0


@pytest.mark.fault(
    "configuration",
    "empty",
    "a list",
    how="the agent is started with such a file and no last good copy",
)
@pytest.mark.parametrize("text", ["sensors: 7\n", "", "- a\n"])
def test_start_with_a_bad_file_and_no_good_one_exits_78(site: Site, text: str) -> None:
    """systemd does not restart on 78: only a person can help."""
    site.config.write_text(text)
    ended = command("run", "--config", site.config, env={"STATE_DIRECTORY": str(site.directory)})
    assert ended.returncode == 78
    assert str(site.config) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.fault(
    "two agents", "the second", how="a second agent is started on the first one's file"
)
def test_second_agent_on_one_queue_refuses_with_a_sentence(site: Site) -> None:
    """Two flushers would send everything twice."""
    site.configure(STORE_ONLY)
    agent = site.agent()
    second = command("run", "--config", site.config)
    assert second.returncode == 1
    assert "held by another flusher" in second.stderr
    assert agent.end() == 0


def test_agent_on_a_path_that_leads_nowhere_waits_and_stores_when_it_heals(site: Site) -> None:
    """No crash loop: readings wait in memory, it is said once, and written when it can be."""
    site.configure(STORE_ONLY)
    site.queue.symlink_to(site.directory / "nowhere" / "q.db")
    agent = site.agent()
    assert str(site.queue) in agent.wait_for("store_degraded reason=")
    site.queue.unlink()
    agent.wait_for("store_recovered dropped=0")
    assert agent.end() == 0
    assert sum("store_degraded reason=" in line for line in agent.lines) == 1
    assert enqueued(site) > 0


@pytest.mark.fault(
    "disk errors",
    "EIO on write",
    how="a limit of 0 bytes on the agent's files fails every write by EFBIG until it is lifted",
)
def test_disk_that_takes_nothing_for_a_while_costs_no_reading(site: Site) -> None:
    """A limit of 0 bytes on files is an error at every write; readings wait until it is gone."""
    site.configure(STORE_ONLY)
    agent = site.agent()
    until(lambda: enqueued(site) > 0, "a reading in the queue")
    _, hard = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (0, hard))
    agent.wait_for("store_degraded reason=")
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (hard, hard))
    agent.wait_for("store_recovered dropped=0")
    assert agent.end() == 0
    with CloudSyncQueue(site.queue) as queue:
        assert queue.ledger().closes
    assert not list(site.directory.glob("*.corrupt-*"))


def test_flush_signal_sends_at_once_what_would_have_waited(site: Site) -> None:
    """SIGUSR1: nobody waits out an interval of an hour."""
    _, url = site.receiver()
    site.configure(f"upload: {{endpoint: '{url}', auth: none, interval: 1h}}\n{SENSORS}")
    agent = site.agent()
    until(lambda: enqueued(site) > 5, "readings in the queue")
    assert received(site) == []
    agent.send(signal.SIGUSR1)
    until(lambda: len(received(site)) > 5, "the readings at the receiver")
    assert agent.end() == 0


def test_missing_key_file_keeps_everything_and_a_new_key_is_used(site: Site) -> None:
    """A missing key is no configuration error: the agent says what is missing and stores."""
    receiver, url = site.receiver()
    key = site.directory / "api_key"
    text = uploading(url).replace("auth: none", f"api_key_file: {key}")
    site.configure(text)
    agent = site.agent()
    agent.wait_for("no_key")
    assert str(key) in (agent.said("no_key") or "")
    assert received(site) == []
    key.write_text("pyv_secret\n")
    until(lambda: len(received(site)) > 20, "readings sent with the new key")
    assert agent.end() == 0
    assert not any("pyv_secret" in line for line in agent.lines + receiver.lines)


def test_service_manager_hears_ready_status_watchdog_and_stopping(
    site: Site, tmp_path: Path
) -> None:
    """READY once the threads run, STATUS apart from it, pings, STOPPING; in this order."""
    site.configure(STORE_ONLY)
    with notify_socket(tmp_path) as (listener, path):
        agent = site.agent(NOTIFY_SOCKET=path, WATCHDOG_USEC="600000")
        heard: list[str] = []
        while heard.count("WATCHDOG=1") < 4:
            heard.append(listener.recv(4096).decode())
        ending = threading.Thread(target=agent.end)
        ending.start()
        while "STOPPING=1" not in heard:
            heard.append(listener.recv(4096).decode())
        ending.join()
    assert heard[0] == "EXTEND_TIMEOUT_USEC=300000000"
    assert "READY=1" in heard
    assert any(text.startswith("STATUS=depth ") for text in heard)
    assert all("\n" not in text for text in heard)


def test_reading_in_the_last_second_survives_a_stop(site: Site) -> None:
    """What waits for its shared commit is committed before the agent goes."""
    site.configure(STORE_ONLY)
    agent = site.agent()
    until(lambda: enqueued(site) > 5, "readings in the queue")
    assert agent.end() == 0
    assert site.status()["read_total"] == enqueued(site)
    assert agent.said("stopped depth=")
