"""`CloudSyncQueue.maybe_flush`: everything at once, for programs that drive the queue themselves.

Works through the queue's public methods, so no lock is held while the uploader works.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action
from edge_agent.events import event

if TYPE_CHECKING:
    from edge_agent.cloud_sync.queue import CloudSyncQueue

_log = logging.getLogger(__name__)


def flush_all(queue: CloudSyncQueue, uploader: Any) -> int:
    """Send and settle all that may be sent now; returns how many items left the queue."""
    batches = queue.all_batches()
    ids = [number for batch in batches for number in batch.ids]
    if not ids:
        return 0
    if uploader is None:
        _log.warning(event("discarded", items=len(ids), why="maybe_flush without an uploader"))
        return queue.discard(ids)
    if hasattr(uploader, "send"):
        return sum(_send(queue, batch, uploader) for batch in batches)
    payloads = [json.loads(row.payload) for batch in batches for row in batch.rows]
    if uploader.post_batch(payloads):
        return queue.ack_sent(ids)
    queue.nack(ids)
    return 0


def _send(queue: CloudSyncQueue, batch: Batch, uploader: Any) -> int:
    """One batch with its ids on the wire, settled item by item as the server said."""
    verdict = uploader.send(batch)
    if verdict.action is not Action.DELIVERED:
        queue.nack(batch.ids)
        return 0
    named = verdict.rejected.keys() | verdict.retry
    taken = queue.ack_sent([number for number in batch.ids if number not in named])
    # A server that refuses everything it was sent is more likely wrong than every reading is.
    if not taken:
        queue.nack(batch.ids)
        return 0
    for number, reason in verdict.rejected.items():
        taken += queue.dead_letter([number], reason)
    queue.nack(sorted(verdict.retry))
    return taken
