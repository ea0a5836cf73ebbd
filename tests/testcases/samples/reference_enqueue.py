# CloudSyncQueue API Reference, "enqueue(payload, priority, ttl_seconds)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: I001
# fmt: off

from pyv_edge_agent.cloud_sync import CloudSyncQueue, Priority
queue = CloudSyncQueue(db_path="/data/sync.db")
item_id = queue.enqueue(
    payload={"sensor": "boiler", "value": 85.0, "alert": "overheat"},
    priority=Priority.CRITICAL,
    ttl_seconds=3600,
)
print(f"Enqueued item {item_id}")
