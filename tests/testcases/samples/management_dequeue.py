# Queue Management and Backpressure, "dequeue(): Retrieving Batches", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

items = queue.dequeue(batch_size=50)
for item in items:
    print(f"ID={item.id} priority={item.priority.name} "
          f"retries={item.retry_count}")
