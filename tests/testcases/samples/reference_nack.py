# CloudSyncQueue API Reference, "nack(ids, retry_delay_seconds)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

failed_ids = [item.id for item in items]
updated = queue.nack(failed_ids, retry_delay_seconds=300.0)
print(f"Scheduled {updated} items for retry in 5 minutes")
