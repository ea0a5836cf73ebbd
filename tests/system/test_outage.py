"""An outage, its end, and a kill in the middle of an upload: the ledger closes."""

from __future__ import annotations

from collections.abc import Callable

from fakes.installed import SENSORS, UPLOAD, Installed


def test_outage_and_return_lose_nothing_and_send_nothing_twice(
    agent: Installed, tell: Callable[[str], None]
) -> None:
    """The server goes away while readings go on, and comes back."""
    agent.receiver()
    agent.configure(UPLOAD + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    machine = agent.machine
    machine.until(lambda: len(agent.received()) > 20, "the first readings at the receiver")
    agent.run("systemctl stop receiver")
    agent.wait_for("link_down")
    depth = agent.status()["queue"]["depth"]
    machine.until(lambda: agent.status()["queue"]["depth"] > depth + 50, "a backlog")
    agent.receiver()
    agent.wait_for("link_up")
    _close(agent)
    tell(f"journalctl -u pyvorin-agent\n{agent.machine.journal('')}")


def test_outage_ended_by_kill_during_an_upload_delivers_everything_once(agent: Installed) -> None:
    """kill -9 while the receiver holds a request; systemd starts the agent again."""
    agent.drop_in("[Service]\nRestartSec=1s\n")
    agent.receiver()
    agent.configure(UPLOAD + SENSORS)
    agent.run("systemctl restart pyvorin-agent")
    machine = agent.machine
    machine.until(lambda: len(agent.received()) > 20, "the first readings at the receiver")
    agent.run("systemctl kill --signal=STOP receiver")
    machine.until(lambda: agent.bytes_unread() > 200, "a request on the wire")
    pid = agent.pid()
    agent.run(f"kill -KILL {pid}")
    agent.run("systemctl kill --signal=CONT receiver")
    machine.until(lambda: agent.pid() not in ("0", pid), "another process")
    agent.wait_for("previous_run ended=killed")
    before = len(agent.received())
    machine.until(lambda: len(agent.received()) > before + 50, "more readings")
    _close(agent)


def _close(agent: Installed) -> None:
    """Stop it when all is delivered; every reading is at the receiver, once."""
    agent.run("systemctl stop pyvorin-agent")
    ledger = agent.status()["ledger"]
    received = agent.received()
    print(agent.machine.journal("-o cat"))
    assert len(received) == len(set(received)) == ledger["delivered"]
    assert ledger["queued"] == 0
    assert ledger["delivered"] == ledger["enqueued"] > 0
