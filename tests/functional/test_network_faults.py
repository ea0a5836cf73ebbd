"""Every way in which a network fails, on machines of their own: no reading is late or lost.

How long things take is measured and told, and nothing is asserted of it.
``HYPOTHESIS_PROFILE=long`` flaps for two minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.books import Schedule, check_every_reading_arrived_once
from fakes.nameserver import ANSWERS, FAILS, SILENT, NameServer
from fakes.netns import GATEWAY, SERVER, Cable, two_machines
from fakes.processes import Process, Site, received, until

from edge_agent.cloud_sync import CloudSyncQueue

NAME_SERVERS = ("198.51.100.51", "198.51.100.52", "198.51.100.53")
#: Each domain is another name to be looked up, for another 19 s where nobody answers.
RESOLV_CONF = "".join(f"nameserver {ip}\n" for ip in NAME_SERVERS) + "search a.test b.test c.test\n"
#: Nobody listens at their port.
REFUSED = "refused"
INTERVAL_S = 0.1
CONFIG = """
upload:
  endpoint: http://ingest.test:8089/v1/ingest
  auth: none
  allow_insecure_http: true
  interval: 200ms
  timeout: {timeout}
  connect_timeout: {connect_timeout}
  retry_delay: {retry_delay}
  max_retry_delay: {retry_delay}
sensors:
  - {{name: probe, type: simulated, interval: 100ms, seed: 1}}
