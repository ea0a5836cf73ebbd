"""The published record of one queued reading."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from edge_agent.clock import SystemClock
from edge_agent.cloud_sync.batch import Row
from edge_agent.types import Priority


@dataclasses.dataclass
class QueueItem:
    """One queued reading, decoded."""

    id: int
    payload: dict[str, Any]
    priority: Priority
    #: queue time, Unix seconds
    created_at: float
    ttl_seconds: int
    retry_count: int = 0
    #: queue time, Unix seconds
    next_retry_at: float = dataclasses.field(default_factory=SystemClock().wall)

    def to_dict(self) -> dict[str, Any]:
        """The item as a JSON-representable dictionary, the priority as its number."""
        return dataclasses.asdict(self) | {"priority": self.priority.value}


def decoded(row: Row) -> QueueItem:
    """A stored row as the published record."""
    fields = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return QueueItem(**fields | {"payload": json.loads(row.payload)})
