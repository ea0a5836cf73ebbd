"""The README's lines of demo, journal and status: their words and fields are the product's."""

from __future__ import annotations

import re
import signal

from fakes.nginx import free_port
from fakes.pages import README, ROOT, block, blocks, section, tables
from fakes.processes import Process, Site, until
from fakes.rig import Rig

from edge_agent.cli.demo import view
from edge_agent.cli.demo.books import Books
from edge_agent.cli.demo.view import Snapshot
from edge_agent.daemon import health
from edge_agent.events import event

JOURNAL = section(README, "What the journal shows")
LINES = block(JOURNAL, "text", "previous_run").splitlines()
DEMO = block(README, "text", "    reading")
FIELD = re.compile(r' (\w+)=("[^"]*"|\S+)')


def keys(line: str) -> list[str]:
    return [name for name, _ in FIELD.findall(line)]


def test_demo_lines_are_the_demo_s() -> None:
    """Made anew from the numbers in them."""
    shown = re.findall(
        r"^ +(\d+)/60 s  receiver (up|KILLED) +link (\w+) +delivered +(\d+)  queued +(\d+) .*$",
        DEMO,
        re.MULTILINE,
    )
    assert len(shown) > 3
    for t_s, receiver, link, delivered, depth in shown:
        now = Snapshot(float(t_s), receiver == "up", int(depth), int(delivered), link, {})
        assert f"{view.line(now, 60)}\n" in DEMO


def test_demo_ledger_is_the_demo_s() -> None:
    """Made anew from the numbers in it, and it adds up."""
    ledger = DEMO[DEMO.index("\nLedger") :]
    read, delivered, queued, lost, duplicates, repeated = map(int, re.findall(r"\d+", ledger))
    books = Books(read, read, delivered, queued, read - lost, read - lost - duplicates, repeated)
    assert books.closed
    assert books.text() == ledger


def test_journal_lines_are_the_agent_s(site: Site) -> None:
    """Killed, started without a link, and the link comes: the same fields in the same order."""
    address = f"127.0.0.1:{free_port()}"
    upload = f"upload: {{endpoint: 'http://{address}/v1/ingest', auth: none, retry_delay: 100ms,"
    site.configure(
        f"{upload} max_retry_delay: 1s, interval: 1s}}\nhealth: {{report_interval: 1s}}\n"
        "sensors: [{name: probe, type: simulated, interval: 500ms}]\n"
    )
    first = site.agent()
    first.wait_for("link_down")
    first.end(signal.SIGKILL)
    agent = site.agent()
    agent.wait_for("link_down")
    until(lambda: health_while_down(agent), "a line of health while it is down")
    site.receiver(address)
    agent.wait_for("link_up")
    seen = {line.split()[0]: line for line in reversed(agent.lines) if line.split()}
    for line in LINES:
        name = line.split()[0]
        if name != "queue_health":
            assert keys(line) == keys(seen[name]), name
    assert [line.split()[0] for line in LINES] == [
        *("previous_run", "started", "ready", "link_down", "queue_health", "link_up")
    ]


def health_while_down(agent: Process) -> str | None:
    lines = [line for line in agent.lines if line.startswith("queue_health")]
    return next((line for line in lines if "link=down" in line), None)


def test_journal_lines_are_written_as_the_agent_writes_them() -> None:
    """Made anew from what is in them."""
    for line in LINES:
        fields = {name: value.strip('"') for name, value in FIELD.findall(line)}
        assert event(line.split()[0], **fields) == line


def test_journal_health_line_is_the_agent_s(rig: Rig) -> None:
    """Its fields are those of the line, in order; and the table explains each of them."""
    (shown,) = (line for line in LINES if line.startswith("queue_health"))
    (table,) = (table for table in tables(JOURNAL) if "queue_health" in table[0][0])
    explained = re.findall(r"`(\w+)`", " ".join(row[0] for row in table[1:]))
    fields = list(health.line(rig.parts()))
    assert keys(shown) == [name for name in fields if name != "faulty"]
    assert {*fields} - {*explained} == {"anomaly", "telemetry"}


def test_status_of_the_readme_is_what_status_prints() -> None:
    """The output that another test compares with what is printed."""
    case = ROOT / "tests/testcases/status/offline_three_days.txt"
    assert case.read_text() in blocks(README, "text")
