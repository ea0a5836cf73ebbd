# CloudSyncQueue API Reference, "maybe_flush(uploader)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821, I001
# fmt: off

from pyv_edge_agent.cloud_sync import HTTPCloudUploader
uploader = HTTPCloudUploader(
    endpoint="https://api.pyvorin.com/v1/ingest",
    api_key="pyv_live_xxxxxxxx",
    timeout=30.0,
)
flushed = queue.maybe_flush(uploader=uploader)
print(f"Flushed {flushed} items to cloud")
