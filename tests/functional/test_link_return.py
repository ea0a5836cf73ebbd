"""A link that returns, on machines of their own: the kernel announces it, and it is used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from fakes.netns import GATEWAY, SERVER, Cable, connects_tried, two_machines
from fakes.processes import Process, Site, received, until

URL = f"http://{SERVER}:8089/v1/ingest"
CONFIG = f"""
upload:
  endpoint: {URL}
  auth: none
  allow_insecure_http: true
  interval: 200ms
  timeout: 5s
  # What comes sooner came by the announcement.
  retry_delay: 1h
  max_retry_delay: 1h
sensors:
  - {{name: probe, type: simulated, interval: 100ms, seed: 1}}
"""
#: Full jitter may draw next to nothing, which would prove nothing.
LEAST_HOLD_S = 300


class Scene:
    """An agent on one machine, a server on another, and a cable."""

    def __init__(self, site: Site, cable: Cable, tell: Callable[[str], None]) -> None:
        self.site, self.cable, self.tell = site, cable, tell

    def receiver(self) -> None:
        self.site.within = self.cable.server.within
        self.site.receiver(f"{SERVER}:8089")

    def agent(self) -> Process:
        """An agent whose link is down, and stays so for long as far as it knows."""
        self.site.configure(CONFIG)
        self.site.within = self.cable.agent.within
        while True:
            agent = self.site.agent()
            told = agent.wait_for("link_down reason=")
            if int(told.split("next_try_s=")[1].split()[0]) > LEAST_HOLD_S:
                return agent
            agent.end()

    def delivery_after(self, what: str, act: Callable[[], None]) -> None:
        """Do it, wait for the first delivery, and print how long that took."""
        assert received(self.site) == []
        begun = time.monotonic()
        act()
        until(lambda: received(self.site), "the first delivery")
        self.tell(f"from {what} to the first delivery: {time.monotonic() - begun:.1f} s")


@pytest.fixture
def scene(site: Site, tell: Callable[[str], None]) -> Iterator[Scene]:
    with two_machines() as cable:
        yield Scene(site, cable, tell)


@pytest.mark.fault(
    "network", "no route", how="a network namespace without a route, which then gets one"
)
@pytest.mark.parametrize("route", [f"default via {GATEWAY}", f"{SERVER} dev eth0"])
def test_route_that_appears_ends_the_back_off(scene: Scene, route: str) -> None:
    """Also one to the server's network alone, without a gateway."""
    scene.receiver()
    agent = scene.agent()
    assert "no_route" in (agent.said("link_down") or "")
    scene.delivery_after(f"route {route}", lambda: scene.cable.agent.ip(f"route add {route}"))
    agent.wait_for("link_up")
    assert agent.end() == 0


@pytest.mark.fault(
    "network", "no route", how="an interface that is down, and then set up with a route"
)
def test_interface_that_is_set_up_ends_the_back_off(scene: Scene) -> None:
    """Carrier first, then a route, as a DHCP client brings it."""
    scene.receiver()
    scene.cable.agent.ip("link set eth0 down")
    agent = scene.agent()

    def set_up() -> None:
        scene.cable.agent.ip("link set eth0 up")
        scene.cable.agent.ip(f"route add default via {GATEWAY}")

    scene.delivery_after("the interface", set_up)
    assert agent.end() == 0


@pytest.mark.fault(
    "network", "no route", how="a cable without a carrier under a static route, and its return"
)
def test_cable_put_back_under_a_static_route_ends_the_back_off(scene: Scene) -> None:
    """No route changes; the carrier alone tells."""
    scene.receiver()
    scene.cable.agent.ip(f"route add default via {GATEWAY}")
    scene.cable.pull()
    agent = scene.agent()
    scene.delivery_after("the cable", scene.cable.put)
    assert agent.end() == 0


@pytest.mark.fault(
    "network",
    "flapping every few seconds",
    how="a cable pulled and put back every three seconds; nobody listens",
)
def test_link_that_flaps_is_tried_once_in_five_seconds(scene: Scene) -> None:
    """The cable is pulled and put back every three seconds; nothing listens at the server."""
    scene.cable.agent.ip(f"route add default via {GATEWAY}")
    agent = scene.agent()
    before, begun = connects_tried(agent.pid), time.monotonic()
    for _ in range(6):
        scene.cable.pull()
        time.sleep(1.5)
        scene.cable.put()
        time.sleep(1.5)
    tries, took_s = connects_tried(agent.pid) - before, time.monotonic() - begun
    scene.tell(f"flapping for {took_s:.0f} s: {tries} tries")
    # The second try of the first announcement is one that later ones wait for.
    assert 2 <= tries <= 2 + took_s / 5
    assert agent.end() == 0
