"""Writing to the journal without ever waiting for it.

A journal that stops reading fills the pipe, and the next ``print`` blocks: so records go through a
bounded queue to a writer thread, and what does not fit is dropped and counted.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import sys
from collections.abc import Callable

from edge_agent.events import NOTICE

#: Tells a change of state: a level of `logging`, and a line made by `edge_agent.events.event`.
Say = Callable[[int, str], None]

#: Lines that wait for a journal that does not read.
MOST_WAITING = 1_000

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": NOTICE,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
#: sd-daemon(3): the priority that a line begins with.
_PREFIX = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    NOTICE: "<5>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}


class _Dropping(logging.handlers.QueueHandler):
    """Hands records to the writer; drops and counts them when the writer is behind."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(waiting)
        self.dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put the record in line, or count it as dropped."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Lines(logging.Formatter):
    """``<N>event key=value`` for the journal, without the prefix on a terminal."""

    def __init__(self, *, prefixed: bool) -> None:
        super().__init__("%(message)s")
        self._prefixed = prefixed

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback's lines become fields of it."""
        line = super().format(record).replace("\n", " | ")
        return _PREFIX.get(record.levelno, "<6>") + line if self._prefixed else line


class Journal:
    """The process's log, from `start` to `stop`."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
        self._handler = _Dropping(self._waiting)
        output = logging.StreamHandler(sys.stdout)
        output.setFormatter(_Lines(prefixed=_is_journal()))
        self._writer = logging.handlers.QueueListener(self._waiting, output)

    @property
    def dropped(self) -> int:
        """Lines lost because nobody read them."""
        return self._handler.dropped

    def start(self) -> None:
        """Begin to write."""
        logging.raiseExceptions = False  # A closed stdout must not print tracebacks for ever.
        self._writer.start()
        logging.getLogger().addHandler(self._handler)

    def stop(self) -> None:
        """Write what waits and stop."""
        logging.getLogger().removeHandler(self._handler)
        self._writer.stop()


def set_level(word: str) -> None:
    """Write what is at least of this level; from libraries, warnings."""
    logging.getLogger("edge_agent").setLevel(LEVELS[word])


def _is_journal() -> bool:
    """Whether stdout is connected to systemd's journal (systemd.exec(5), ``JOURNAL_STREAM``)."""
    try:
        stat = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"
