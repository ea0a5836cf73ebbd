"""The reference ingest endpoint: takes what the agent sends and keeps every reading once.

For the demo, the tests and a bench, and as the pattern for a server of one's own. One
``POST /v1/ingest`` carries one batch; a reading is known by ``(queue_id, id)``, so a batch that
was stored but whose answer got lost is counted as repeated when it comes again. What was answered
with 200 is on the disk: the process may be killed at any instant and started again on its file.
"""

from edge_agent.receiver.server import Receiver
from edge_agent.receiver.store import Counts, ReceivedItem, ReceiverStore, Totals

__all__ = ["Counts", "ReceivedItem", "Receiver", "ReceiverStore", "Totals"]
