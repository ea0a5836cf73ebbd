"""The agent before servers that are not ours: nginx that limits, nginx with TLS, and Flask."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from fakes.books import check_every_reading_arrived_once
from fakes.nginx import free_port, nginx
from fakes.pages import SERVER, block
from fakes.processes import Process, Site, bytes_unread_at, received, until

from edge_agent.cloud_sync import CloudSyncQueue

CONFIG = """
upload:
  endpoint: {endpoint}
  auth: none
  interval: 200ms
  retry_delay: 100ms
  max_retry_delay: 500ms
  {more}
sensors:
  - {{name: probe, type: simulated, interval: 100ms, seed: 1}}
  - {{name: door, type: simulated, interval: 200ms, waveform: square, period: 2s}}
"""

Tell = Callable[[str], None]


def tell_journal(agent: Process, tell: Tell) -> None:
    """The first line of each change of the link, as it would stand in the journal."""
    changes = ("link_", "endpoint_", "suspended", "resumed", "dead", "gzip_refused", "stopped")
    lines = [line for line in agent.lines if line.startswith(changes)]
    names = Counter(line.split()[0] for line in lines)
    for name, count in names.items():
        tell(f"{count} x {next(line for line in lines if line.startswith(name))}")


def stop_when_all_is_sent(site: Site, agent: Process) -> None:
    until(lambda: site.status()["health"]["link"] == "up", "the link")
    assert agent.end() == 0


def test_nginx_that_limits_rate_and_size_costs_no_reading(site: Site, tell: Tell) -> None:
    """413, 429, and 502 while the receiver behind it is down, twice; in the end it lets go."""
    behind = f"127.0.0.1:{free_port()}"
    limits = {
        "http": "limit_req_zone $binary_remote_addr zone=slow:64k rate=4r/s;",
        "server": "client_max_body_size 1k;",
        "location": "limit_req zone=slow; limit_req_status 429;",
    }
    with nginx(site.directory / "nginx", f"http://{behind}", **limits) as proxy:
        site.configure(
            CONFIG.format(
                endpoint=f"http://127.0.0.1:{proxy.port}/v1/ingest", more="compression: none"
            )
        )
        agent = site.agent()
        agent.wait_for("endpoint_held")
        until(lambda: {413, 502} <= set(proxy.answered()), "nginx's refusals")
        receiver, _ = site.receiver(behind)
        until(lambda: len(received(site)) > 30, "readings through nginx")
        receiver.end(signal.SIGKILL)
        before = proxy.answered()[502]
        until(lambda: proxy.answered()[502] > before, "the receiver's absence")
        site.receiver(behind)
        until(lambda: proxy.answered()[429], "too many requests")
        proxy.change()
        count = len(received(site))
        until(lambda: len(received(site)) > count + 50, "the backlog")
        stop_when_all_is_sent(site, agent)
        tell(f"nginx answered {dict(proxy.answered())}")
    tell_journal(agent, tell)
    check_every_reading_arrived_once(site, received(site))
    assert site.status()["health"]["dead"] == 0


@pytest.mark.parametrize("trusted_before", [False, True])
def test_nginx_that_wants_a_client_certificate_takes_readings_once_there_is_one(
    site: Site, tell: Tell, trusted_before: bool
) -> None:
    """It answers 400 to everything, which condemns nothing, not even after it took readings
    without one; a reload brings one.
    """
    authority, place = trustme.CA(), site.directory
    for name, cert in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("client", authority.issue_cert("pi-7.test")),
    ):
        cert.private_key_and_cert_chain_pem.write_to_path(str(place / f"{name}.pem"))
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    _, url = site.receiver()
    tls = (
        f"ssl_certificate {place}/server.pem; ssl_certificate_key {place}/server.pem;"
        f" ssl_client_certificate {place}/ca.pem;"
    )
    strict, lax = ({"ssl": "ssl", "server": f"{tls} ssl_verify_client {x};"} for x in ("on", "off"))
    first = lax if trusted_before else strict
    with nginx(place / "nginx", url.removesuffix("/v1/ingest"), **first) as proxy:
        endpoint = f"https://127.0.0.1:{proxy.port}/v1/ingest"
        trust = f"tls: {{ca_file: {place}/ca.pem}}"
        site.configure(CONFIG.format(endpoint=endpoint, more=trust))
        agent = site.agent()
        if trusted_before:
            until(lambda: len(received(site)) > 20, "readings without a certificate")
            proxy.change(**strict)
        assert "certificate" in agent.wait_for("suspended")
        before = len(received(site))
        trust = f"tls: {{ca_file: {place}/ca.pem, client_cert_file: {place}/client.pem}}"
        site.configure(CONFIG.format(endpoint=endpoint, more=trust))
        agent.send(signal.SIGHUP)
        until(lambda: len(received(site)) > before + 20, "the readings")
        stop_when_all_is_sent(site, agent)
        tell(f"nginx answered {dict(proxy.answered())}")
    tell_journal(agent, tell)
    check_every_reading_arrived_once(site, received(site))
    assert site.status()["health"]["dead"] == 0


@pytest.fixture
def flask(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server of SERVER.md, started as it says, and its port."""
    (tmp_path / "ingest.py").write_text(block(SERVER, "python", "# ingest.py"))
    (told,) = re.findall(r"^(flask .*?) +#", SERVER, re.MULTILINE)
    port, said = free_port(), tmp_path / "flask.log"
    words = told.replace("8089", str(port)).split()
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=tmp_path, stdout=log, stderr=log
        )
    until(lambda: "Running on" in said.read_text(), "flask")
    yield process, port
    process.kill()
    process.wait(60)


def stored_by_flask(site: Site) -> list[tuple[str, float]]:
    with sqlite3.connect(site.directory / "ingest.db") as db:
        rows = db.execute(
            "SELECT data ->> 'sensor_name', data ->> 'timestamp' FROM r ORDER BY id"
        ).fetchall()
    db.close()
    return rows


def test_server_of_the_page_in_flask_stores_every_reading_once(
    site: Site, flask: tuple[subprocess.Popen[bytes], int], tell: Tell
) -> None:
    """As it stands there. The agent is killed amid a request, which comes again."""
    server, port = flask
    site.configure(CONFIG.format(endpoint=f"http://127.0.0.1:{port}/v1/ingest", more=""))
    agent = site.agent()
    until(lambda: len(stored_by_flask(site)) > 10, "readings at Flask")
    server.send_signal(signal.SIGSTOP)
    until(lambda: bytes_unread_at(port) > 300, "a request that nobody reads")
    agent.end(signal.SIGKILL)
    server.send_signal(signal.SIGCONT)
    agent = site.agent()
    count = len(stored_by_flask(site))
    until(lambda: len(stored_by_flask(site)) > count + 20, "more readings")
    stop_when_all_is_sent(site, agent)
    tell_journal(agent, tell)
    assert server.poll() is None
    readings = stored_by_flask(site)
    with CloudSyncQueue(site.queue) as queue:
        ledger = queue.ledger()
    assert ledger.closes
    assert ledger.queued == 0
    assert len(readings) == len(set(readings)) == ledger.delivered == ledger.enqueued
