# Queue Management and Backpressure, "Queue Depth Monitoring", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

# Simple depth count
depth = queue.pending_count()
print(f"Queue depth: {depth}")
# Full statistics
stats = queue.get_stats()
print(f"Depth: {stats['depth']}")
print(f"Oldest item: {stats['oldest_item_timestamp']}")
print(f"Total retries across all items: {stats['total_retries']}")
print(f"Items currently retrying: {stats['retrying_items']}")
