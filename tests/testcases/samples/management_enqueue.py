# Queue Management and Backpressure, "enqueue(): Adding Items", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: I001
# fmt: off

from pyv_edge_agent.cloud_sync.queue import CloudSyncQueue, Priority
from pyv_edge_agent.types import SensorReading
queue = CloudSyncQueue(db_path="/var/lib/pyvorin/sync_queue.db")
reading = SensorReading(
    sensor_name="temp.cold_chain",
    timestamp=1717000000.0,
    value=2.4,
    unit="celsius",
    metadata={"zone": "A"},
)
item_id = queue.enqueue(
    payload=reading.to_dict(),
    priority=Priority.TELEMETRY,
    ttl_seconds=86400, # retain for 24 hours
)
print(f"Enqueued item {item_id}")
