"""Whether a refused item is at fault, or the server that refuses it.

An item is condemned only where a witness speaks against it: another item that this endpoint has
accepted. After four condemnations in a row the next one wants a fresh witness. If the item that is
tried as one is refused as well, or there is none, the server is at fault: what it condemned in a
row comes back, and sending is suspended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from edge_agent.cloud_sync.batch import Row

#: Condemnations in a row after which the server, not the data, is suspected.
MOST_IN_A_ROW = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Suspect:
    """An item that was refused, and why."""

    row: Row
    reason: str


class Jury:
    """Keeps the record of one endpoint since the configuration was loaded.

    What it decides is carried out by the two functions it is given.
    """

    def __init__(
        self,
        bury: Callable[[Suspect], None],
        restore: Callable[[list[int]], None],
        note: Callable[[list[int]], None],
    ) -> None:
        """Begin without a witness.

        Args:
            bury: makes a dead letter of an item.
            restore: brings dead letters back, behind what is queued.
            note: keeps the ids that were condemned in a row, for whoever goes on after a restart.
        """
        #: items whose fate waits for a witness
        self.suspects: list[Suspect] = []
        #: whether this endpoint refuses everything: its probes are single items
        self.server_at_fault = False
        #: the words of the refusal that settled it
        self.reason = ""
        self._accepted = False
        self._in_a_row: list[int] = []
        self._bury, self._restore, self._note = bury, restore, note

    @property
    def wants_witness(self) -> bool:
        """Whether the next thing to send is an item to compare a suspect with."""
        return bool(self.suspects)

    @property
    def suspected_ids(self) -> frozenset[int]:
        """Items that cannot be their own witness."""
        return frozenset(suspect.row.id for suspect in self.suspects)

    def answer_for(self, in_a_row: Sequence[int]) -> None:
        """Take over what another jury condemned in a row; its witnesses prove nothing here.

        Args:
            in_a_row: what it noted last; before anything is condemned here.
        """
        self._in_a_row = list(in_a_row)

    def accepted(self) -> None:
        """The endpoint took an item: it is a witness, and the count starts anew."""
        self._accepted, self.server_at_fault = True, False
        self._forget()
        waiting, self.suspects = self.suspects[:MOST_IN_A_ROW], []
        for suspect in waiting:
            self._condemn(suspect)

    def refused(self, group: Sequence[Suspect], *, witnessed: bool = False) -> list[Suspect]:
        """The endpoint refused items one by one.

        Args:
            group: all that one answer refused.
            witnessed: the same answer took others.

        Returns:
            those that are not condemned, or not yet: they are to be put back behind the others.
        """
        if witnessed:
            for suspect in group:
                self._bury(suspect)
            return []
        tried = self.wants_witness or self.server_at_fault
        sealed = MOST_IN_A_ROW - len(self._in_a_row) if self._accepted and not tried else 0
        for suspect in group[:sealed]:
            self._condemn(suspect)
        self.suspects += group[sealed:]
        if tried:
            self.no_witness()
        return list(group[sealed:])

    def no_witness(self) -> None:
        """Another item was refused as well, or there is none: the server is at fault."""
        self.server_at_fault = True
        self.reason = self.suspects[-1].reason if self.suspects else self.reason
        if self._in_a_row:
            self._restore(list(self._in_a_row))
        self._forget()
        self.suspects.clear()

    def _condemn(self, suspect: Suspect) -> None:
        self._in_a_row.append(suspect.row.id)
        # Before it is buried: whoever dies in between leaves no letter that nobody answers for.
        self._note(list(self._in_a_row))
        self._bury(suspect)

    def _forget(self) -> None:
        """Whatever was condemned in a row is settled."""
        if self._in_a_row:
            self._in_a_row.clear()
            self._note([])
