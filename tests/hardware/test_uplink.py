"""The cable is pulled out, and put in again."""

from __future__ import annotations

import time

import pytest
from fakes.hardware import SENSORS, Table


@pytest.mark.fault(
    "network", "no route", how="the carrier of an emulated computer's uplink goes and returns"
)
def test_uplink_whose_carrier_returns_is_used_at_once(table: Table) -> None:
    """The kernel tells of the route; the back-off would have lasted hours."""
    table.receive()
    table.start(SENSORS, retry_delay="1h")
    table.wait_received("air.temperature", 5)
    table.guest.set_carrier(up=False)
    table.agent.wait_for("link_down")
    table.wait_queued(60)
    table.guest.set_carrier(up=True)
    began_s = time.monotonic()
    # (That a reading arrives would show nothing: what TCP has left of an old request comes first.)
    table.agent.wait_for("link_up")
    table.tell(f"the link is up {time.monotonic() - began_s:.1f} s after the cable was put in")
    table.close()
