"""Stored and forwarded: the queue file, and the uploader that empties it.

``from edge_agent.cloud_sync import CloudSyncQueue, Priority, QueueItem, HTTPCloudUploader`` is the
published API. The uploader is imported when it is first asked for: ``requests`` is the largest
import of all, and a program that only enqueues does not need it.
"""

from typing import TYPE_CHECKING, Any

from edge_agent.cloud_sync.queue import CloudSyncQueue, QueueItem
from edge_agent.types import Priority

if TYPE_CHECKING:
    from edge_agent.cloud_sync.uploader import HTTPCloudUploader

__all__ = ["CloudSyncQueue", "HTTPCloudUploader", "Priority", "QueueItem"]


def __getattr__(name: str) -> Any:
    """Import the uploader when it is first named (PEP 562)."""
    if name != "HTTPCloudUploader":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edge_agent.cloud_sync.uploader import HTTPCloudUploader  # noqa: PLC0415  # see above

    return HTTPCloudUploader
