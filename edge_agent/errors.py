"""Every error this product raises on purpose, in one tree.

::

    EdgeAgentError
    ├── ConfigError (ValueError)         the configuration cannot be used; carries every problem
    ├── SensorError (OSError)            a sensor gave no reading; carries a one-word reason
    │   ├── BusError                     the wire: no answer, a time-out, a lost arbitration
    │   └── ChecksumError                an answer came, damaged
    ├── QueueError
    │   ├── PayloadError (ValueError)    refused at the door; nothing was stored
    │   ├── QueueBusy (BlockingIOError)  another flusher owns the file
    │   ├── QueueClosed (ValueError)     used after close()
    │   ├── QueueFull (OSError)          no room, and the policy says to refuse
    │   └── StoreError (OSError)         the file could not be read or written
    └── UploaderError (ValueError)       endpoint, key or certificate cannot be used

Each leaf also is the builtin it resembles, so that ``except ValueError`` in a caller's program
means what it looks like. A message says what, which, value, limit and what to do; never a secret.
"""

from __future__ import annotations


class EdgeAgentError(Exception):
    """The root: ``except EdgeAgentError`` catches all of ours and nothing else."""


class ConfigError(EdgeAgentError, ValueError):
    """The configuration cannot be used.

    Attributes:
        problems: one sentence each, with ``file:line:column`` where it is known.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: tuple[str, ...] = problems


class SensorError(EdgeAgentError, OSError):
    """A sensor gave no reading this time.

    Attributes:
        reason: one word for programs (``nack``, ``range``, ``hang``); the message is for people.
    """

    def __init__(self, message: str, *, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class BusError(SensorError):
    """The wire failed: nobody answered, it took too long, or arbitration was lost."""


class ChecksumError(SensorError):
    """An answer came, but its checksum does not fit: a loose wire or a long cable."""

    def __init__(self, message: str, *, reason: str = "crc") -> None:
        super().__init__(message, reason=reason)


class QueueError(EdgeAgentError):
    """Anything the queue refuses or cannot do."""


class PayloadError(QueueError, ValueError):
    """The payload cannot be stored as JSON, or is too large; nothing of it was stored."""


class QueueBusy(QueueError, BlockingIOError):
    """Another process or thread flushes this file; two would send everything twice."""


class QueueClosed(QueueError, ValueError):
    """The queue was closed before this call."""


class QueueFull(QueueError, OSError):
    """The queue has no room and its policy says to refuse."""


class StoreError(QueueError, OSError):
    """The file could not be read or written; what was handed over is still the caller's.

    Attributes:
        reason: SQLite's name for it (``SQLITE_FULL``, ``SQLITE_IOERR_WRITE``).
    """

    def __init__(self, message: str, *, reason: str = "unknown") -> None:
        super().__init__(message)
        self.reason = reason


class UploaderError(EdgeAgentError, ValueError):
    """The endpoint, the key or a certificate cannot be used as it was given."""
