"""Tries of a link that the kernel says may be back: the flusher's, besides its back-off."""

from __future__ import annotations

import math

import pytest
from fakes.rig import BASE_S, Rig
from fakes.server import DOWN, SUSPEND, Answer, FakeServer, answer, take

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.daemon.comeback import Comeback
from edge_agent.daemon.link import UP


@pytest.fixture
def down(rig: Rig) -> Rig:
    """A rig whose link has been down for a second, and is held for an hour."""
    rig.draw = 60.0
    rig.server.usual = DOWN
    rig.put(*range(10))
    rig.run(1)
    assert len(rig.server.requests) == 1
    return rig


def test_returned_link_is_used_at_once(down: Rig) -> None:
    """The frozen batch is what tries it; the hold is over for whatever is queued."""
    down.put(*range(10, 20))
    down.server.usual = take
    down.flusher.link_returned()
    down.run()
    assert down.server.values == list(range(20))
    assert down.flusher.link.state == UP


def test_returned_link_that_fails_is_tried_once_more_within_five_seconds(down: Rig) -> None:
    """A name server may need a moment after the route."""
    down.flusher.link_returned()
    down.run(2)
    assert len(down.server.requests) == 2
    down.server.usual = take
    down.run(1)
    assert len(down.server.taken) == 10


def test_returned_link_that_fails_lengthens_nothing(down: Rig) -> None:
    """Neither the hold nor the back-off after it; and the rows come back when the hold is over."""
    held_until = down.flusher.link.next_try
    down.flusher.link_returned()
    down.run(600)
    assert len(down.server.requests) == 3
    assert down.flusher.link.next_try == held_until
    down.draw = 1.0
    down.run(held_until - down.clock.monotonic())
    assert down.flusher.link.next_try == held_until + 2 * BASE_S


def test_link_that_flaps_is_tried_once_in_five_seconds(down: Rig) -> None:
    """Announced every three seconds for five minutes; the first two tries come in advance."""
    for _ in range(100):
        down.flusher.link_returned()
        down.run(3)
    assert 59 <= len(down.server.requests) - 1 <= 62


def test_link_announced_in_the_middle_of_flapping_is_tried_within_five_seconds(down: Rig) -> None:
    """The last announcement is not lost between the tries of those before it."""
    for _ in range(10):
        down.flusher.link_returned()
        down.run(3)
    down.server.usual = take
    down.flusher.link_returned()
    down.run(5)
    assert len(down.server.taken) == 10


def test_link_announced_during_the_request_that_fails_is_tried_again(rig: Rig) -> None:
    """The flusher was at a request that began without a link."""
    rig.draw = 60.0

    def announced(server: FakeServer, batch: Batch) -> Verdict:
        rig.clock.advance(30)
        rig.flusher.link_returned()
        return DOWN(server, batch)

    rig.server.script.append(announced)
    rig.put(*range(10))
    rig.run()
    rig.run()
    assert len(rig.server.taken) == 10


@pytest.mark.parametrize("verdict", [answer(Action.HELD, 3000.0), SUSPEND])
def test_server_that_wants_to_be_left_alone_is_not_tried_for_a_route(
    rig: Rig, verdict: Answer
) -> None:
    """Neither during Retry-After nor while suspended; nor afterwards, for old news."""
    rig.server.script.append(verdict)
    rig.put(*range(10))
    rig.run(1)
    rig.flusher.link_returned()
    rig.run(500)
    assert len(rig.server.requests) == 1


def test_answer_of_a_returned_link_ends_the_hold_whatever_it_says(down: Rig) -> None:
    """413: the halves go at once, and not when a hold is over that the link has outlived."""
    down.server.script.append(answer(Action.TOO_LARGE))
    down.server.usual = take
    down.flusher.link_returned()
    down.run()
    assert down.server.sent[2:] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_retry_after_drawn_by_a_returned_link_is_obeyed(down: Rig) -> None:
    """The link is back and the server busy: the announcement's second try is dropped."""
    down.draw = 0.0
    down.server.script.append(answer(Action.HELD, 600.0))
    down.server.usual = take
    down.flusher.link_returned()
    down.run(599)
    assert len(down.server.requests) == 2
    down.run(1)
    assert len(down.server.taken) == 10


def test_announcement_while_the_link_is_up_is_forgotten(rig: Rig) -> None:
    """It says nothing of an outage that comes later."""
    comeback = Comeback()
    comeback.announce()
    assert comeback.next_try(1.0, down=False) == math.inf
    assert comeback.next_try(2.0, down=True) == math.inf
