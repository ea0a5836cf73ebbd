"""The watchdog means something: each part that can be stuck is, in turn, on a real systemd."""

from __future__ import annotations

import pytest
from fakes.installed import SENSORS, UPLOAD, Installed

#: Runs the agent with one part that gets stuck as soon as a file says so. It stands in the tests:
#: nobody who runs the product can switch it on.
STUCK = """
import sys, time
from pathlib import Path
from edge_agent.cli.main import main
from edge_agent.cloud_sync.queue import CloudSyncQueue
from edge_agent.daemon import crew
from edge_agent.daemon.flusher import Flusher
from edge_agent.daemon.poller import Poller

part, switch = sys.argv[1], Path("/run/pyvorin/stuck")
owner, name = {
    "poller": (Poller, "step"),
    "flusher": (Flusher, "step"),
    "store": (CloudSyncQueue, "enqueue_many"),
}[part]
usual = getattr(owner, name)

def stuck(self, *args, **named):
    while switch.exists():
        time.sleep(0.1)
    return usual(self, *args, **named)

setattr(owner, name, stuck)
crew.PATIENCE_S = 2.0
sys.exit(main(["run"]))
"""
QUICK = """
[Service]
WatchdogSec=5s
RestartSec=1s
"""


@pytest.mark.fault("watchdog", "whole process stopped", how="SIGSTOP, under a real systemd")
def test_watchdog_restarts_a_process_that_was_stopped(agent: Installed) -> None:
    """SIGSTOP: nothing of it runs any more, and nobody said a word."""
    agent.drop_in(QUICK)
    agent.configure(SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    pid = agent.pid()
    agent.run(f"kill -STOP {pid}")
    agent.machine.until(lambda: agent.pid() not in ("0", pid), "another process")
    agent.wait_for("Watchdog timeout")
    agent.wait_for("previous_run ended=killed")
    assert agent.machine.show("NRestarts")[0] == "1"


@pytest.mark.fault(
    "watchdog",
    "poller stuck",
    "flusher stuck",
    "store stuck",
    how="that part waits as soon as a file says so, under a real systemd",
)
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("poller", "poller stuck in "),
        ("flusher", "flusher stuck in "),
        ("store", "poller stuck in "),
    ],
)
def test_watchdog_restarts_an_agent_with_a_stuck_part_and_says_which(
    agent: Installed, part: str, reason: str
) -> None:
    """The reason and the stack are in the journal, and after the restart in `previous_run`."""
    agent.machine.put("/root/stuck.py", STUCK)
    agent.run("install -m 0755 /root/stuck.py /usr/local/lib/stuck.py")
    agent.drop_in(f"{QUICK}ExecStart=\nExecStart=/usr/bin/python3 /usr/local/lib/stuck.py {part}\n")
    agent.configure(UPLOAD + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    pid = agent.pid()
    agent.machine.until(lambda: agent.status()["queue"]["depth"] > 5, "readings in the queue")
    agent.run("touch /run/pyvorin/stuck")
    agent.wait_for(f'watchdog reason="{reason}')
    agent.wait_for("watchdog_stack")
    agent.machine.until(lambda: agent.pid() not in ("0", pid), "another process")
    agent.run("rm -f /run/pyvorin/stuck")
    agent.wait_for(f'previous_run ended=watchdog reason="{reason}')
    ledger = agent.status()["ledger"]
    assert ledger["enqueued"] == ledger["queued"] + ledger["delivered"]


def test_watchdog_lets_an_agent_be_that_waits_out_a_back_off(agent: Installed) -> None:
    """A flusher with nothing to do for minutes makes progress all the same."""
    agent.drop_in(QUICK)
    patient = UPLOAD.replace("max_retry_delay: 2s", "max_retry_delay: 10min")
    agent.configure(patient.replace("retry_delay: 500ms", "retry_delay: 5min") + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    agent.wait_for("link_down")
    agent.run("sleep 12")
    assert agent.machine.show("ActiveState", "NRestarts") == ("active", "0")
