"""Rows as lines in a file: what a technician carries from a site without a link.

One JSON object a line, each row under its own ``(device_id, queue_id, id)``: whoever sends the file
later, twice or beside a link that has come back, nothing counts twice at a server that remembers
those. With ``move``, a row leaves the queue when its line was read back from the finished file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import gzip
import hashlib
import itertools
import json
import math
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from edge_agent.cloud_sync import correction, origin, rows, schema
from edge_agent.cloud_sync.pace import giving_way
from edge_agent.cloud_sync.store import Store
from edge_agent.errors import StoreError
from edge_agent.files import sync_directory

#: Rows read in one go, and deleted in one transaction.
SLICE_ROWS = 500

_ROWS = """
SELECT id, payload, priority, created_at + {shift}, ttl_seconds FROM sync_queue
WHERE {where} ORDER BY id
"""
_SLICE = (
    f"id IN (SELECT id FROM sync_queue WHERE id > ? AND id <= ? ORDER BY id LIMIT {SLICE_ROWS})"
)
_FIELDS = ("device_id", "queue_id", "id", "priority", "created_at", "ttl_seconds")


@dataclasses.dataclass(frozen=True, slots=True)
class Exported:
    """What an export did."""

    path: Path
    #: rows in the file
    count: int
    #: rows that left the queue for it
    moved: int
    #: rows whose payload is no JSON, which stay: a line could not hold them
    unfit: int
    size_bytes: int


def export(
    store: Store, path: Path, now: float, progress: Callable[[int], None]
) -> tuple[Exported, str]:
    """Write the rows that are there as of now.

    Args:
        store: the queue's file.
        path: of the file to be; gzip where it ends in ``.gz``.
        now: queue time; what has expired by then is not written.
        progress: called after each slice with the rows written so far.

    Returns:
        what was written, and the SHA-256 of its lines.

    Raises:
        StoreError: there is such a file already, it cannot be written, or the queue not be read.
    """
    digest, count, unfit = hashlib.sha256(), 0, 0
    with _fresh(path) as file:
        for lines in _slices(store, now):
            text = b"".join(line for _, line in lines if line)
            file.write(text)
            digest.update(text)
            unfit += sum(not line for _, line in lines)
            count += sum(bool(line) for _, line in lines)
            progress(count)
    return Exported(path, count, 0, unfit, path.stat().st_size), digest.hexdigest()


def check(path: Path, written: Exported, digest: str) -> None:
    """Read the file back, as far as that can be from the disk.

    Raises:
        StoreError: it is not what was written.
    """
    found, count = hashlib.sha256(), 0
    for line in _lines_of(path):
        found.update(line)
        count += 1
    if (count, found.hexdigest()) != (written.count, digest):
        _refuse(path, "what was read back is not what was written")


def take_away(store: Store, path: Path, progress: Callable[[int], None]) -> int:
    """Delete the rows that stand in the file as they stand in the queue; returns how many.

    A row that has changed since (it was thinned, or its time corrected) stays.
    """
    gone = 0
    lines = _lines_of(path)
    while held := list(itertools.islice(lines, SLICE_ROWS)):
        with giving_way():
            gone += store.change(_Removal({json.loads(line)["id"]: line for line in held}))
        progress(gone)
    return gone


class _Removal:
    """Deletes one slice of what a file holds."""

    def __init__(self, held: dict[int, bytes]) -> None:
        self._held = held

    def __call__(self, db: sqlite3.Connection) -> int:
        where = f"id IN ({','.join('?' * len(self._held))})"
        found = _lines(db, where, tuple(self._held), -math.inf)
        going = [number for number, line in found if self._held[number] == line]
        return rows.remove(db, going, "exported")


def _slices(store: Store, now: float) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of what is there now, by id, in slices; what is queued meanwhile is not in them."""
    after = 0
    with store.read() as db:
        last = schema.sequence(db)
    while after < last:
        with store.read() as db:
            lines = list(_lines(db, _SLICE, (after, last), now))
            after = _end(db, after, last)
        yield lines


def _end(db: sqlite3.Connection, after: int, last: int) -> int:
    """The last id of a slice; ``last`` where there are no more rows."""
    found = db.execute(f"SELECT max(id) FROM sync_queue WHERE {_SLICE}", (after, last)).fetchone()
    return last if found[0] is None else int(found[0])


def _lines(
    db: sqlite3.Connection, where: str, values: Sequence[int], now: float
) -> Iterator[tuple[int, bytes]]:
    """Ids and lines of rows that have not expired by ``now``; an empty line where one is unfit."""
    corrections = correction.Corrections(db)
    query = _ROWS.format(shift=correction.shift(db), where=where)
    end, queue_id, device_id = -math.inf, "", ""
    for number, text, priority, created_at, ttl_seconds in db.execute(query, values):
        if created_at + ttl_seconds <= now:
            continue
        if number >= end:
            _, queue_id, device_id, end = origin.of_row(db, number)
        about = (device_id, queue_id, number, priority, created_at, ttl_seconds)
        yield number, _line(about, corrections.payload(number, text))


def _line(values: Sequence[Any], payload: str) -> bytes:
    """One row as a line; empty where its payload is no JSON."""
    try:
        decoded = json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return b""
    if "\n" in payload or "\r" in payload:
        payload = json.dumps(decoded, ensure_ascii=False, separators=(",", ":"))
    head = json.dumps(dict(zip(_FIELDS, values, strict=True)), separators=(",", ":"))
    return f'{head[:-1]},"payload":{payload}}}\n'.encode()


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


@contextlib.contextmanager
def _fresh(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file that has its name only once it is whole and on the disk; for its owner alone."""
    part = path.with_name(f"{path.name}.part")
    _check_free(path)
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with _told(path), open(os.open(part, how, 0o600), "r+b") as raw:  # noqa: PTH123  # no path
        _lock(raw, path)
        try:
            # What an export left behind that was cut off, and whatever mode that had.
            raw.truncate(0)
            os.fchmod(raw.fileno(), 0o600)
            if path.suffix == ".gz":
                # The same bytes whenever the same is written.
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
                    yield packed
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
            # So that reading back asks the disk.
            os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            _check_free(path)
            part.replace(path)
            sync_directory(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _lock(raw: IO[bytes], path: Path) -> None:
    """Raises StoreError while another export writes the same file."""
    try:
        fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _refuse(path, "another export writes it")


def _check_free(path: Path) -> None:
    """Raises StoreError where there is such a file."""
    if os.path.lexists(path):
        _refuse(path, "there is such a file already; name another")


def _lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a finished file."""
    with _told(path), path.open("rb") as raw:
        yield from gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Let what the system says of the file leave as `StoreError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as exc:
        if isinstance(exc, StoreError):
            raise
        _refuse(path, getattr(exc, "strerror", None) or str(exc))


def _refuse(path: Path, why: str) -> NoReturn:
    raise StoreError(f"{path}: {why}; nothing was deleted from the queue", reason="EXPORT")