"""
BRISK = {"timeout": "3s", "connect_timeout": "2s", "retry_delay": "1s"}
#: How long a fault lasts after the agent has noticed it, and how long the link flaps.
LASTS_S = 2.0
FLAPS_S = 120.0 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 24.0
#: The link is up, then down, for so long.
FLAP_S = 3.0


class Scene:
    """An agent and a receiver it knows by name, three name servers, and a cable."""

    def __init__(
        self, site: Site, cable: Cable, names: NameServer, tell: Callable[[str], None]
    ) -> None:
        self.site, self.cable, self.names, self.tell = site, cable, names, tell
        site.within = cable.server.within
        site.receiver(f"{SERVER}:8089")
        site.within = cable.agent.within

    def agent(self, **settings: str) -> Process:
        self.site.configure(CONFIG.format(**BRISK | settings))
        return self.site.agent()

    def deliveries(self) -> int:
        return len(received(self.site))

    def delivery_after(self, what: str, act: Callable[[], None]) -> None:
        """Do it, wait for the first delivery, and tell how long that took."""
        before = self.deliveries()
        begun = time.monotonic()
        act()
        until(lambda: self.deliveries() > before, "the first delivery")
        self.tell(f"from {what} to the first delivery: {time.monotonic() - begun:.1f} s")

    def close_books(self, agent: Process) -> None:
        """Stop; every reading was taken in its time, and arrived once."""
        # A link that is down is not waited for at the end.
        until(lambda: self.site.status()["health"]["link"] == "up", "the link's return")
        assert agent.end() == 0
        assert not agent.said("watchdog")
        readings = received(self.site)
        check_every_reading_arrived_once(self.site, readings)
        schedule = Schedule([when for name, when in readings if name == "probe"], INTERVAL_S)
        self.tell(str(schedule))
        # A poller that waits for a network that is away misses most of them; on a machine that has
        # no time for any of us some are missed, and counted.
        assert schedule.missed <= self.site.status()["overruns_total"]
        assert schedule.missed < len(schedule.errors_ms) / 10


@pytest.fixture
def scene(site: Site, tell: Callable[[str], None]) -> Iterator[Scene]:
    with two_machines() as cable, cable.agent.resolving(RESOLV_CONF):
        for address in NAME_SERVERS:
            cable.server.ip(f"addr add {address}/32 dev lo")
        cable.agent.ip(f"route add default via {GATEWAY}")
        names = NameServer(NAME_SERVERS, SERVER, cable.server.within)
        yield Scene(site, cable, names, tell)
        names.close()


@pytest.mark.fault(
    "network",
    "black hole",
    "refused",
    "reset mid-answer",
    how="nft drops, rejects or resets on the server's machine, amid deliveries",
)
@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("drop", "timeout"),
        ("reject", ""),
        ("tcp dport 8089 reject with tcp reset", ""),
    ],
    ids=["black hole", "reject", "reset"],
)
def test_server_behind_a_rule_costs_no_reading(scene: Scene, rule: str, reason: str) -> None:
    """The rule comes in the middle of deliveries, and no kernel announces that it goes."""
    agent = scene.agent()
    until(lambda: scene.deliveries() > 10, "the first readings")
    scene.cable.server.refuse(rule)
    assert reason in agent.wait_for("link_down reason=")
    time.sleep(LASTS_S)
    scene.delivery_after(f"the end of {rule!r}", scene.cable.server.refuse)
    scene.close_books(agent)


@pytest.mark.fault(
    "network", "DNS dead", "DNS hanging", how="three name servers refuse, fail or are silent"
)
@pytest.mark.parametrize("fault", [REFUSED, FAILS, SILENT])
def test_name_that_cannot_be_looked_up_costs_no_reading(scene: Scene, fault: str) -> None:
    """A request ends in its time, though the system's look-up takes over a minute where all are
    silent; and look-ups do not pile up.
    """
    if fault == REFUSED:
        scene.cable.server.refuse("udp dport 53 reject")
    else:
        scene.names.be(fault)
    begun = time.monotonic()
    agent = scene.agent()
    assert "dns" in agent.wait_for("link_down reason=")
    scene.tell(f"link_down {time.monotonic() - begun:.1f} s after the start")
    threads = []
    for _ in range(40):
        threads.append(len(list(Path(f"/proc/{agent.pid}/task").iterdir())))
        time.sleep(0.1)
    assert max(threads) - min(threads) <= 1

    def answer() -> None:
        scene.cable.server.refuse()
        scene.names.be(ANSWERS)

    scene.delivery_after(f"the end of name servers that were {fault}", answer)
    scene.close_books(agent)


@pytest.mark.fault(
    "network", "DNS hanging", how="three name servers are silent, and the agent is stopped"
)
def test_stop_amid_a_look_up_that_hangs_abandons_it_and_keeps_every_reading(scene: Scene) -> None:
    """With the time-outs as they are shipped."""
    scene.names.be(SILENT)
    agent = scene.agent(timeout="30s", connect_timeout="15s")
    scene.names.wait_until_asked()
    begun = time.monotonic()
    assert agent.end() == 0
    scene.tell(f"stopped after {time.monotonic() - begun:.1f} s")
    assert agent.said("request=abandoned")
    with CloudSyncQueue(scene.site.queue) as queue:
        ledger = queue.ledger()
    assert ledger.closes
    assert ledger.queued == ledger.enqueued == scene.site.status()["read_total"] > 0


@pytest.mark.fault(
    "network",
    "no route",
    how="a cable between network namespaces is pulled, and put back within a back-off of an hour",
)
def test_cable_put_back_ends_the_back_off_of_a_server_known_by_name(scene: Scene) -> None:
    """The name is looked up on a link that is just there, long before the back-off's end."""
    agent = scene.agent(retry_delay="1h")
    until(lambda: scene.deliveries() > 10, "the first readings")
    scene.cable.pull()
    scene.tell(agent.wait_for("link_down reason="))
    time.sleep(LASTS_S)
    scene.delivery_after("the cable", scene.cable.put)
    scene.close_books(agent)


@pytest.mark.fault(
    "network",
    "flapping every few seconds",
    how="a cable between network namespaces, pulled and put back every three seconds",
)
def test_link_that_flaps_costs_no_reading(scene: Scene) -> None:
    """Up and down every three seconds; in the end it stays."""
    agent = scene.agent()
    until(lambda: scene.deliveries() > 10, "the first readings")
    end, came = time.monotonic() + FLAPS_S, 0
    while time.monotonic() < end:
        scene.cable.pull()
        time.sleep(FLAP_S)
        before = scene.deliveries()
        scene.cable.put()
        time.sleep(FLAP_S)
        came += scene.deliveries() > before
    scene.tell(f"flapping for {FLAPS_S:.0f} s: deliveries in {came} of {FLAPS_S / 2 / FLAP_S:.0f}")
    scene.cable.pull()
    time.sleep(FLAP_S)
    scene.delivery_after("the last return", scene.cable.put)
    scene.close_books(agent)
