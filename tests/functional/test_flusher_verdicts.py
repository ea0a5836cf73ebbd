"""The flusher: what a verdict on items means for them, and that nothing of it is forgotten."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.rig import CAP_S, INTERVAL_S, Rig
from fakes.server import (
    BUSY,
    DOWN,
    REFUSE,
    SUSPEND,
    Answer,
    babble,
    lose_answer,
    name_items,
    poisoned_by,
    take,
)

from edge_agent.cloud_sync.verdict import Action
from edge_agent.daemon.link import SUSPENDED, UP
from edge_agent.types import Priority

# -- items on their own --------------------------------------------------------------------------


def test_flusher_items_named_in_a_success_go_their_own_ways(rig: Rig) -> None:
    """Rejected: dead; to be retried: later, on their own; the rest: delivered."""
    rig.server.script.append(name_items(rejected=2, retry=3))
    rig.put(*range(10))
    rig.run()
    assert rig.server.values == [5, 6, 7, 8, 9]
    assert rig.dead() == 2
    assert rig.queue.backed_off() == 3
    rig.run(CAP_S + INTERVAL_S)
    assert rig.server.sent[1] == [2, 3, 4]
    assert rig.told.events == ["dead_letter", "dead_letter"]


def test_flusher_answer_that_takes_some_and_rejects_many_is_believed(rig: Rig) -> None:
    """What it took is the witness for all that it did not."""
    rig.server.script.append(name_items(rejected=9))
    rig.put(*range(10))
    rig.run()
    assert (rig.dead(), rig.flusher.link.state) == (9, UP)


def test_flusher_ids_that_were_never_sent_are_ignored_and_told_of_once(rig: Rig) -> None:
    """Everything is delivered; a server that says so each time does not fill the journal."""
    rig.server.usual = lambda server, batch: dataclasses.replace(take(server, batch), strange=3)
    rig.put(*range(25))
    rig.run_until_empty()
    assert rig.server.values == list(range(25))
    assert [line.partition(" do=")[0] for line in rig.told.about("unknown_ids")] == [
        "unknown_ids entries=3"
    ]


def test_flusher_answers_that_reject_everything_suspend_and_lose_nothing(rig: Rig) -> None:
    """200 with every item rejected, again and again: said once, all kept."""
    rig.server.usual = name_items(rejected=10)
    rig.put(*range(10))
    rig.run(8 * CAP_S)
    assert rig.dead() == 0
    assert rig.told.events == ["suspended"]
    rig.server.usual = take
    rig.run(4 * CAP_S)
    assert sorted(rig.server.values) == list(range(10))


@pytest.mark.parametrize("action", [Action.REFUSED, Action.TOO_LARGE])
def test_flusher_splits_to_the_poison_item(rig: Rig, action: Action) -> None:
    """It alone is dead-lettered, the others are delivered."""
    rig.server.usual = poisoned_by(6, action=action)
    rig.put(*range(10))
    rig.run()
    assert sorted(rig.server.values) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert rig.dead() == 1
    assert "reason='HTTP" not in rig.told.about("dead_letter")[0]
    assert rig.queue.pending_count() == 0


def test_flusher_poison_item_at_the_head_waits_for_a_witness(rig: Rig) -> None:
    """Another item is tried at once; that it is accepted speaks against the first."""
    rig.server.usual = poisoned_by(0)
    rig.put(*range(10))
    rig.run()
    assert sorted(rig.server.values) == list(range(1, 10))
    assert (rig.dead(), rig.queue.pending_count()) == (1, 0)
    assert rig.told.events == ["dead_letter"]


def test_flusher_refused_item_without_others_suspends(rig: Rig) -> None:
    """No witness can be had."""
    rig.server.usual = REFUSE
    rig.put("alone", priority=Priority.ANOMALY)
    rig.run()
    assert rig.flusher.link.state == SUSPENDED
    rig.run(10 * CAP_S)
    assert (rig.dead(), rig.queue.pending_count()) == (0, 1)


def test_flusher_probe_after_a_refusal_carries_others_first(rig: Rig) -> None:
    """What was refused without a witness stands behind all that came in the meantime."""
    rig.server.usual = poisoned_by("bad")
    rig.put("bad", priority=Priority.ANOMALY)
    rig.run(CAP_S / 2)
    rig.put("good", priority=Priority.ANOMALY)
    rig.run(CAP_S / 2 + 1)
    assert (rig.server.values, rig.flusher.link.state) == (["good"], UP)
    assert rig.told.events == ["suspended", "resumed"]
    rig.run(CAP_S)
    assert rig.dead() == 1


def test_flusher_server_that_refuses_everything_loses_nothing(rig: Rig) -> None:
    """A bad deployment: one line for it, and all is sent once it is mended."""
    rig.server.usual = REFUSE
    rig.put(*range(30))
    rig.run(12 * CAP_S)
    assert rig.dead() == 0
    assert rig.told.events == ["suspended"]
    rig.server.usual = take
    rig.run(5 * CAP_S)
    assert sorted(rig.server.values) == list(range(30))
    assert rig.told.events == ["suspended", "resumed"]


def test_flusher_server_that_turns_bad_gets_back_what_it_condemned(rig: Rig) -> None:
    """Four go; before the fifth another must be accepted, and is not: all are queued again."""
    rig.put(*range(10))
    rig.run()
    rig.server.usual = REFUSE
    rig.put(*range(10, 60))
    rig.run(10 * CAP_S)
    assert rig.told.events == ["dead_letter"] * 4 + ["dead_letters_restored", "suspended"]
    assert (rig.dead(), rig.queue.pending_count()) == (0, 50)
    assert rig.flusher.link.state == SUSPENDED
    # While it is suspended a probe is a single item, and each time another one.
    probes = rig.server.sent[-4:]
    assert [len(values) for values in probes] == [1] * 4
    assert len({value for (value,) in probes}) == 4
    rig.server.usual = take
    rig.run(3 * CAP_S)
    assert sorted(rig.server.values) == list(range(60))


def test_flusher_answer_not_believed_is_halved_and_no_witness(rig: Rig) -> None:
    """A single item counts as delivered, yet it proves nothing; told of once."""
    rig.server.usual = babble
    rig.put(*range(10))
    rig.run()
    assert (len(rig.server.taken), rig.queue.ledger().delivered) == (10, 10)
    assert rig.told.events == ["answer_not_believed"]
    rig.server.usual = REFUSE
    rig.put("bad", priority=Priority.ANOMALY)
    rig.run()
    assert rig.dead() == 0


# -- the store ------------------------------------------------------------------------------------


def test_flusher_ack_that_cannot_be_written_is_owed_and_nothing_is_sent_meanwhile(
    rig: Rig,
) -> None:
    """Delivered rows are not sent again and again while the card is read-only."""
    broken = rig.break_queue("ack_sent", "nack", "nack_sent", "dead_letter")
    rig.put(*range(30))
    rig.run(600)
    assert rig.server.sent == [list(range(10))]
    assert rig.told.events == ["store_degraded"]
    assert broken.refusals == 121
    broken.methods = ()
    rig.run(10)
    assert rig.told.events == ["store_degraded", "store_recovered"]
    assert rig.server.values == list(range(30))
    assert rig.server.duplicates == 0
    assert rig.queue.ledger().delivered == 30


@pytest.mark.parametrize("verdict", [DOWN, BUSY, SUSPEND, REFUSE, name_items(rejected=2, retry=3)])
def test_flusher_verdict_that_cannot_be_written_is_not_forgotten(rig: Rig, verdict: Answer) -> None:
    """Whatever it was, all arrive or are dead once the file can be written."""
    broken = rig.break_queue("ack_sent", "nack", "nack_sent", "dead_letter")
    rig.server.script.append(verdict)
    rig.put(*range(10))
    rig.run(60)
    broken.methods = ()
    rig.run(10 * CAP_S)
    books = rig.queue.ledger()
    assert books.delivered + books.dead == 10
    assert len(rig.server.taken) == books.delivered


def test_flusher_drain_does_not_spin_on_a_broken_store(rig: Rig) -> None:
    """The clock stands still: only the failure can end it."""
    broken = rig.break_queue("next_batch")
    rig.put(*range(10))
    rig.flusher.drain(rig.clock.monotonic() + 5)
    assert broken.refusals == 1


def test_flusher_failing_upkeep_does_not_keep_batches_from_being_sent(rig: Rig) -> None:
    """Expiry can come later."""
    rig.break_queue("upkeep")
    rig.put(*range(10))
    rig.run(30)
    assert len(rig.server.taken) == 10


# -- upkeep and reload ----------------------------------------------------------------------------


def test_flusher_expiry_is_told_in_summaries(rig: Rig) -> None:
    """A reading a minute expires for an hour: one line in five minutes, not sixty."""
    rig.server.usual = DOWN
    for number in range(60):
        rig.put(number, ttl_s=30)
        rig.run(60)
    rig.run(400)
    lines = rig.told.about("expired")
    assert 10 <= len(lines) <= 13
    counted = sum(int(line.split("items=")[1].split()[0]) for line in lines)
    assert counted == rig.queue.ledger().expired >= 59


def test_flusher_upkeep_goes_on_while_suspended(rig: Rig) -> None:
    """Nobody wakes it, and what expires must leave within a minute; what is frozen stays."""
    rig.server.usual = SUSPEND
    rig.put(*range(10), ttl_s=100)
    rig.run(60)
    rig.put(*range(10, 20), ttl_s=100)
    rig.run(160)
    assert rig.queue.pending_count() == 10
    assert rig.queue.ledger().expired == 10


def test_flusher_inherits_what_is_frozen(rig: Rig) -> None:
    """A reload sends the same bytes, at once, and counts on."""
    rig.put(*range(10))
    rig.run()
    rig.server.script.append(lose_answer)
    rig.put(*range(10, 20))
    rig.run()
    former, rig.flusher = rig.flusher, rig.new_flusher(rig.server)
    rig.flusher.inherit(former)
    rig.put(*range(20, 30))
    rig.run()
    assert rig.server.requests[1].body() == rig.server.requests[2].body()
    assert rig.flusher.delivered_total == 30
    assert rig.server.values == list(range(30))


@pytest.mark.parametrize("values", [["only"], ["only", "other"]])
def test_flusher_reload_tries_at_once_what_everything_was_refused_of(
    rig: Rig, values: list[str]
) -> None:
    """The endpoint may be another: nothing that was put off waits for the former one's sake."""
    rig.server.usual = REFUSE
    rig.put(*values, priority=Priority.ANOMALY)
    rig.run(INTERVAL_S)
    rig.server.usual = take
    former, rig.flusher = rig.flusher, rig.new_flusher(rig.server)
    rig.flusher.inherit(former)
    rig.run()
    assert rig.server.values == values


