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

    def __init__(self, queue_path: Path) -> None:
        self._path = Path(f"{queue_path}.lock")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for the length of the block.

        Raises:
            QueueBusy: another process, or another thread of this one, holds it.
            StoreError: it cannot be made or opened.
        """
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreError(
                f"{self._path}: {exc.strerror}; this user must be able to write it", reason="OS"
            ) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise QueueBusy(
                f"{self._path} is held by another flusher (a running agent?); "
                "stop it first, or let it do the sending"
            ) from None
        try:
            yield
        finally:
            # The file stays: removing it would let two processes lock two files of one name.
            os.close(handle)
