# Queue Management and Backpressure, "ack() and nack(): Completion Semantics", as published.
# A published text keeps its form and may use what the page defined before.
# ruff: noqa: F821
# fmt: off

MAX_RETRIES = 5
items = queue.dequeue(batch_size=10)
# ... attempt upload ...
if not success:
    to_retry = []
    to_dead_letter = []
    for item in items:
        if item.retry_count < MAX_RETRIES:
            to_retry.append(item.id)
        else:
            to_dead_letter.append(item)
    if to_retry:
        queue.nack(to_retry, retry_delay_seconds=300.0)
    for item in to_dead_letter:
        write_to_local_log(item.payload) # preserve for forensic analysis
        queue.ack([item.id]) # remove from queue so it does not block others