def test_flusher_another_key_tries_at_once_what_was_refused(rig: Rig) -> None:
    """A server may answer 400 to a key it does not know."""
    rig.server.usual = REFUSE
    rig.put("only", priority=Priority.ANOMALY)
    rig.run(INTERVAL_S)
    rig.server.usual = take
    rig.server.another_key = True
    rig.run(20)
    assert rig.server.values == ["only"]


def condemn_three(rig: Rig) -> None:
    """A server that took one item, and now refuses everything, has condemned three."""
    rig.put("good", priority=Priority.ANOMALY)
    rig.run()
    rig.server.usual = REFUSE
    for number in range(3):
        rig.put(number, priority=Priority.ANOMALY)
        rig.run(INTERVAL_S)
    assert rig.dead() == 3


def test_flusher_reloaded_amid_condemnations_brings_all_of_them_back(rig: Rig) -> None:
    """Three before and the fourth after: the server refuses everything, and none was at fault."""
    condemn_three(rig)
    former, rig.flusher = rig.flusher, rig.new_flusher(rig.server)
    rig.flusher.inherit(former)
    rig.put(3, priority=Priority.ANOMALY)
    rig.run(INTERVAL_S)
    assert rig.dead() == 0
    rig.server.usual = take
    rig.run_until_empty()
    assert sorted(rig.server.values, key=str) == [0, 1, 2, 3, "good"]


