# CloudSyncQueue API Reference, "dequeue(batch_size)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

items = queue.dequeue(batch_size=50)
for item in items:
    print(f"ID={item.id}, Priority={item.priority.name}, Retry={item.retry_count}")
