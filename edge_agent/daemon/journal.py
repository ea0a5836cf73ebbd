"""Writing to the journal without ever waiting for it.

A journal that stops reading fills the pipe, and the next ``print`` blocks: so records go through a
bounded queue to a writer thread, and what does not fit is dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import sys
import threading
from collections.abc import Callable

from edge_agent.events import NOTICE, event

#: Tells a change of state: a level of `logging`, and a line made by `edge_agent.events.event`.
Say = Callable[[int, str], None]

#: Lines that wait for a journal that does not read.
MOST_WAITING = 1_000
#: How long a stop waits for them to be written.
ENDS_S = 1.0

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


#: What waits to be written; None ends the writer.
_Waiting = queue.Queue[logging.LogRecord | None]


class _Dropping(logging.handlers.QueueHandler):
    """Hands records to the writer; drops and counts them when the writer is behind."""

    queue: _Waiting

    def __init__(self, waiting: _Waiting) -> None:
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
        """One line of ASCII; a traceback's lines become fields of it."""
        line = " | ".join(super().format(record).splitlines())
        line = line.encode("ascii", "backslashreplace").decode("ascii")
        return _PREFIX.get(record.levelno, "<6>") + line if self._prefixed else line


class Journal:
    """The process's log, from `start` to `stop`."""

    def __init__(self) -> None:
        self._waiting: _Waiting = queue.Queue(MOST_WAITING)
        self._handler = _Dropping(self._waiting)
        self._output = _stdout()
        self._lines = _Lines(prefixed=_is_journal(self._output))
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)

    @property
    def dropped(self) -> int:
        """Lines lost because nobody read them."""
        return self._handler.dropped

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()
        logging.getLogger().addHandler(self._handler)

    def stop(self) -> None:
        """Write what waits and stop; a journal that does not read is not waited for."""
        logging.getLogger().removeHandler(self._handler)
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=ENDS_S)
            self._writer.join(ENDS_S)

    def _write(self) -> None:
        """The writer thread: one line after the other, and how many were lost meanwhile."""
        told = 0
        while (record := self._waiting.get()) is not None:
            self._put(record)
            lost, told = self.dropped - told, self.dropped
            if lost:
                text = event("journal_dropped", lines=lost, why="nobody read them")
                self._put(logging.makeLogRecord({"levelno": logging.WARNING, "msg": text}))

    def _put(self, record: logging.LogRecord) -> None:
        """One line, past Python's buffers: a thread stuck in those ends the process in an abort.

        Where nobody can read any more there is nobody to tell.
        """
        if self._output is not None:
            with contextlib.suppress(OSError):
                os.write(self._output, f"{self._lines.format(record)}\n".encode())


def set_level(word: str) -> None:
    """Write what is at least of this level; from libraries, warnings."""
    logging.getLogger("edge_agent").setLevel(LEVELS[word])


def _stdout() -> int | None:
    """The descriptor of stdout; None where there is none, as another file may bear its number."""
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _is_journal(output: int | None) -> bool:
    """Whether stdout is connected to systemd's journal (systemd.exec(5), ``JOURNAL_STREAM``)."""
    if output is None:
        return False
    stat = os.fstat(output)
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"
