# CloudSyncQueue API Reference, "Complete Workflow Example", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: I001, S108
# fmt: off

import time
from pyv_edge_agent.cloud_sync import CloudSyncQueue, Priority, HTTPCloudUploader
queue = CloudSyncQueue(db_path="/tmp/edge_queue.db")
# Enqueue readings from multiple sensors
for i in range(100):
    queue.enqueue(
        payload={"sensor": "motor", "value": float(i), "timestamp": time.time()},
        priority=Priority.TELEMETRY,
    )
# Check queue depth
print(f"Pending: {queue.pending_count()}")
# Peek at next batch
print(queue.peek(n=3))
# Simulate upload
uploader = HTTPCloudUploader(
    endpoint="https://api.pyvorin.com/v1/ingest",
    api_key="pyv_test_xxxxxxxx",
    timeout=10.0,
)
flushed = queue.maybe_flush(uploader=uploader)
print(f"Flushed: {flushed}")
# Final stats
print(queue.get_stats())
