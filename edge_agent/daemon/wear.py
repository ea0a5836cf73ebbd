"""What the agent writes to the card: counted by the kernel, kept in the queue's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync.traffic import Traffic

_IO = Path("/proc/self/io")
_FIELD = "write_bytes:"


def written_bytes(io: Path = _IO) -> int | None:
    """What this process has had written to storage since it began; None where nobody can say.

    Counted are pages of files on a disk when they become dirty, in every thread: the queue's file,
    its log, the reserve. Not counted are files in memory (`/run`), the file system's own journal,
    and what the card's controller writes besides.

    Source:
        proc(5), ``/proc/pid/io``; the kernel's Documentation/filesystems/proc.rst, 3.3.
    """
    try:
        lines = io.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(_FIELD)), None)


class Wear:
    """Adds what this process writes to what its predecessors wrote on the same local day.

    What was written since the last `keep` belongs to the day on which it is kept. A power cut takes
    that much from the count.
    """

    def __init__(self, traffic: Traffic, written: Callable[[], int | None] = written_bytes) -> None:
        """Begin with nothing kept of this process.

        Args:
            traffic: the books.
            written: counts bytes since the process began.
        """
        self._traffic = traffic
        self._written = written
        self._kept_bytes = 0
        self._kept_s = 0

    def today(self) -> int | None:
        """Bytes since local midnight; None where nobody counts them.

        Raises:
            StoreError: the queue's file cannot be read.
        """
        written = self._written()
        if written is None:
            return None
        return self._traffic.written_today() + written - self._kept_bytes

    def keep(self, uptime_s: int, states: Mapping[str, Any]) -> None:
        """Keep what was written so far, and some states by owner in the same commit.

        Args:
            uptime_s: for how long this process has run.
            states: JSON-representable.

        Raises:
            StoreError: it could not be written, and will be the next time.
        """
        written = self._written()
        if written is None:
            self._traffic.keep_written(0, 0, states)
            return
        self._traffic.keep_written(written - self._kept_bytes, uptime_s - self._kept_s, states)
        self._kept_bytes, self._kept_s = written, uptime_s
