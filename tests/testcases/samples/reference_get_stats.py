# CloudSyncQueue API Reference, "get_stats()", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

stats = queue.get_stats()
print(f"Depth: {stats['depth']}, Retrying: {stats['retrying_items']}")
