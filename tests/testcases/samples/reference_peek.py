# CloudSyncQueue API Reference, "peek(n)", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

up_next = queue.peek(n=3)
for item in up_next:
    print(item.payload)
