"""Who is at fault, the item or the server: witnesses, rows of condemnations, what comes back."""

from __future__ import annotations

import pytest

from edge_agent.cloud_sync.batch import Row
from edge_agent.daemon.jury import MOST_IN_A_ROW, Jury, Suspect
from edge_agent.types import Priority


class Court:
    """A jury, and what became of the items."""

    def __init__(self) -> None:
        self.buried: list[int] = []
        self.restored: list[int] = []
        #: what was noted of a row of condemnations, and how many were buried by then
        self.noted: list[tuple[list[int], int]] = []
        self.jury = Jury(
            lambda suspect: self.buried.append(suspect.row.id),
            self.restored.extend,
            lambda ids: self.noted.append((ids, len(self.buried))),
        )

    def refuse(self, *ids: int, witnessed: bool = False) -> list[int]:
        """One answer refuses these; returns which of them are put back."""
        rows = (Row(n, "{}", Priority.TELEMETRY, 1.0, 9, 0, 1.0) for n in ids)
        group = [Suspect(row, f"HTTP 400 {row.id}") for row in rows]
        return [suspect.row.id for suspect in self.jury.refused(group, witnessed=witnessed)]


@pytest.fixture
def court() -> Court:
    return Court()


def test_jury_condemns_nobody_without_a_witness(court: Court) -> None:
    """The first refusal waits for another item; accepted, that is the witness."""
    assert court.refuse(1) == [1]
    assert court.jury.wants_witness
    assert court.buried == []
    court.jury.accepted()
    assert court.buried == [1]
    assert not court.jury.wants_witness
    assert court.refuse(2) == []
    assert court.buried == [1, 2]


def test_jury_wants_a_fresh_witness_before_the_fifth_in_a_row(court: Court) -> None:
    """Accepted, the count starts anew."""
    court.jury.accepted()
    for number in range(MOST_IN_A_ROW):
        assert court.refuse(number) == []
    assert court.refuse(4) == [4]
    assert court.buried == [0, 1, 2, 3]
    court.jury.accepted()
    assert court.buried == [0, 1, 2, 3, 4]
    for number in (5, 6, 7):
        assert court.refuse(number) == []
    assert court.refuse(8) == [8]
    assert court.restored == []


def test_jury_finds_the_server_at_fault_when_the_witness_is_refused(court: Court) -> None:
    """What it condemned in a row comes back, and what was in doubt stays where it was put."""
    court.jury.accepted()
    court.refuse(0)
    court.refuse(1)
    court.jury.accepted()
    for number in (2, 3, 4, 5):
        court.refuse(number)
    assert court.refuse(6) == [6]
    assert court.refuse(7) == [7]
    assert court.restored == [2, 3, 4, 5]
    assert court.jury.server_at_fault
    assert court.jury.reason == "HTTP 400 7"
    assert not court.jury.wants_witness


def test_jury_finds_the_server_at_fault_when_there_is_no_witness(court: Court) -> None:
    """Nothing else is there to be tried."""
    court.refuse(1)
    court.jury.no_witness()
    assert court.jury.server_at_fault
    assert court.jury.reason == "HTTP 400 1"
    assert court.refuse(1) == [1]
    assert court.buried == court.restored == []
    court.jury.accepted()
    assert not court.jury.server_at_fault
    assert court.buried == []


def test_jury_takes_the_refusals_of_one_answer_together(court: Court) -> None:
    """They are no witnesses of one another; what the same answer took is one."""
    court.jury.accepted()
    assert court.refuse(*range(9)) == [4, 5, 6, 7, 8]
    assert not court.jury.server_at_fault
    court.jury.accepted()
    assert court.buried == list(range(8))
    assert court.refuse(*range(20, 40), witnessed=True) == []
    assert court.buried[8:] == list(range(20, 40))


def test_jury_notes_a_row_of_condemnations_before_it_buries(court: Court) -> None:
    """For whoever goes on after a crash; settled, it is forgotten once."""
    court.jury.accepted()
    court.refuse(1, 2)
    assert court.noted == [([1], 0), ([1, 2], 1)]
    court.jury.accepted()
    court.jury.accepted()
    assert court.noted[2:] == [([], 2)]


def test_jury_answers_for_a_row_from_before_the_start(court: Court) -> None:
    """A server that still refuses everything gives all of them back."""
    court.jury.answer_for([7, 8])
    court.refuse(9)
    court.jury.no_witness()
    assert court.restored == [7, 8]
    assert court.noted == [([], 0)]
