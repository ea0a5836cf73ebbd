"""SQLite's errors by name: what each says of the disk and the connection, and what to do."""

from __future__ import annotations

import sqlite3

from edge_agent.errors import StoreError

#: By the beginning of SQLite's name for the error.
_REMEDIES = {
    "SQLITE_NOTADB": "it is another program's file: name another path, or move it away",
    "SQLITE_CANTOPEN": "see that it is a file and that this user may write in its directory",
    "SQLITE_READONLY": "see that this user may write it and that the disk is not read-only",
    "SQLITE_PERM": "see that this user may write it",
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_IOERR": "see whether the disk is full or failing",
    "SQLITE_BUSY": "another process holds it; see which has it open",
}

#: After these, the connection may not see what is in the file.
_SUSPICIOUS = (
    "SQLITE_IOERR",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
)
#: There is no room for the file or its log, or for the log's index.
_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")


def reason_of(exc: sqlite3.Error | StoreError) -> str:
    """SQLite's name for it (``SQLITE_FULL``)."""
    if isinstance(exc, StoreError):
        return exc.reason
    return getattr(exc, "sqlite_errorname", type(exc).__name__)


def remedy(reason: str) -> str:
    """What a person can do about SQLite's error of this name; empty where nothing helps."""
    return next((f"; {do}" for name, do in _REMEDIES.items() if reason.startswith(name)), "")


def is_suspicious(reason: str) -> bool:
    """Whether the connections are not to be trusted after it."""
    return reason.startswith(_SUSPICIOUS)


def is_full_disk(exc: sqlite3.Error | StoreError) -> bool:
    """Whether it is what SQLite says when there is no room for the file, its log or its index."""
    return reason_of(exc) in _NO_ROOM


def may_want_room(exc: sqlite3.Error | StoreError) -> bool:
    """Whether opening may have failed for want of room: without an inode no file can be made."""
    return is_full_disk(exc) or reason_of(exc).startswith("SQLITE_CANTOPEN")
