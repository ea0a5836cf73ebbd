"""What goes into one request: rows of one origin, and the bytes they make.

The body is put together from the stored text without decoding it, and is a pure function of the
rows: the same rows give the same bytes and so the same idempotency key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Container, Iterable

from edge_agent.types import Priority

#: The version of the request body.
WIRE_VERSION = 1
#: What ``{"id":…,"data":…},`` adds to a stored payload, at the most: 19 digits of id.
ITEM_OVERHEAD_BYTES = 35


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One stored reading, its payload still the JSON text it was stored as."""

    id: int
    #: JSON text of one object
    payload: str
    priority: Priority
    #: queue time, Unix seconds
    created_at: float
    ttl_seconds: int
    retry_count: int
    #: queue time, Unix seconds
    next_retry_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request, in the order they are sent; all of one origin."""

    #: which queue the ids belong to; with an id it names a reading for ever
    queue_id: str
    device_id: str
    rows: tuple[Row, ...]
    #: whether more rows could have joined; False when it was cut by number, bytes or origin
    open_ended: bool = False

    @property
    def ids(self) -> tuple[int, ...]:
        """The rows' ids, in order."""
        return tuple(row.id for row in self.rows)

    @property
    def most_urgent(self) -> Priority:
        """The highest priority among the rows."""
        return min(row.priority for row in self.rows)

    @property
    def oldest(self) -> float:
        """The smallest ``created_at`` among the rows, queue time."""
        return min(row.created_at for row in self.rows)

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches with the same rows in the same order; for a batch of two or more."""
        middle = len(self.rows) // 2
        first = dataclasses.replace(self, rows=self.rows[:middle], open_ended=False)
        return first, dataclasses.replace(self, rows=self.rows[middle:], open_ended=False)

    def only(self, ids: Container[int]) -> Batch:
        """The batch without the rows that are not among ``ids``."""
        return dataclasses.replace(self, rows=tuple(row for row in self.rows if row.id in ids))

    def body(self) -> bytes:
        """The request body, UTF-8, uncompressed."""
        items = ((row.id, row.payload) for row in self.rows)
        return wire_body(items, device_id=self.device_id, queue_id=self.queue_id)


def wire_body(items: Iterable[tuple[int, str]], **head: str) -> bytes:
    """The body of one request.

    Args:
        items: pairs of id and payload, the payload as JSON text.
        head: texts that stand before the batch; empty ones are left out.
    """
    said = {"version": WIRE_VERSION} | {name: text for name, text in head.items() if text}
    opening = json.dumps(said, separators=(",", ":"))[:-1]
    batch = ",".join(f'{{"id":{number},"data":{text}}}' for number, text in items)
    return f'{opening},"batch":[{batch}]}}'.encode()


def key_of(body: bytes) -> str:
    """The Idempotency-Key of a body: same bytes, same key.

    Source:
        draft-ietf-httpapi-idempotency-key-header: a structured-field string, so in quotes.
    """
    return f'"{hashlib.sha256(body).hexdigest()}"'
