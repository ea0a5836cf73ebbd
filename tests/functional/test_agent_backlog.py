"""The whole agent on a backlog of a million rows: it starts, reads and sends as on an empty one."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable

import pytest
from fakes.processes import Site, until

from edge_agent.cloud_sync import CloudSyncQueue

pytestmark = pytest.mark.slow

CONFIG = """
queue: {{path: {queue}, max_size: 4GiB, min_free_disk: 0B, commit_interval: 100ms}}
upload: {{endpoint: 'http://127.0.0.1:9/', auth: none, retry_delay: 100ms}}
health: {{upload_interval: 0s}}
sensors: [{{name: probe, type: simulated, interval: 100ms}}]
"""
#: A reading a second, the last one now.
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO sync_queue (payload, priority, created_at, ttl_seconds, retry_count, next_retry_at)
SELECT '{"sensor_name": "probe", "value": 20.5, "unit": "celsius", "timestamp": ' || i || '}',
       2, :now - :rows + i, 100000000, 0, :now - :rows + i FROM n
"""


@pytest.mark.fault(
    "depth",
    "1,000,000 queued rows",
    how="the agent is started on a file with so many rows, and on an empty one",
)
def test_agent_on_a_million_rows_starts_in_the_memory_of_an_empty_queue(
    site: Site, tell: Callable[[str], None]
) -> None:
    """Within 16 MiB; how long it took is told."""
    site.config.write_text(CONFIG.format(queue=site.queue))
    peaks: dict[int, int] = {}
    for rows in (0, 1_000_000):
        CloudSyncQueue(site.queue).close()
        with contextlib.closing(sqlite3.connect(site.queue)) as db, db:
            db.execute(FILL, {"rows": rows, "now": time.time()} if rows else {"rows": 1, "now": 1})
        begun = time.monotonic()
        agent = site.agent()
        ready_s = time.monotonic() - begun
        until(lambda: site.status()["read_total"] > 30, "readings")
        late = site.status()["overruns_total"]
        peaks[rows] = agent.peak_bytes()
        assert agent.end() == 0
        mib = peaks[rows] / (1 << 20)
        tell(f"{rows} rows: ready after {ready_s:.2f} s, {mib:.0f} MiB, {late} ticks missed")
    assert peaks[1_000_000] - peaks[0] < 16 << 20
