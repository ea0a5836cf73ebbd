"""What the flusher does with a batch that draws server errors, or that is too much for the link."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.rig import BASE_S, CAP_S, INTERVAL_S, Rig
from fakes.server import (
    BROKEN,
    BUSY,
    DOWN,
    REFUSE,
    SUSPEND,
    Answer,
    FakeServer,
    name_items,
    poisoned_by,
    take,
)

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.frozen import MOST_ERRORS, MOST_TIMEOUTS
from edge_agent.types import Priority

TIMEOUT = Verdict(Action.LINK_DOWN, "timeout: no answer in time")


def slower_than(items: int) -> Answer:
    """A link on which larger requests find no answer in time."""
    return lambda server, batch: TIMEOUT if len(batch.rows) > items else take(server, batch)


def smaller_than(most_bytes: int) -> Answer:
    """A server that takes no larger body."""

    def judge(server: Any, batch: Batch) -> Verdict:
        if len(batch.body()) > most_bytes:
            return Verdict(Action.TOO_LARGE, "HTTP 413")
        return take(server, batch)

    return judge


def test_flusher_batch_that_draws_errors_goes_first_until_the_fifth(rig: Rig) -> None:
    """Then another is tried; that one taken, the first is sent in halves."""
    rig.server.usual = poisoned_by(3, action=Action.BROKEN)
    rig.put(*range(20), ttl_s=10**6)
    rig.run(5 * CAP_S)
    assert rig.server.sent[: MOST_ERRORS + 1] == [list(range(10))] * MOST_ERRORS + [
        list(range(10, 20))
    ]
    assert rig.server.sent[MOST_ERRORS + 1] == [0, 1, 2, 3, 4]
    assert set(rig.server.values) >= set(range(20)) - {3}


def test_flusher_item_that_draws_errors_alone_waits_and_is_never_condemned(rig: Rig) -> None:
    """Thawed, at the longest back-off, alone and in nobody's way; until its TTL ends."""
    rig.server.usual = poisoned_by("bad", action=Action.BROKEN)
    rig.put("bad", *range(9), ttl_s=40 * int(CAP_S))
    for number in range(10, 300, 10):
        rig.put(*range(number, number + 10), ttl_s=10**6)
        rig.run(INTERVAL_S)
    rig.run(5 * CAP_S)
    assert len(rig.server.taken) == 9 + 290
    assert (rig.dead(), rig.queue.pending_count()) == (0, 1)
    before = len(rig.server.requests)
    rig.put(*range(1000, 1100))
    rig.run(4 * CAP_S)
    companies = [values for values in rig.server.sent[before:] if "bad" in values]
    assert 2 <= len(companies) <= 5
    assert companies == [["bad"]] * len(companies)
    assert len(rig.server.taken) == 9 + 290 + 100
    assert rig.flusher.link.state == "up"
    rig.run(40 * CAP_S)
    assert rig.queue.ledger().expired == 1
    assert rig.queue.ledger().closes


def test_flusher_server_that_is_broken_for_hours_keeps_two_batches_and_all_rows(rig: Rig) -> None:
    """Both are tried in turn; when it is mended everything arrives, whatever was split."""
    rig.server.usual = BROKEN
    rig.put(*range(40), ttl_s=10**6)
    rig.run(20 * CAP_S)
    # Besides the two now and then a single item, which is not kept.
    assert {tuple(values) for values in rig.server.sent if len(values) > 1} == {
        tuple(range(10)),
        tuple(range(10, 20)),
    }
    assert len(rig.flusher._settlement.frozen.ids) == 20
    rig.server.usual = take
    rig.run_until_empty()
    assert sorted(rig.server.values) == list(range(40))
    assert rig.told.events == ["endpoint_held", "endpoint_ready"]


def test_flusher_batch_too_slow_for_the_link_is_halved_and_the_next_are_smaller(rig: Rig) -> None:
    """Sent and not answered in time, twice; without it a slow link would never pass anything."""
    rig.server.usual = slower_than(4)
    rig.put(*range(40))
    rig.run(12 * CAP_S)
    assert len(rig.server.taken) == 40
    assert rig.server.sent[:MOST_TIMEOUTS] == [list(range(10))] * MOST_TIMEOUTS
    assert rig.flusher.sizing.items < 10
    rig.server.usual = take
    for number in range(100, 400, 10):
        rig.put(*range(number, number + 10))
        rig.run(INTERVAL_S)
    assert rig.flusher.sizing.items == 10


def test_flusher_link_with_nobody_behind_it_splits_nothing(rig: Rig) -> None:
    """What never got out was not too much; the batch goes as it was when the link is back."""
    rig.server.usual = lambda _server, _batch: TIMEOUT
    rig.server.reached = False
    rig.put(*range(10))
    rig.run(10 * CAP_S)
    assert {tuple(values) for values in rig.server.sent} == {tuple(range(10))}
    assert rig.flusher.sizing.items == 10


