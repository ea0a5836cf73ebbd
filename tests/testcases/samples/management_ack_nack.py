# Queue Management and Backpressure, "ack() and nack(): Completion Semantics", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821, I001
# fmt: off

from pyv_edge_agent.cloud_sync.uploader import HTTPCloudUploader
uploader = HTTPCloudUploader(endpoint="https://api.pyvorin.com/v1/ingest")
items = queue.dequeue(batch_size=10)
if items:
    payloads = [item.payload for item in items]
    success = uploader.post_batch(payloads)
    if success:
        queue.ack([item.id for item in items])
    else:
        queue.nack([item.id for item in items], retry_delay_seconds=120.0)
