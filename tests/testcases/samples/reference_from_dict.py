# CloudSyncQueue API Reference, "from_dict()", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

config = {"db_path": "/data/queue.db"}
queue = CloudSyncQueue.from_dict(config)