def test_flusher_learns_what_a_server_takes_and_keeps_to_it(rig: Rig) -> None:
    """One refusal teaches it: from then on no body is larger."""
    rig.server.usual = smaller_than(250)
    rig.put(*range(100))
    rig.run_until_empty()
    assert sorted(rig.server.values) == list(range(100))
    refused = [batch for batch in rig.server.requests if len(batch.body()) > 250]
    assert len(refused) <= 3
    assert rig.server.requests[0] is refused[0]


def test_flusher_another_key_is_tried_at_once(rig: Rig) -> None:
    """Suspended, it looks whether the key's file has changed, and does not wait for the probe."""
    rig.server.usual = SUSPEND
    rig.put("x", priority=Priority.ANOMALY)
    rig.run()
    rig.server.usual = take
    rig.run(BASE_S)
    assert rig.server.values == []
    rig.server.another_key = True
    rig.run(20)
    assert rig.server.values == ["x"]


def test_flusher_witness_is_of_another_sensor(rig: Rig) -> None:
    """A sensor whose every reading is refused does not make the server look wrong."""
    rig.server.usual = lambda server, batch: (
        Verdict(Action.REFUSED, "HTTP 400")
        if any('"bad"' in row.payload for row in batch.rows)
        else take(server, batch)
    )
    rig.queue.enqueue_many(rig.readings("bad", *range(8)) + rig.readings("good", *range(8, 12)))
    rig.run(2 * CAP_S)
    assert rig.flusher.link.state == "up"
    assert sorted(rig.server.values) == [8, 9, 10, 11]
    rig.run(10 * CAP_S)
    assert rig.queue.ledger().closes
    assert "suspended" not in rig.told.events or rig.dead() < 8


