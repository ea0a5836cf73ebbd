# CloudSyncQueue API Reference, "ack(ids)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

success_ids = [item.id for item in items]
deleted = queue.ack(success_ids)
print(f"Acknowledged {deleted} items")
