"""A server without a network: an uploader whose far end remembers what it was sent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action, Verdict

#: What the server does with one request.
Answer = Callable[["FakeServer", Batch], Verdict]


class FakeServer:
    """Keeps the contract of `edge_agent.daemon.flusher.Uploader`; de-duplicates like a receiver.

    Answers come from `script` while there are any, then from `usual`.
    """

    def __init__(self, usual: Answer | None = None) -> None:
        self.usual = usual or take
        self.script: deque[Answer] = deque()
        #: (queue_id, id) -> the reading, in the order of first arrival
        self.taken: dict[tuple[str, int], dict[str, Any]] = {}
        self.duplicates = 0
        self.requests: list[Batch] = []
        self.sent_bytes = 0
        #: whether requests get out at all
        self.reached = True
        self.another_key = False

    def key_changed(self) -> bool:
        return self.another_key

    def send(self, batch: Batch) -> Verdict:
        self.requests.append(batch)
        self.sent_bytes += len(batch.body()) if self.reached else 0
        self.another_key = False
        answer = self.script.popleft() if self.script else self.usual
        return answer(self, batch)

    @property
    def values(self) -> list[Any]:
        """The readings' values, in the order of first arrival."""
        return [data["value"] for data in self.taken.values()]

    @property
    def sent(self) -> list[list[Any]]:
        """The values in each request."""
        return [[_data(row.payload)["value"] for row in batch.rows] for batch in self.requests]

    def keep(self, batch: Batch, *, but: AbstractSet[int] = frozenset()) -> None:
        """Store the batch's items, all but some."""
        for row in batch.rows:
            if row.id not in but:
                self.duplicates += (batch.queue_id, row.id) in self.taken
                self.taken.setdefault((batch.queue_id, row.id), _data(row.payload))


def take(server: FakeServer, batch: Batch) -> Verdict:
    """200."""
    server.keep(batch)
    return Verdict(Action.DELIVERED, "HTTP 200")


def lose_answer(server: FakeServer, batch: Batch) -> Verdict:
    """It stored everything, and the answer did not arrive."""
    server.keep(batch)
    return Verdict(Action.LINK_DOWN, "reset: the connection was cut")


def babble(server: FakeServer, batch: Batch) -> Verdict:
    """It stored everything, and its answer cannot be believed."""
    server.keep(batch)
    return Verdict(Action.DISBELIEVED, "the answer is longer than 64 KiB")


def answer(action: Action, retry_after_s: float | None = None) -> Answer:
    """One verdict for every request."""
    return lambda _server, _batch: Verdict(action, f"because_{action.value}", retry_after_s)


BROKEN = answer(Action.BROKEN)
DOWN = answer(Action.LINK_DOWN)
BUSY = answer(Action.HELD)
REFUSE = answer(Action.REFUSED)
SUSPEND = answer(Action.SUSPENDED)


def name_items(*, rejected: int = 0, retry: int = 0) -> Answer:
    """A 2xx that rejects the first items, wants the next ones again, and takes the rest."""

    def judge(server: FakeServer, batch: Batch) -> Verdict:
        refused = dict.fromkeys(batch.ids[:rejected], "not mine")
        again = frozenset(batch.ids[rejected : rejected + retry])
        server.keep(batch, but=refused.keys() | again)
        return Verdict(Action.DELIVERED, "HTTP 200", rejected=refused, retry=again)

    return judge


def poisoned_by(*values: Any, action: Action = Action.REFUSED) -> Answer:
    """Refuses a whole request if one of these values is in it."""

    def judge(server: FakeServer, batch: Batch) -> Verdict:
        if any(_data(row.payload)["value"] in values for row in batch.rows):
            return Verdict(action, "HTTP 422 what is this")
        return take(server, batch)

    return judge


def _data(payload: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(payload)
    return data