@pytest.mark.fault(
    "poison",
    "an item at the server",
    how="one item of a batch is refused, wherever it stands",
    part="the flusher before a server without a network",
)
@pytest.mark.parametrize("action", [Action.REFUSED, Action.TOO_LARGE])
@pytest.mark.parametrize("size", [50, 64])
def test_flusher_poison_costs_few_requests_more(
    tmp_path_factory: Any, size: int, action: Action
) -> None:
    """At the most two for each halving, wherever it stands, and it alone is dead."""
    rig = Rig(tmp_path_factory.mktemp("poison"), FakeClock(), batch_size=size)
    halvings = math.log2(size) if action is Action.REFUSED else math.ceil(math.log2(size))
    with rig.queue:
        rig.put(-1)
        rig.run(INTERVAL_S)
        for number, place in enumerate([0, 1, size // 2, size // 2 - 1, size - 2, size - 1], 1):
            rig.server.requests.clear()
            rig.server.usual = poisoned_by(place, action=action)
            rig.put(*range(2 * size))
            rig.run()
            assert len(rig.server.requests) - 2 <= 2 * halvings
            assert (rig.dead(), rig.queue.pending_count()) == (number, 0)


def test_flusher_server_that_condemns_everything_for_an_hour_costs_nothing(rig: Rig) -> None:
    """Nothing is dead, and all arrives."""
    rig.put(*range(100, 110))
    rig.run(INTERVAL_S)
    rig.server.usual = REFUSE
    for number in range(0, 60, 5):
        rig.put(*range(number, number + 5))
        rig.run(300)
    rig.server.usual = take
    rig.run_until_empty()
    assert sorted(rig.server.values) == [*range(60), *range(100, 110)]
    assert rig.dead() == 0


def test_flusher_conflict_that_never_ends_does_not_stop_the_others(rig: Rig) -> None:
    """409 means later, with the same bytes: others go before it from the fifth time on."""
    rig.server.usual = poisoned_by(3, action=Action.IN_PROGRESS)
    rig.put(*range(30), ttl_s=10**6)
    rig.run(5 * CAP_S)
    assert rig.server.values == list(range(10, 30))
    rig.put(*range(30, 40))
    rig.run(CAP_S)
    assert rig.server.values == list(range(10, 40))
    stuck = {tuple(values) for values in rig.server.sent if 3 in values}
    assert stuck == {tuple(range(10))}
    rig.server.usual = take
    rig.run_until_empty()
    assert len(rig.server.taken) == 40


def refuse_item(number: int, then: Answer) -> Answer:
    """Refuses whatever one item is in; once that stood alone, another answer to everything."""

    def judge(server: FakeServer, batch: Batch) -> Verdict:
        if batch.ids == (number,):
            server.usual = then
        return REFUSE(server, batch) if number in batch.ids else take(server, batch)

    return judge


@pytest.mark.parametrize("then", [DOWN, BROKEN, SUSPEND])
def test_flusher_witness_that_fails_goes_again_and_no_other_is_frozen(
    rig: Rig, then: Answer
) -> None:
    """An outage comes between a refusal and its witness: each attempt carries the same item."""
    rig.server.usual = refuse_item(1, then)
    rig.put(*range(40), ttl_s=10**6)
    rig.run(6 * CAP_S)
    before = len(rig.flusher._settlement.frozen.ids)
    assert before <= 9 + 2
    rig.run(6 * CAP_S)
    assert len(rig.flusher._settlement.frozen.ids) == before
    rig.server.usual = poisoned_by(0)
    rig.run_until_empty()
    assert (len(rig.server.taken), rig.dead()) == (39, 1)


@pytest.mark.parametrize("then", [DOWN, BROKEN, SUSPEND])
def test_flusher_probe_of_a_server_at_fault_that_fails_goes_again(rig: Rig, then: Answer) -> None:
    """Everything refused, then an outage: no attempt freezes one more item."""
    rig.server.usual = REFUSE
    rig.put(*range(30), ttl_s=10**6)
    rig.run(INTERVAL_S)
    rig.server.usual = then
    rig.run(6 * CAP_S)
    assert len(rig.flusher._settlement.frozen.ids) <= 2
    rig.server.usual = take
    rig.run_until_empty()
    assert len(rig.server.taken) == 30


@pytest.mark.parametrize("fresh", [True, False])
def test_flusher_critical_item_that_draws_errors_stops_nothing_else(rig: Rig, fresh: bool) -> None:
    """It steps back like any other batch."""
    rig.server.usual = poisoned_by("bad", action=Action.BROKEN)
    rig.put("bad", priority=Priority.CRITICAL, ttl_s=10**6)
    rig.clock.advance(0 if fresh else 120)
    rig.put(*range(30), ttl_s=10**6)
    rig.run(3 * CAP_S)
    assert sorted(rig.server.values) == list(range(30))
    assert rig.queue.pending_count() == 1


def test_flusher_alarm_does_not_travel_with_an_item_that_draws_errors_alone(rig: Rig) -> None:
    """It would be put off for the longest back-off together with it."""
    rig.server.usual = poisoned_by("bad", action=Action.BROKEN)
    rig.put("bad", priority=Priority.CRITICAL, ttl_s=10**6)
    rig.put(*range(30), ttl_s=10**6)
    rig.run(3 * CAP_S)
    assert len(rig.server.taken) == 30
    rig.server.script.append(BUSY)
    rig.put("held", priority=Priority.ANOMALY)
    rig.run()
    rig.clock.advance(CAP_S)
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run()
    assert "fire" in rig.server.values


def test_flusher_suspect_is_not_its_own_witness(rig: Rig) -> None:
    """The link fails for long before another item could speak: nothing says the server is wrong."""
    rig.server.usual = refuse_item(1, DOWN)
    rig.put("bad", priority=Priority.CRITICAL, ttl_s=10**6)
    rig.put(*range(12), ttl_s=10**6)
    rig.run(4 * CAP_S)
    rig.server.usual = poisoned_by("bad")
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run_until_empty()
    assert "suspended" not in rig.told.events
    assert rig.dead() == 1


def test_flusher_two_items_that_draw_errors_stop_nothing_else(rig: Rig) -> None:
    """Each in a batch of its own, one after the other: a third shows that the server is well."""
    rig.server.usual = poisoned_by("a", "b", action=Action.BROKEN)
    rig.put("a", priority=Priority.CRITICAL, ttl_s=10**6)
    rig.put("b", priority=Priority.ANOMALY, ttl_s=10**6)
    rig.put(*range(30), ttl_s=10**6)
    rig.run(10 * CAP_S)
    assert sorted(rig.server.values) == list(range(30))
    assert rig.queue.pending_count() == 2


def test_flusher_batch_that_is_both_too_slow_and_suspected_is_halved_once(rig: Rig) -> None:
    """No row stands in two frozen batches, whatever its batch drew before."""
    slow = slower_than(0)
    rig.server.script.extend([BROKEN] * MOST_ERRORS + [slow])
    rig.server.usual = slow
    rig.put(*range(10), ttl_s=10**6)
    while len(rig.server.requests) <= MOST_ERRORS:
        rig.run(1)
    rig.server.script.append(name_items(retry=10))
    rig.put(*range(10, 20), ttl_s=10**6)
    while len(rig.server.requests) <= MOST_ERRORS + 2:
        rig.run(1)
    assert rig.server.sent[-2:] == [list(range(10, 20)), list(range(10))]
    held = [number for one in rig.flusher._settlement.frozen._held for number in one.batch.ids]
    assert sorted(held) == list(range(1, 11))
