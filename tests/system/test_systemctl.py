"""start, stop, reload, restart, a bad file, a reboot: the service as its user knows it."""

from __future__ import annotations

from fakes.installed import CONFIG, SENSORS, STATE, UPLOAD, Installed

BAD = "upload: {endpiont: http://127.0.0.1/}\n"


def test_service_reload_takes_a_good_file_over_without_a_restart(agent: Installed) -> None:
    """The process stays the same one, and so do the rows."""
    pid, before = agent.pid(), agent.status()["ledger"]["enqueued"]
    agent.configure(SENSORS)
    agent.run("systemctl reload pyvorin-agent")
    agent.wait_for("config_reloaded sensors=2")
    agent.machine.until(
        lambda: agent.status()["ledger"]["enqueued"] > before + 20, "readings of the new sensors"
    )
    assert agent.pid() == pid


def test_service_reload_of_a_bad_file_fails_visibly_and_the_old_one_runs(agent: Installed) -> None:
    """`systemctl reload` says so; nothing has changed."""
    agent.configure(SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    pid = agent.pid()
    agent.configure(BAD)
    assert "failed" in agent.run("systemctl reload pyvorin-agent", status=1).lower()
    agent.wait_for("endpiont: is unknown (did you mean 'endpoint'?)")
    before = agent.status()["ledger"]["enqueued"]
    agent.machine.until(
        lambda: agent.status()["ledger"]["enqueued"] > before, "readings by the old file"
    )
    assert (agent.pid(), agent.state()) == (pid, "active")


def test_service_started_with_a_bad_file_runs_on_the_last_good_one(agent: Installed) -> None:
    """And says so wherever a person looks."""
    agent.configure(SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.wait_for("ready")
    agent.configure(BAD)
    agent.run("systemctl restart pyvorin-agent")
    agent.wait_for("config=last_good")
    agent.machine.until(
        lambda: "config=last_good" in agent.machine.show("StatusText")[0], "it in the status line"
    )
    assert agent.state() == "active"
    agent.run(f"test -s {STATE}/last_good.yaml")


def test_service_without_any_usable_file_fails_once_and_makes_no_storm(agent: Installed) -> None:
    """78, which systemd is told not to answer with a restart."""
    agent.run("systemctl stop pyvorin-agent")
    agent.run(f"rm {STATE}/last_good.yaml")
    agent.configure(BAD)
    agent.run("systemctl start pyvorin-agent", status=1)
    # More than RestartSec: a restart would have come by now.
    agent.run("sleep 12")
    assert agent.machine.show("ActiveState", "ExecMainStatus", "NRestarts") == ("failed", "78", "0")
    agent.configure(SENSORS)
    agent.run("systemctl start pyvorin-agent")
    assert agent.state() == "active"


def test_service_stops_in_time_with_a_request_that_hangs(agent: Installed) -> None:
    """The rows stay, and it was no kill."""
    agent.run(
        "systemd-run --quiet --unit=receiver --collect python3 -c "
        "'import socket, time; s = socket.create_server((\"127.0.0.1\", 8089)); time.sleep(600)'"
    )
    agent.configure(UPLOAD.replace("timeout: 5s", "timeout: 10min") + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.machine.until(lambda: "ESTAB" in agent.run("ss -Htn"), "a request on the wire")
    agent.run("systemctl stop pyvorin-agent", timeout_s=20)
    assert agent.machine.show("Result", "ExecMainStatus") == ("success", "0")
    assert agent.said("request=abandoned")
    ledger = agent.status()["ledger"]
    assert ledger["queued"] == ledger["enqueued"] > 0


def test_service_comes_back_by_itself_after_a_reboot(agent: Installed) -> None:
    """Enabled is what it says, and the queue goes on."""
    agent.configure(SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.machine.until(lambda: agent.status()["queue"]["depth"] > 20, "readings in the queue")
    agent.machine.reboot()
    agent.machine.until(lambda: agent.state() == "active", "the agent after the boot")
    agent.wait_for("previous_run ended=stopped")
    assert agent.status()["queue"]["depth"] > 20


def test_service_takes_its_key_from_a_credential(agent: Installed) -> None:
    """/etc/credstore, where systemd looks without a path; the file itself is root's alone."""
    agent.machine.put("/etc/credstore/pyvorin-agent.api-key", "a-key-of-the-store\n", 0o600)
    agent.receiver_that_shows_headers()
    agent.configure(UPLOAD.replace("auth: none", "auth: bearer") + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.machine.until(
        lambda: "Bearer a-key-of-the-store" in agent.run("cat /root/headers", status=None),
        "the key on the wire",
    )
    agent.run("rm -r /etc/credstore/pyvorin-agent.api-key /root/headers")
    assert "a-key-of-the-store" not in agent.machine.journal("")


def test_service_configuration_is_not_for_everybody(agent: Installed) -> None:
    """Another user reads the status, and neither the configuration nor the queue."""
    agent.wait_for("ready")
    as_nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    agent.run(f"{as_nobody} cat /run/pyvorin/status.json")
    for secret in (CONFIG, f"{STATE}/sync_queue.db"):
        agent.run(f"{as_nobody} cat {secret}", status=1)
