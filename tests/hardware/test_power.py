"""Off in order, and off by the plug."""

from __future__ import annotations

from fakes.hardware import SENSORS, Table


def test_power_reboot_comes_back_by_itself_and_goes_on(table: Table) -> None:
    """With its sensors, its queue and its link; nothing lost, nothing twice."""
    table.receive()
    table.start(SENSORS)
    table.wait_received("air.temperature", 5)
    table.guest.reboot()
    arrived = len(table.received("air.temperature"))
    table.agent.wait_for("previous_run ended=stopped")
    table.wait_received("air.temperature", arrived + 5)
    table.close()


def test_power_cut_loses_nothing_that_was_committed(table: Table) -> None:
    """What the status said was in the queue is there after it; the ledger closes."""
    table.receive().end()
    table.start(SENSORS)
    table.wait_queued(60)
    before = table.depth()
    table.guest.cut_power()
    table.guest.switch_on()
    print(table.agent.wait_for("previous_run ended=power_cut"))
    assert table.depth() >= before
    table.receive()
    table.wait_received("air.temperature", 20)
    assert table.close() >= before
