"""The demo's books: what was read, against what lies at the receiver."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from edge_agent.cloud_sync import CloudSyncQueue


@dataclasses.dataclass(frozen=True, slots=True)
class Books:
    """The same readings, counted in four places."""

    #: by the poller, as it handed them over
    read: int
    #: by the queue's ledger
    enqueued: int
    delivered: int
    queued: int
    #: at the receiver: items stored, different readings among them, and repeats it recognised
    stored: int
    different: int
    repeated: int

    @property
    def lost(self) -> int:
        """Readings that are not at the receiver."""
        return self.read - self.different

    @property
    def duplicates(self) -> int:
        """Readings that are there more than once."""
        return self.stored - self.different

    @property
    def closed(self) -> bool:
        """Whether every reading was delivered once, wherever one counts."""
        same = self.read == self.enqueued == self.delivered == self.stored
        return same and self.lost == self.duplicates == self.queued == 0 and self.read > 0

    def text(self) -> str:
        """The last lines of the demo."""
        verdict = "The ledger closes." if self.closed else "THE LEDGER DOES NOT CLOSE."
        return (
            f"\nLedger\n"
            f"  read        {self.read:7}\n"
            f"  delivered   {self.delivered:7}   still queued {self.queued}\n"
            f"  lost        {self.lost:7}\n"
            f"  duplicates  {self.duplicates:7}   the receiver recognised {self.repeated} repeats\n"
            f"{verdict}\n"
        )


def close_books(directory: Path) -> Books:
    """Count, after everything has stopped.

    Args:
        directory: the demo's: status.json, sync_queue.db and received.db are in it.
    """
    status = json.loads((directory / "status.json").read_text(encoding="utf-8"))
    with CloudSyncQueue(directory / "sync_queue.db") as queue:
        ledger = queue.ledger()
    # Every command loads this module, the daemon too; none but the demo needs a receiver.
    from edge_agent.receiver import ReceiverStore  # noqa: PLC0415

    store = ReceiverStore(directory / "received.db")
    try:
        items = list(store.items())
        repeated = store.totals().repeated
    finally:
        store.close()
    different = {(item.data["sensor_name"], item.data["timestamp"]) for item in items}
    return Books(
        read=status["read_total"],
        enqueued=ledger.enqueued,
        delivered=ledger.delivered,
        queued=ledger.queued,
        stored=len(items),
        different=len(different),
        repeated=repeated,
    )
