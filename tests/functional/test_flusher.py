"""The flusher: batches, verdicts and what follows from them, on a clock that stands still."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock
from fakes.rig import BASE_S, CAP_S, INTERVAL_S, Broken, Rig
from fakes.server import (
    BUSY,
    DOWN,
    SUSPEND,
    Answer,
    FakeServer,
    answer,
    lose_answer,
    take,
)

from edge_agent.cloud_sync import correction, which
from edge_agent.cloud_sync.verdict import Action
from edge_agent.daemon.link import HELD, UP
from edge_agent.types import Priority

# -- batching ------------------------------------------------------------------------------------


def test_flusher_partial_batch_waits_for_the_interval_and_no_longer(rig: Rig) -> None:
    """Measured from the oldest reading in it."""
    rig.put(1)
    rig.run(20)
    rig.put(2)
    rig.run(INTERVAL_S - 20.001)
    assert rig.server.sent == []
    rig.run(0.001)
    assert rig.server.sent == [[1, 2]]


def test_flusher_full_batches_go_at_once_and_the_rest_waits(rig: Rig) -> None:
    """``batch_size`` items a request, in the order of enqueueing."""
    rig.put(*range(25))
    rig.run(INTERVAL_S - 1)
    assert rig.server.sent == [list(range(10)), list(range(10, 20))]
    rig.run(1)
    assert rig.server.values == list(range(25))


@pytest.mark.parametrize("priority", [Priority.CRITICAL, Priority.ANOMALY])
def test_flusher_urgent_reading_goes_at_once(rig: Rig, priority: Priority) -> None:
    """It never waits for company."""
    rig.put("urgent", priority=priority)
    rig.run()
    assert rig.server.values == ["urgent"]


def test_flusher_flush_now_sends_what_waits_and_forgets_the_hold(rig: Rig) -> None:
    """A person asked."""
    rig.server.script.extend([answer(Action.HELD, 3600.0)])
    rig.put("urgent", priority=Priority.ANOMALY)
    rig.put(1)
    rig.run()
    assert rig.flusher.link.state == HELD
    rig.flusher.flush_now()
    rig.run()
    assert rig.server.values == ["urgent", 1]


def test_flusher_without_uploader_keeps_everything(rig: Rig) -> None:
    """Store only: upkeep goes on, nothing leaves, `drain` has nothing to do."""
    rig.flusher = rig.new_flusher(None)
    rig.put(1, 2)
    rig.run(3600)
    rig.flusher.drain(rig.clock.monotonic() + 5)
    assert rig.queue.pending_count() == 2


def test_flusher_drain_sends_partial_batches_until_the_queue_is_empty(rig: Rig) -> None:
    """All goes well: everything is sent before the stop."""
    rig.put(*range(23))
    rig.flusher.drain(rig.clock.monotonic() + 5)
    assert rig.server.values == list(range(23))


def test_flusher_drain_begins_no_batch_after_the_deadline(rig: Rig) -> None:
    """Each request takes two seconds; five are given."""

    def slow(server: FakeServer, batch: Any) -> Any:
        rig.clock.advance(2)
        return take(server, batch)

    rig.server.usual = slow
    rig.put(*range(100))
    rig.flusher.drain(rig.clock.monotonic() + 5)
    assert len(rig.server.requests) == 3


@pytest.mark.parametrize("verdict", [DOWN, BUSY, SUSPEND])
def test_flusher_drain_ends_with_the_first_failure(rig: Rig, verdict: Answer) -> None:
    """A stop does not wait for a link that is down."""
    rig.server.usual = verdict
    rig.put(*range(100))
    rig.flusher.drain(rig.clock.monotonic() + 5)
    assert len(rig.server.requests) == 1


# -- holds ---------------------------------------------------------------------------------------


def test_flusher_failed_batch_goes_first_with_the_same_bytes(rig: Rig) -> None:
    """What came meanwhile goes after it, however full the batch could have been made."""
    rig.server.script.append(lose_answer)
    rig.put("urgent", priority=Priority.ANOMALY)
    rig.run()
    rig.put(*range(20))
    rig.put("later", priority=Priority.ANOMALY)
    rig.run(BASE_S)
    first, again, *_ = rig.server.requests
    assert first.body() == again.body()
    assert rig.server.sent[2][0] == "later"
    assert rig.server.duplicates == 1
    assert len(rig.server.taken) == 22


def test_flusher_frozen_batch_goes_without_the_rows_that_a_person_took(
    rig: Rig, tmp_path: Path
) -> None:
    """Purged or exported, they are not sent; what is left goes first, under another key."""
    rig.server.script.extend([DOWN, DOWN])
    rig.put("a", "b", "c", priority=Priority.ANOMALY)
    rig.run()
    rig.queue.purge(which.matching("value", "b"))
    rig.put("later", priority=Priority.ANOMALY)
    rig.run(BASE_S)
    assert rig.server.sent == [["a", "b", "c"], ["a", "c"]]
    rig.queue.export(tmp_path / "out", move=True)
    rig.run(CAP_S)
    assert rig.server.sent == [["a", "b", "c"], ["a", "c"]]
    assert rig.queue.ledger().closes
    assert rig.flusher.link.state != UP


def test_flusher_failed_rows_are_nacked_for_the_time_of_the_hold(rig: Rig) -> None:
    """``retry_count`` goes up and the rows are not eligible before the link is."""
    rig.server.usual = DOWN
    rig.put(*range(10))
    rig.run()
    assert rig.queue.backed_off() == 10
    rig.clock.advance(BASE_S * rig.draw - 0.001)
    assert rig.queue.dequeue() == []
    rig.clock.advance(0.002)
    assert [item.retry_count for item in rig.queue.dequeue(10)] == [1] * 10


def test_flusher_back_off_doubles_to_the_cap_with_full_jitter(rig: Rig) -> None:
    """Half of 60, 120, 240 … 900 seconds, as the draw is a half."""
    times: list[float] = []

    def fail(server: FakeServer, batch: Any) -> Any:
        times.append(rig.clock.monotonic())
        return DOWN(server, batch)

    rig.server.usual = fail
    rig.put(*range(10))
    rig.run(2400)
    gaps = [round(b - a) for a, b in itertools.pairwise(times)]
    assert gaps[:7] == [30, 60, 120, 240, 450, 450, 450]


def test_flusher_retry_after_is_kept_and_jittered(rig: Rig) -> None:
    """What the server asked for, and full jitter on top."""
    rig.server.script.append(answer(Action.HELD, 100.0))
    rig.put(*range(10))
    rig.run(100.0 + BASE_S * rig.draw - 0.001)
    assert len(rig.server.requests) == 1
    rig.run(0.002)
    assert len(rig.server.taken) == 10


def test_flusher_conflict_sends_the_same_bytes_later(rig: Rig) -> None:
    """409: the server is still at it."""
    rig.server.script.append(answer(Action.IN_PROGRESS))
    rig.put(*range(10))
    rig.run(BASE_S)
    assert [b.body() for b in rig.server.requests[:1]] == [
        b.body() for b in rig.server.requests[1:]
    ]
    assert rig.flusher.link.state == UP


@pytest.mark.parametrize(
    ("verdict", "level", "lost", "found"),
    [
        (DOWN, logging.WARNING, "link_down", "link_up"),
        (BUSY, logging.INFO, "endpoint_held", "endpoint_ready"),
        (SUSPEND, logging.ERROR, "suspended", "resumed"),
    ],
)
def test_flusher_outage_is_two_lines(
    rig: Rig, verdict: Answer, level: int, lost: str, found: str
) -> None:
    """However many attempts it takes; the second line says how long it lasted."""
    rig.server.usual = verdict
    rig.put(*range(10))
    rig.run(7200)
    assert [(said, line.split()[0]) for said, line in rig.told.lines] == [(level, lost)]
    rig.server.usual = take
    rig.run(CAP_S)
    assert rig.told.events == [lost, found]
    lasted = int(rig.told.about(found)[0].split("after_s=")[1].split()[0])
    assert 7200 <= lasted <= 7200 + CAP_S


def test_flusher_suspended_probes_at_the_longest_back_off(rig: Rig) -> None:
    """Endpoint or key is wrong: nothing gets better by asking more often."""
    rig.server.usual = SUSPEND
    rig.put(*range(10))
    rig.run(4 * CAP_S + 1)
    assert len(rig.server.requests) == 5


def test_flusher_one_bad_state_after_another_says_how_long_the_first_lasted(rig: Rig) -> None:
    """Down for half a minute, then the server answers, with a 503."""
    rig.server.script.extend([DOWN, BUSY])
    rig.put(*range(10))
    rig.run(30)
    assert "was=down for_s=30" in rig.told.about("endpoint_held")[0]


# -- critical items while the link is held -------------------------------------------------------


def test_flusher_fresh_critical_tries_a_link_that_is_down(rig: Rig) -> None:
    """And what is frozen follows as soon as that shows that the link is back."""
    rig.draw = 1.0
    rig.server.script.append(DOWN)
    rig.put(*range(10))
    rig.run(6)
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run()
    assert rig.server.values == ["fire", *range(10)]


def test_flusher_fresh_critical_never_lengthens_the_hold(rig: Rig) -> None:
    """Its failure counts for nothing; it is frozen before the batch that was."""
    rig.draw = 1.0
    rig.server.script.extend([DOWN, DOWN])
    rig.put(*range(10))
    rig.run(6)
    held_until = rig.flusher.link.next_try
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run()
    assert rig.flusher.link.next_try == held_until
    rig.run(held_until - rig.clock.monotonic())
    assert rig.server.sent[2:] == [["fire"], list(range(10))]


def test_flusher_fresh_critical_tries_once_an_item_and_at_most_once_in_five_seconds(
    rig: Rig,
) -> None:
    """A down link is not hammered by an alarm, nor by one that nobody could send yet."""
    rig.draw = 1.0
    rig.server.usual = DOWN
    rig.put("first", priority=Priority.CRITICAL)
    rig.run(6)
    rig.put("second", priority=Priority.CRITICAL)
    rig.run()
    rig.put("third", priority=Priority.CRITICAL)
    rig.run(4.9)
    # The frozen critical batch goes first, so that it is what the attempts carry.
    assert rig.server.sent == [["first"], ["first"]]
    rig.run(0.2)
    assert rig.server.sent == [["first"]] * 3
    rig.run(BASE_S - 12)
    assert len(rig.server.requests) == 3


def test_flusher_backlog_of_old_criticals_waits_for_the_hold(rig: Rig) -> None:
    """Only a fresh one is worth an attempt."""
    rig.draw = 1.0
    rig.put(*range(30), priority=Priority.CRITICAL)
    rig.clock.advance(120)
    rig.server.usual = DOWN
    rig.run(BASE_S - 1)
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize("verdict", [answer(Action.HELD, 600.0), SUSPEND])
def test_flusher_fresh_critical_respects_a_server_that_wants_to_be_left_alone(
    rig: Rig, verdict: Answer
) -> None:
    """No attempt during Retry-After or a suspension."""
    rig.server.script.append(verdict)
    rig.put(*range(10))
    rig.run(6)
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run(500)
    assert len(rig.server.requests) == 1


def test_flusher_retry_after_drawn_by_a_fresh_critical_is_obeyed(rig: Rig) -> None:
    """The link is back, and the server asks for ten minutes: that holds for everybody."""
    rig.draw = 0.1
    rig.server.script.extend([DOWN, answer(Action.HELD, 600.0)])
    rig.put(*range(10))
    rig.run(1)
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run(590)
    assert rig.flusher.link.state == HELD
    assert len(rig.server.requests) == 2


def test_flusher_fresh_critical_waits_for_no_frozen_telemetry(rig: Rig) -> None:
    """When the endpoint may be tried again, it is what is tried."""
    rig.server.script.append(BUSY)
    rig.put(*range(10))
    rig.run(10)
    rig.put("fire", priority=Priority.CRITICAL)
    rig.run(BASE_S)
    assert rig.server.sent[1:] == [["fire"], list(range(10))]


def test_flusher_corrects_and_sends_in_turns_after_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog is rewritten at once, a slice a batch, and not one every ten seconds."""
    monkeypatch.setattr(correction, "SLICE_ROWS", 5)
    monkeypatch.setattr(correction, "_SLICES", 1)
    rig = Rig(tmp_path, FakeClock(synchronized=False))
    rig.put(*range(200), priority=Priority.ANOMALY)
    rig.clock.step(86_400.0)
    rig.flusher.step(rig.clock.monotonic())
    assert (len(rig.server.sent), rig.queue.restless()) == (1, True)
    rig.run()
    assert len(rig.server.sent) == 20
    assert not rig.queue.restless()
    rig.queue.close()


def test_flusher_whose_file_opens_late_still_puts_nacked_rows_back(rig: Rig) -> None:
    """At a start no batch is frozen: they go in their old places, whenever the file is there."""
    rig.put("old", "new", priority=Priority.ANOMALY)
    rig.queue.nack([1], 3600.0)
    rig.queue = Broken(rig.queue, "release_retries")  # type: ignore[assignment]
    rig.flusher = rig.new_flusher(rig.server)
    rig.run(60)
    assert rig.server.sent == []
    rig.queue.methods = ()  # type: ignore[attr-defined]
    rig.run(60)
    assert rig.server.values == ["old", "new"]
