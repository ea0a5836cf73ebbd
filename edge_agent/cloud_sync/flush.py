"""`CloudSyncQueue.maybe_flush`: everything at once, for programs that drive the queue themselves.

Works through the queue's public methods, so no lock is held while the uploader works.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action
from edge_agent.events import event

_log = logging.getLogger(__name__)

#: Where the ``post_batch`` lives beside which a ``send`` stands that carries the rows' own ids.
_OURS = "edge_agent.cloud_sync.uploader"


class Queue(Protocol):
    """The methods of the queue that a flush needs; each is documented there."""

    def all_batches(self) -> list[Batch]:
        """Everything that may be sent now, a batch for each ``queue_id``."""

    def note_request(self, ids: Sequence[int]) -> bool:
        """Keep that a request will carry these items; False where they must be chosen anew."""

    def ack_sent(self, ids: Sequence[int]) -> int:
        """Delete delivered items and count them as sent."""

    def nack(self, ids: Sequence[int]) -> int:
        """Put items off."""

    def dead_letter(self, ids: Sequence[int], reason: str) -> int:
        """Set condemned items aside."""

    def discard(self, ids: Sequence[int]) -> int:
        """Delete items unsent."""


def flush_all(queue: Queue, uploader: Any) -> int:
    """Send and settle all that may be sent now; returns how many items left the queue."""
    batches = queue.all_batches()
    ids = [number for batch in batches for number in batch.ids]
    if not ids:
        return 0
    if uploader is None:
        _log.warning(event("discarded", items=len(ids), why="maybe_flush without an uploader"))
        return queue.discard(ids)
    while not queue.note_request(ids):
        # The clock was set since they were chosen, and corrected them.
        batches = queue.all_batches()
        ids = [number for batch in batches for number in batch.ids]
    # A program's own ``post_batch``, overriding ours or not, is called as documented.
    if getattr(uploader.post_batch, "__module__", None) == _OURS:
        return sum(_send(queue, batch, uploader) for batch in batches)
    return _post(queue, batches, uploader)


def _post(queue: Queue, batches: Sequence[Batch], uploader: Any) -> int:
    """All payloads through ``post_batch``; one that raises has failed as well."""
    ids = [number for batch in batches for number in batch.ids]
    taken = False
    try:
        taken = uploader.post_batch([json.loads(row.payload) for b in batches for row in b.rows])
    finally:
        if not taken:
            queue.nack(ids)
    return queue.ack_sent(ids) if taken else 0


def _send(queue: Queue, batch: Batch, uploader: Any) -> int:
    """One batch with its ids on the wire, settled item by item as the server said."""
    verdict = uploader.send(batch)
    if verdict.action is Action.TOO_LARGE and len(batch.rows) > 1:
        return _send_halves(queue, batch, uploader)
    named = verdict.rejected.keys() | verdict.retry
    accepted = [number for number in batch.ids if number not in named]
    # A server that refuses everything it was sent is more likely wrong than every reading is.
    if verdict.action is not Action.DELIVERED or not accepted:
        queue.nack(batch.ids)
        return 0
    taken = queue.ack_sent(accepted)
    for number, reason in verdict.rejected.items():
        taken += queue.dead_letter([number], reason)
    queue.nack(sorted(verdict.retry))
    return taken


def _send_halves(queue: Queue, batch: Batch, uploader: Any) -> int:
    """A batch that is too large, in two; the second only if the first found a taker."""
    first, second = batch.halves()
    taken = _send(queue, first, uploader)
    if not taken:
        queue.nack(second.ids)
        return 0
    return taken + _send(queue, second, uploader)