def test_flusher_restarted_amid_condemnations_brings_all_of_them_back(rig: Rig) -> None:
    """What was condemned in a row is in the file: a restart is no way out for the server."""
    condemn_three(rig)
    rig.flusher = rig.new_flusher(rig.server)
    rig.put(3, 4, priority=Priority.ANOMALY)
    rig.run(INTERVAL_S)
    assert rig.dead() == 0
    rig.server.usual = take
    rig.run_until_empty()
    assert sorted(rig.server.values, key=str) == [0, 1, 2, 3, 4, "good"]


def test_flusher_condemned_before_the_clock_was_corrected_comes_back_at_its_time(
    tmp_path: Path,
) -> None:
    """A step that has still to move the rows does not move twice what was restored."""
    rig = Rig(tmp_path, FakeClock(synchronized=False))
    with rig.queue:
        rig.put("good", priority=Priority.ANOMALY)
        rig.run()
        rig.put("bad", priority=Priority.ANOMALY)
        rig.clock.step(86_400.0)
        (item,) = rig.queue.dequeue()
        rig.queue.dead_letter([item.id], "HTTP 400")
        rig.queue.restore([item.id])
        while rig.queue.upkeep() or rig.queue.restless():
            pass
        assert [again.created_at for again in rig.queue.dequeue()] == [item.created_at]
