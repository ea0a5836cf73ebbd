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
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent import files
from edge_agent.cloud_sync import door
from edge_agent.cloud_sync.batch import ITEM_OVERHEAD_BYTES, Batch, Row
from edge_agent.errors import PayloadError, StoreError
from edge_agent.types import Priority


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
            yield from gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise StoreError(f"{path}: {why}; copy it anew", reason="CARRIED") from exc


def parsed(raw: bytes) -> Line:
    """A line as what it says; with its problem where it is no exported row."""
    try:
        said = json.loads(raw)
        queue_id, device_id = _text(said["queue_id"]), str(said.get("device_id", ""))
        return Line(raw, queue_id, device_id, _row(said))
    except KeyError as exc:
        return Line(raw, problem=f"no line of an export: it has no {exc}")
    except (ValueError, TypeError, AttributeError, RecursionError, PayloadError) as exc:
        return Line(raw, problem=f"no line of an export: {exc}")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("queue_id is no text")
    return value


def _row(said: dict[str, Any]) -> Row:
    number = said["id"]
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"id is {number!r}, no whole number")
    created_at = float(said.get("created_at", 0.0))
    priority = Priority(said.get("priority", Priority.TELEMETRY))
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
            if held and (len(held) == items or grown > max_bytes or not _alike(held[-1], line)):
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


def _alike(one: Line, other: Line) -> bool:
    """Whether both can go in one request."""
    if one.row is None or other.row is None:
        return False
    return (one.queue_id, one.device_id) == (other.queue_id, other.device_id)


def batch_of(lines: list[Line]) -> Batch:
    """The request of a chunk."""
    rows = tuple(line.row for line in lines if line.row)
    return Batch(lines[0].queue_id, lines[0].device_id, rows)


def with_reason(line: Line, why: str) -> bytes:
    """The line with why it was refused, such as can be sent again; what is none as a text."""
    said = json.loads(line.raw) if line.row else {"line": line.raw.decode("utf-8", "replace")}
    return json.dumps({**said, "reason": why}, ensure_ascii=False).encode() + b"\n"


def reason_of(raw: bytes) -> str:
    """Which row a line of `with_reason` is of, and why it was refused."""
    said = json.loads(raw)
    return f"{said['id']}: {said['reason']}" if "id" in said else str(said["reason"])


def recall(file: Path, endpoint: str) -> Position:
    """How far a file was sent to an endpoint; its beginning where nobody knows."""
    try:
        position = Position(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Position(endpoint)
    return position if position.endpoint == endpoint else Position(endpoint)


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
