"""`pyvorin-agent flush`: what it tells of an agent that can send, cannot, or is not there."""

from __future__ import annotations

import json
import signal
import subprocess

from fakes.processes import Site, command, received, until
from fakes.published import facts_in

QUIET = "sensors: [{name: probe, type: simulated, interval: 1h}]"


def flushed(site: Site, *words: str, code: int = 0) -> str:
    """What the command said."""
    env = {"RUNTIME_DIRECTORY": str(site.directory)}
    ended = command("flush", "--config", site.config, *words, env=env)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout if code == 0 else ended.stderr


def test_flush_sends_what_would_wait_for_company(site: Site) -> None:
    """A single reading, and an interval of a day; then there is nothing more."""
    _, url = site.receiver()
    site.configure(f"upload: {{endpoint: {url}, interval: 1d}}\n{QUIET}")
    site.agent()
    until(lambda: site.status()["health"]["depth"], "the reading in the queue")
    assert received(site) == []
    assert flushed(site).startswith("1 reading delivered, ")
    assert [name for name, _ in received(site)] == ["probe"]
    assert flushed(site) == "nothing was waiting\n"
    facts = facts_in(flushed(site, "--json"), "flush")
    assert (facts["delivered"], facts["waiting"]) == (0, 0)


def test_flush_without_a_link_says_why_and_when_it_is_tried_again(site: Site) -> None:
    """Each time it is tried anew, however long the hold; the reading stays."""
    receiver, url = site.receiver()
    assert receiver.end() == 0
    site.configure(f"upload: {{endpoint: {url}, interval: 1d, retry_delay: 15min}}\n{QUIET}")
    site.agent()
    until(lambda: site.status()["health"]["depth"], "the reading in the queue")
    for _ in range(2):
        before = site.status()["attempts_total"]
        said = flushed(site, code=1)
        assert "nothing was delivered: link down, refused" in said
        assert "; next try in " in said
        assert site.status()["attempts_total"] > before
    assert site.status()["health"]["depth"] == 1


def test_flush_of_an_agent_that_sends_nothing_or_hangs_says_so(site: Site) -> None:
    """Without an endpoint at once, else when the time is over."""
    site.configure(QUIET)
    agent = site.agent()
    assert "has no upload.endpoint" in flushed(site, code=1)
    assert agent.end() == 0
    site.configure(f"upload: {{endpoint: 'http://127.0.0.1:9/'}}\n{QUIET}")
    agent = site.agent()
    agent.send(signal.SIGSTOP)
    assert "the agent has not answered within 1 s" in flushed(site, "--wait", "1", code=1)


def test_flush_without_an_agent_signals_nobody(site: Site) -> None:
    """An agent that was killed leaves its status, and its number may be another's by now."""
    site.configure(QUIET)
    agent = site.agent()
    agent.end(signal.SIGKILL)
    assert "no agent runs that could send; start it" in flushed(site, code=1)
    with subprocess.Popen(["sleep", "600"]) as other:
        status = site.status() | {"pid": other.pid}
        (site.directory / "status.json").write_text(json.dumps(status))
        assert "no agent runs that could send; start it" in flushed(site, code=1)
        assert other.poll() is None
        other.kill()
