"""Batches that failed and go again, byte for byte as they were, before anything new.

Critical ones stand first. A batch that drew one server error after another steps back so that
another can show whether the server or the batch is at fault; so does one that the server claims to
be at for ever, which keeps its bytes and so its key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from edge_agent.cloud_sync.batch import Batch, Row
from edge_agent.types import Priority

#: Server errors on one batch, or conflicts, after which another is tried.
MOST_ERRORS = 5
#: Times in a row that one batch may go out and find no answer in time before it is halved.
MOST_TIMEOUTS = 2


@dataclasses.dataclass(slots=True)
class Held:
    """A frozen batch, and what it has been through."""

    batch: Batch
    #: server errors that it drew
    errors: int = 0
    #: times that the server was at it already
    conflicts: int = 0
    #: times in a row that it was sent and not answered in time
    timeouts: int = 0
    #: whether it went out as it is, in vain; not so a half that waits for its first turn
    failed: bool = False
    #: rows that were refused together with these: if they are taken, these were refused
    twin: tuple[int, ...] = ()

    @property
    def suspected(self) -> bool:
        """Whether the batch may be at fault."""
        return self.errors >= MOST_ERRORS

    @property
    def steps_back(self) -> bool:
        """Whether another goes first: it may be this batch that the server cannot take."""
        return self.suspected or self.conflicts >= MOST_ERRORS


class Frozen:
    """The batches of one flusher. Used by its thread alone."""

    def __init__(self) -> None:
        self._held: list[Held] = []

    def __contains__(self, batch: Batch) -> bool:
        return any(held.batch is batch for held in self._held)

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def ids(self) -> frozenset[int]:
        """All rows that are frozen."""
        return frozenset(number for held in self._held for number in held.batch.ids)

    @property
    def rows(self) -> list[Row]:
        """All rows that are frozen."""
        return [row for held in self._held for row in held.batch.rows]

    @property
    def critical(self) -> Batch | None:
        """The critical batch, if there is one that does not step back."""
        return self.first((Priority.CRITICAL,))

    @property
    def suspected(self) -> list[Batch]:
        """Those that drew one server error after another."""
        return [held.batch for held in self._held if held.suspected]

    def failed(self, open_to: Collection[Priority]) -> Batch | None:
        """The first that went out as it is and failed; None if all step back, or none did.

        Args:
            open_to: a batch without any of these priorities waits.
        """
        return next((held.batch for held in self._willing(open_to) if held.failed), None)

    def first(self, open_to: Collection[Priority]) -> Batch | None:
        """The one that goes next; None if all step back, or there is none.

        Args:
            open_to: a batch without any of these priorities waits.
        """
        return next((held.batch for held in self._willing(open_to)), None)

    @property
    def stepped_back(self) -> int:
        """How many let another go first."""
        return sum(held.steps_back for held in self._held)

    def least_tried(self, open_to: Collection[Priority]) -> Batch | None:
        """Of those that step back the one that failed the fewest times."""
        fewest = min(self._of(open_to), key=lambda held: held.errors + held.conflicts, default=None)
        return fewest.batch if fewest else None

    def keep(self, batch: Batch) -> Held:
        """Freeze it, if it is not; returns its record."""
        for held in self._held:
            if held.batch is batch:
                return held
        new = Held(batch)
        first = batch.most_urgent is Priority.CRITICAL
        self._held.insert(0 if first else len(self._held), new)
        return new

    def keep_only(self, still_queued: Callable[[Sequence[int]], set[int]]) -> None:
        """Leave out rows that a person has purged or exported: what is left is another request."""
        for held in self._held:
            held.batch = held.batch.only(still_queued(held.batch.ids))
        self._held = [held for held in self._held if held.batch.rows]

    def thaw(self, batch: Batch) -> None:
        """Its fate is known, or its rows are to go in other company."""
        self._held = [held for held in self._held if held.batch is not batch]

    def thaw_all(self) -> None:
        """None goes again as it was."""
        self._held.clear()

    def thaw_taken(self, batch: Batch) -> None:
        """All of it was taken. If it is half of what was refused, the other half is halved unasked.

        So a refused item costs no more than two requests for each halving of the number of items.
        """
        self.thaw(batch)
        for held in self._held:
            if held.twin == batch.ids and len(held.batch.rows) > 1:
                self.halve(held.batch, refused=True)
                return

    def halve(self, batch: Batch, *, refused: bool = False) -> None:
        """Put its halves first in its place; one more server error and a half is suspected too."""
        errors = MOST_ERRORS - 1 if self._drew_errors(batch) else 0
        self.thaw(batch)
        first, second = batch.halves()
        twin = first.ids if refused else ()
        self._held[:0] = [Held(first, errors), Held(second, errors, twin=twin)]

    def _of(self, priorities: Collection[Priority]) -> list[Held]:
        return [held for held in self._held if held.batch.most_urgent in priorities]

    def _willing(self, priorities: Collection[Priority]) -> list[Held]:
        return [held for held in self._of(priorities) if not held.steps_back]

    def _drew_errors(self, batch: Batch) -> bool:
        return any(held.batch is batch and held.suspected for held in self._held)
