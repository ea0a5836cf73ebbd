"""Readings that were taken before the clock was right, and what becomes of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from edge_agent.cloud_sync.queue import CloudSyncQueue

DAY_S = 86_400.0
STEP_S = 3 * DAY_S


def reading(at: float, **metadata: Any) -> dict[str, Any]:
    """One, stamped by a clock that nobody has set."""
    return {"sensor_name": "t", "timestamp": at, "metadata": {"clock": "unsynced"} | metadata}


def stored(path: Path, sql: str) -> list[Any]:
    """What stands in the file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def seen(queue: CloudSyncQueue) -> list[tuple[int, Any, Any, float]]:
    """Id, mark, timestamp and age of what may be sent."""
    return [
        (i.id, i.payload["metadata"]["clock"], i.payload["timestamp"], queue.now() - i.created_at)
        for i in queue.dequeue(100)
    ]
