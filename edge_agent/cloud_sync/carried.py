"""A file that `export` wrote, read on the machine that sends it; and how far that has come.

How far stands beside the file, with a digest of what is behind it: so it is believed only of the
same lines and the same endpoint. A batch that was sent without being noted is sent again, and the
server knows its ``(queue_id, id)``.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import math
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from edge_agent import files
from edge_agent.cloud_sync import door
from edge_agent.cloud_sync.batch import ITEM_OVERHEAD_BYTES, Batch, Row
from edge_agent.cloud_sync.verdict import shown
from edge_agent.errors import StoreError
from edge_agent.types import Priority

#: The longest line that is read: above any export's, and a bound for what unpacks to anything.
MOST_LINE_BYTES = 4 * door.MOST_PAYLOAD_BYTES
#: The most of a line that is none of an export which is repeated.
_LONGEST_REPEATED_BYTES = 64 * 1024
#: A queue's ids are rowids. Source: https://sqlite.org/lang_createtable.html#rowid
_MOST_ID = 2**63 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line of the file."""

    raw: bytes
    queue_id: str = ""
    device_id: str = ""
    #: None where the line is none of an export; `problem` says why
    row: Row | None = None
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """How far a file was sent, to which endpoint."""

    endpoint: str
    #: lines behind us, and the SHA-256 of them
    lines: int = 0
    digest: str = hashlib.sha256().hexdigest()
    #: of those, rows that the server took
    delivered: int = 0
    #: the others, and the bytes that they are in the file of those that were refused
    rejected: int = 0
    rejected_bytes: int = 0


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of the file, gzip where its name ends in ``.gz``.

    Raises:
        StoreError: it cannot be read, or not to its end; what could be was yielded before.
    """
    try:
        with path.open("rb") as raw:
            yield from _bounded(gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, zlib.error) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise StoreError(f"{path}: {why}; copy it anew", reason="CARRIED") from exc


def _bounded(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    """The lines; raises EOFError at one that is too long to be held."""
    while line := file.readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES:
            raise EOFError("a line is longer than any of an export")
        yield line


def parsed(raw: bytes) -> Line:
    """A line as what it says; with its problem where it is no exported row."""
    try:
        said = json.loads(raw)
        device_id = _text("device_id", said.get("device_id", ""))
        return Line(raw, _text("queue_id", said["queue_id"] or None), device_id, _row(said))
    except KeyError as exc:
        return Line(raw, problem=shown(f"no line of an export: it has no {exc}"))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        return Line(raw, problem=shown(f"no line of an export: {exc}"))


def _text(name: str, value: object) -> str:
    """A name as it goes over the wire; one with half a surrogate pair cannot."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value.encode().decode()


def _row(said: dict[str, Any]) -> Row:
    number = said["id"]
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"id is {number!r}, no whole number")
    if not 0 < number <= _MOST_ID:
        raise ValueError("id is none that a queue gives")
    created_at = float(said.get("created_at", 0.0))
    priority = Priority(said.get("priority", Priority.TELEMETRY))
    if not math.isfinite(created_at):
        raise ValueError(f"created_at is {created_at}")
    ttl_seconds = int(said.get("ttl_seconds", 0))
    payload = door.encode(said["payload"])
    return Row(number, payload, priority, created_at, ttl_seconds, 0, created_at)


def chunks(lines: Iterator[bytes], items: int, max_bytes: int) -> Iterator[list[Line]]:
    """Lines that fit one request: of one origin, so many rows and bytes; what is none, alone.

    Args:
        lines: of the file.
        items: most rows of a request.
        max_bytes: most bytes of a request's body; a single row always fits.

    Raises:
        StoreError: the file cannot be read any further; what could be was yielded before.
    """
    held: list[Line] = []
    size = 0
    try:
        for raw in lines:
            line = parsed(raw)
            grown = size + len(raw) + ITEM_OVERHEAD_BYTES
            if held and (len(held) == items or grown > max_bytes or not _joins(line, held)):
                yield held
                held, grown = [], len(raw) + ITEM_OVERHEAD_BYTES
            held.append(line)
            size = grown
    except StoreError:
        if held:
            yield held
        raise
    if held:
        yield held


def _joins(line: Line, held: list[Line]) -> bool:
    """Whether the line can go in one request with those held: of their origin, none of them."""
    last = held[-1]
    if last.row is None or line.row is None:
        return False
    if (last.queue_id, last.device_id) != (line.queue_id, line.device_id):
        return False
    # An export goes by the id; in what was put together from several, one may come again.
    return last.row.id < line.row.id


def batch_of(lines: list[Line]) -> Batch:
    """The request of a chunk."""
    rows = tuple(line.row for line in lines if line.row)
    return Batch(lines[0].queue_id, lines[0].device_id, rows)


def with_reason(line: Line, why: str) -> bytes:
    """The line with why it was refused, such as can be sent again; what is none as a text."""
    row = line.row
    if row is None:
        text = line.raw[:_LONGEST_REPEATED_BYTES].decode("utf-8", "replace")
        return json.dumps({"line": text, "reason": why}).encode() + b"\n"
    head = {
        "device_id": line.device_id,
        "queue_id": line.queue_id,
        "id": row.id,
        "priority": row.priority,
        "created_at": row.created_at,
        "ttl_seconds": row.ttl_seconds,
        "reason": why,
    }
    return f'{json.dumps(head)[:-1]},"payload":{row.payload}}}\n'.encode()


def reason_of(raw: bytes) -> str:
    """Which row a line of `with_reason` is of, and why it was refused; as a terminal shows it."""
    said = json.loads(raw)
    return shown(f"{said['id']}: {said['reason']}" if "id" in said else str(said["reason"]))


def recall(file: Path, endpoint: str) -> Position:
    """How far a file was sent to an endpoint; its beginning where nobody knows."""
    try:
        position = Position(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return Position(endpoint)
    counts = position.lines, position.delivered, position.rejected, position.rejected_bytes
    known = all(isinstance(count, int) and 0 <= count <= sys.maxsize for count in counts)
    return position if known and position.endpoint == endpoint else Position(endpoint)


def keep(file: Path, position: Position) -> None:
    """Note how far a file was sent; durable when this returns.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        files.replace(file, json.dumps(dataclasses.asdict(position)).encode())
    except OSError as exc:
        raise StoreError(
            f"{file}: {exc.strerror}; copy the export to where this user may write", reason="OS"
        ) from exc
