"""One flusher per queue file: two would send everything twice."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import QueueBusy, StoreError


class FlusherLock:
    """A lock on ``<queue file>.lock`` that the kernel lets go of when its holder dies.

    Never on the database file itself: opening and closing that drops the locks SQLite holds on it
    in this process (https://sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, queue_path: Path, *, patient: bool = False) -> None:
        """Lock nothing yet.

        Args:
            queue_path: the database file.
            patient: where the lock cannot be made now, let `guard` get it as soon as it can.
        """
        self._path = Path(f"{queue_path}.lock")
        self._patient = patient
        #: whether somebody holds the lock as far as they know, but has not got it yet
        self._owed = False
        #: the lock that `guard` got
        self._late: list[int] = []

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the length of the block.

        Raises:
            QueueBusy: another process, or another thread of this one, holds it.
            StoreError: it cannot be made or opened, and we are not patient.
        """
        try:
            handles = [self._acquired()]
        except StoreError:
            if not self._patient:
                raise
            handles, self._owed = self._late, True
        try:
            yield
        finally:
            self._owed = False
            # The file stays: removing it would let two processes lock two files of one name.
            while handles:
                os.close(handles.pop())

    def guard(self) -> None:
        """Get the lock that is still owed; before that, nothing may be written.

        Raises:
            StoreError: it still cannot be made, or another flusher was faster.
        """
        if not self._owed:
            return
        try:
            self._late.append(self._acquired())
        except QueueBusy as exc:
            raise StoreError(str(exc), reason="OS") from exc
        self._owed = False

    def _acquired(self) -> int:
        """The lock file, opened and locked."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreError(
                f"{self._path}: {exc.strerror}; see that this user may write it and that the disk"
                " is not read-only",
                reason="OS",
            ) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise QueueBusy(
                f"{self._path} is held by another flusher (a running agent?); "
                "stop it first, or let it do the sending"
            ) from None
        except OSError as exc:
            os.close(handle)
            raise StoreError(
                f"{self._path}: {exc.strerror}; its file system has no locks (flock), without which"
                " two would send the same: put the queue on a disk of this machine",
                reason="OS",
            ) from exc
        return handle
