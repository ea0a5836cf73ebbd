"""What a person does to the queue: look it over, carry rows away, erase, give space back.

Everything here works in slices beside a running agent, which goes on storing and sending.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_agent.cloud_sync import dead, erasure, export, soundness
from edge_agent.cloud_sync.dead import DeadLetter
from edge_agent.cloud_sync.erasure import Affected, Erased
from edge_agent.cloud_sync.export import Exported
from edge_agent.cloud_sync.housekeeping import Housekeeping
from edge_agent.cloud_sync.pace import giving_way
from edge_agent.cloud_sync.soundness import Soundness
from edge_agent.cloud_sync.which import Which

#: Told how far a long work has come; it may raise, which ends the work between two slices.
Progress = Callable[[int], None]


def _silent(_: int) -> None:
    """For a caller who wants to hear nothing."""


class Care(Housekeeping):
    """The part of `CloudSyncQueue` behind the ``queue`` commands."""

    path: Path

    def verify(self) -> Soundness:
        """Look the whole file over: pages, index, ledger, ids, and every payload.

        Reads only, over a connection of its own: no writer waits for it. It reads every page, some
        seconds for each 100 MB on a card.

        Returns:
            the problems, one sentence each, none when all is well; and how large everything is.
            What cannot be read is a problem, too: nothing is raised for what is in the file.
        """
        return soundness.look_over(self.path)

    def export(
        self, path: str | Path, *, move: bool = False, progress: Progress = _silent
    ) -> Exported:
        """Write the rows that are queued now into a file, one JSON object a line.

        A line has ``device_id``, ``queue_id``, ``id``, ``priority`` (its number), ``created_at``
        (Unix seconds), ``ttl_seconds`` and ``payload``, by id. What has expired is left out: it is
        not to be delivered any more. Dead letters are left out: a server refused them.

        The file appears under its name (mode 0600) when it is whole and on the disk. Memory does
        not depend on the queue's depth.

        Args:
            path: of a file that is not there yet; gzip where it ends in ``.gz``.
            move: delete what was exported. Only once the file is on the disk and was read back, in
                slices, and only rows that stand in it as they stand in the queue: those delivered
                meanwhile are not counted, those queued or changed meanwhile stay. A crash in
                between leaves rows in both places, never in none.
            progress: called after each slice with the rows written, then with the rows moved.

        Raises:
            StoreError: there is such a file, it could not be written or read back, or the queue
                could not. Rows deleted by then stand in the file.
        """
        target = Path(path).absolute()
        written, digest = export.export(self._store, target, self._settled(), progress)
        if not move:
            return written
        export.check(target, written, digest)
        moved = export.take_away(self._store, target, progress)
        return dataclasses.replace(written, moved=moved)

    def count(self, which: Which) -> Affected:
        """What `purge` would take now. Reads only."""
        return erasure.count(self._store, which, self._settled())

    def purge(self, which: Which, *, progress: Progress = _silent) -> Erased:
        """Delete rows unsent, because a person said so; booked as discarded or expired.

        Dead letters go, too (but for `which.expired`), and gaps that are still to be told. A purge
        by what rows say (``of_sensor``, ``matching``, ``everything``) also deletes damaged files
        that were set aside, which cannot be searched, and leaves no copy in any file of the queue:
        at its end the whole file is written anew. What is queued meanwhile stays: a sensor that is
        to be forgotten is to be switched off first.

        Args:
            which: one of the selections that the module `which` makes.
            progress: called after each slice with the rows deleted so far.

        Returns:
            what went, and the ids ever given out under each ``queue_id``: a server has to be asked
            for those. ``remains`` says where copies are left, if the file could not be rewritten.

        Raises:
            StoreError: rows are still being salvaged out of a damaged file, or the file cannot be
                written; what was deleted by then is booked.

        Warning:
            Data is lost for good. While the file is written anew nobody else can store rows: an
            agent keeps its readings in memory meanwhile. What flash has worn out of use, backups
            and the far end are beyond reach.
        """
        return erasure.purge(self._store, which, self._settled(), progress)

    def vacuum(self, *, progress: Progress = _silent) -> int:
        """Give unused space back to the disk, in slices that hold the lock for moments.

        Args:
            progress: called after each slice with the pages that are still to be given back.

        Returns:
            how many bytes the file and its log became smaller.

        Raises:
            StoreError: the file cannot be written.
        """
        return erasure.give_back(self._store, progress)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """What servers condemned, by id; read in slices while it is gone through."""
        return dead.all_of(self._store)

    def replay(self, ids: Sequence[int], *, progress: Progress = _silent) -> int:
        """Send dead letters once more: back into the queue under their ids, their TTL anew.

        In slices; each is booked in the transaction that moves it.

        Args:
            ids: of dead letters.
            progress: called after each slice with how many are back so far.

        Returns:
            how many there were; ids of none are left out.

        Raises:
            StoreError: the file cannot be written; those moved by then are in the queue.
        """
        return self._in_slices(ids, functools.partial(dead.replay, now=self._settled()), progress)

    def drop(self, ids: Sequence[int], *, progress: Progress = _silent) -> int:
        """Delete dead letters because a person said so; booked as discarded.

        Copies may be left in the file until `purge` is asked for what they say.

        Args:
            ids: of dead letters.
            progress: called after each slice with how many are gone so far.

        Returns:
            how many there were; ids of none are left out.

        Raises:
            StoreError: the file cannot be written; those deleted by then are booked.

        Warning:
            Data is lost for good.
        """
        return self._in_slices(ids, functools.partial(dead.drop, fate="discarded"), progress)

    def _in_slices(self, ids: Sequence[int], change: Callable[..., int], progress: Progress) -> int:
        """Do something to dead letters, moments at a time; returns to how many."""
        done = 0
        for part in dead.slices(ids):
            with giving_way():
                done += self._store.change(functools.partial(change, ids=part))
            progress(done)
        return done
