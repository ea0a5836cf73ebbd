"""The published pages' code samples, run as they stand, and every name and default they promise."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cloud_sync import CloudSyncQueue, HTTPCloudUploader, Priority, QueueItem
from edge_agent.cloud_sync import queue as queue_module
from edge_agent.receiver import Receiver

SAMPLES = Path(__file__).parent.parent / "testcases" / "samples"

SCHEMA = """
CREATE TABLE IF NOT EXISTS sync_queue (
id INTEGER PRIMARY KEY AUTOINCREMENT,
payload TEXT NOT NULL,
priority INTEGER NOT NULL,
created_at REAL NOT NULL,
ttl_seconds INTEGER NOT NULL,
retry_count INTEGER NOT NULL DEFAULT 0,
next_retry_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS idx_sync_queue_priority
ON sync_queue(priority, next_retry_at);
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path / "receiver.db") as receiver:
        yield receiver


@pytest.fixture
def run(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a sample with import root, path and endpoint changed; closes what it opened."""
    monkeypatch.chdir(tmp_path)
    opened: list[Any] = []

    def run_it(name: str, **names: Any) -> dict[str, Any]:
        text = (SAMPLES / f"{name}.py").read_text(encoding="utf-8")
        for old, new in (
            ("pyv_edge_agent", "edge_agent"),
            ("https://api.pyvorin.com/v1/ingest", receiver.url),
            ('"/tmp/', f'"{tmp_path}/'),
            ('"/data/', f'"{tmp_path}/data/'),
            ('"/var/lib/pyvorin/', f'"{tmp_path}/'),
        ):
            text = text.replace(old, new)
        space = dict(names)
        exec(compile(text, name, "exec"), space)  # noqa: S102  # running the samples is the point
        opened.extend(space[key] for key in ("queue", "uploader") if key in space)
        return space

    yield run_it
    for thing in opened:
        thing.close()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[CloudSyncQueue]:
    """Three readings, queued."""
    with CloudSyncQueue(tmp_path / "sync_queue.db") as queue:
        for number in range(3):
            queue.enqueue({"n": number})
        yield queue


def test_every_sample_of_the_pages_has_its_test() -> None:
    """A sample that nobody runs proves nothing."""
    names = {path.stem for path in SAMPLES.glob("*.py")}
    source = Path(__file__).read_text(encoding="utf-8")
    assert len(names) == 15
    assert {name for name in names if f'run("{name}"' not in source} == set()


def test_sample_enqueue_of_the_reference_stores(run: Run, tmp_path: Path, capsys: Any) -> None:
    """The directory is made, the row is there with its priority and TTL."""
    space = run("reference_enqueue")
    assert capsys.readouterr().out == "Enqueued item 1\n"
    (item,) = space["queue"].dequeue()
    assert item.payload == {"sensor": "boiler", "value": 85.0, "alert": "overheat"}
    assert (item.priority, item.ttl_seconds) == (Priority.CRITICAL, 3600)
    assert (tmp_path / "data" / "sync.db").is_file()


def test_samples_dequeue_and_peek_print_what_is_next(
    run: Run, queue: CloudSyncQueue, capsys: Any
) -> None:
    """Ids in order, names of the priorities, payloads."""
    run("reference_dequeue", queue=queue)
    run("reference_peek", queue=queue)
    assert capsys.readouterr().out == (
        "ID=1, Priority=TELEMETRY, Retry=0\nID=2, Priority=TELEMETRY, Retry=0\n"
        "ID=3, Priority=TELEMETRY, Retry=0\n{'n': 0}\n{'n': 1}\n{'n': 2}\n"
    )


def test_sample_ack_removes(run: Run, queue: CloudSyncQueue, capsys: Any) -> None:
    """As many as it says."""
    run("reference_ack", queue=queue, items=queue.dequeue(2))
    assert capsys.readouterr().out == "Acknowledged 2 items\n"
    assert queue.pending_count() == 1


def test_sample_nack_puts_off_for_five_minutes(
    run: Run, queue: CloudSyncQueue, capsys: Any
) -> None:
    """Still there, not eligible, counted as tried."""
    run("reference_nack", queue=queue, items=queue.dequeue())
    assert capsys.readouterr().out == "Scheduled 3 items for retry in 5 minutes\n"
    assert queue.dequeue() == []
    assert queue.get_stats()["retrying_items"] == 3


def test_sample_maybe_flush_of_the_reference_delivers(
    run: Run, queue: CloudSyncQueue, receiver: Receiver, capsys: Any
) -> None:
    """The receiver has what the queue had."""
    run("reference_maybe_flush", queue=queue)
    assert capsys.readouterr().out == "Flushed 3 items to cloud\n"
    assert [item.data for item in receiver.store.items()] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert queue.pending_count() == 0


def test_sample_get_stats_prints_depth_and_retries(
    run: Run, queue: CloudSyncQueue, capsys: Any
) -> None:
    """Of three, one waits."""
    queue.nack([1])
    run("reference_get_stats", queue=queue)
    assert capsys.readouterr().out == "Depth: 3, Retrying: 1\n"


def test_sample_from_dict_makes_a_queue(run: Run, tmp_path: Path) -> None:
    """At the path the mapping names."""
    assert (
        run("reference_from_dict", CloudSyncQueue=CloudSyncQueue)["queue"].path
        == tmp_path / "data" / "queue.db"
    )


def test_sample_workflow_of_the_reference_ends_empty(
    run: Run, receiver: Receiver, capsys: Any
) -> None:
    """A hundred readings in, a hundred at the receiver, nothing left."""
    run("reference_workflow")
    out = capsys.readouterr().out.splitlines()
    assert (out[0], out[2]) == ("Pending: 100", "Flushed: 100")
    assert out[1].count("QueueItem(id=") == 3
    assert "'depth': 0" in out[3]
    assert "'oldest_item_timestamp': None" in out[3]
    received = [item.data["value"] for item in receiver.store.items()]
    assert received == [float(n) for n in range(100)]


def test_sample_enqueue_of_the_article_stores_a_reading(run: Run, capsys: Any) -> None:
    """As `SensorReading` writes it."""
    space = run("management_enqueue")
    assert capsys.readouterr().out == "Enqueued item 1\n"
    (item,) = space["queue"].peek()
    assert item.payload == {
        "sensor_name": "temp.cold_chain",
        "timestamp": 1717000000.0,
        "value": 2.4,
        "unit": "celsius",
        "metadata": {"zone": "A"},
    }


def test_sample_dequeue_of_the_article_prints(run: Run, queue: CloudSyncQueue, capsys: Any) -> None:
    """One line an item."""
    run("management_dequeue", queue=queue)
    assert capsys.readouterr().out.splitlines()[0] == "ID=1 priority=TELEMETRY retries=0"


def test_sample_ack_and_nack_of_the_article_settle_what_was_posted(
    run: Run, queue: CloudSyncQueue, receiver: Receiver
) -> None:
    """Delivered and acked; with the receiver gone, nacked."""
    assert run("management_ack_nack", queue=queue)["success"] is True
    assert (receiver.store.totals().items, queue.pending_count()) == (3, 0)
    queue.enqueue({"n": 3})
    receiver.close()
    before = time.time()
    assert run("management_ack_nack", queue=queue)["success"] is False
    (waiting,) = _rows(queue.path, "SELECT retry_count, next_retry_at FROM sync_queue")
    assert waiting[0] == 1
    assert waiting[1] >= before + 120


def test_sample_dead_letter_of_the_article_keeps_to_its_limit(
    run: Run, queue: CloudSyncQueue
) -> None:
    """The item tried five times goes to the program's log, the others wait."""
    for _ in range(5):
        queue.nack([2], retry_delay_seconds=0)
    logged: list[Any] = []
    run("management_dead_letter", queue=queue, success=False, write_to_local_log=logged.append)
    assert logged == [{"n": 1}]
    assert _rows(queue.path, "SELECT id, retry_count FROM sync_queue") == [(1, 1), (3, 1)]


def test_sample_maybe_flush_of_the_article_delivers_positionally(
    run: Run, tmp_path: Path, receiver: Receiver, capsys: Any
) -> None:
    """Path and endpoint given by position, the path relative."""
    with CloudSyncQueue(tmp_path / "sync_queue.db") as before:
        before.enqueue({"n": 1})
    run("management_maybe_flush")
    assert capsys.readouterr().out == "Flushed 1 items this cycle\n"
    assert receiver.store.totals().items == 1


def test_sample_monitoring_prints_all_four_figures(
    run: Run, queue: CloudSyncQueue, capsys: Any
) -> None:
    """Depth, age, retries."""
    queue.nack([1, 2])
    queue.nack([1])
    run("management_monitoring", queue=queue)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Queue depth: 3"
    assert out[1] == "Depth: 3"
    assert float(out[2].removeprefix("Oldest item: ")) == pytest.approx(time.time(), abs=600)
    assert out[3:] == ["Total retries across all items: 3", "Items currently retrying: 2"]


def test_schema_of_the_file_is_the_published_one(queue: CloudSyncQueue) -> None:
    """Column for column, and the index."""
    with sqlite3.connect(":memory:") as published:
        published.executescript(SCHEMA)
        for pragma in ("table_info(sync_queue)", "index_info(idx_sync_queue_priority)"):
            assert _rows(queue.path, f"PRAGMA {pragma}") == list(
                published.execute(f"PRAGMA {pragma}")
            )
    published.close()
    sql = "SELECT sql FROM sqlite_schema WHERE name IN ('sync_queue', 'idx_sync_queue_priority')"
    wanted = [text.strip().replace(" IF NOT EXISTS", "") for text in SCHEMA.split(";")[:2]]
    squeezed = ["".join(text.split()) for (text,) in _rows(queue.path, sql)]
    assert squeezed == ["".join(text.split()) for text in wanted]


@pytest.mark.parametrize(
    ("call", "promised"),
    [
        (CloudSyncQueue.__init__, {"db_path": "sync_queue.db"}),
        (
            CloudSyncQueue.enqueue,
            {"payload": ..., "priority": Priority.TELEMETRY, "ttl_seconds": 86400},
        ),
        (CloudSyncQueue.dequeue, {"batch_size": 10}),
        (CloudSyncQueue.peek, {"n": 5}),
        (CloudSyncQueue.ack, {"ids": ...}),
        (CloudSyncQueue.nack, {"ids": ..., "retry_delay_seconds": 60.0}),
        (CloudSyncQueue.maybe_flush, {"uploader": None}),
        (CloudSyncQueue.pending_count, {}),
        (CloudSyncQueue.get_stats, {}),
        (CloudSyncQueue.reset_daily_counters, {}),
        (CloudSyncQueue.from_dict, {"d": ...}),
        (HTTPCloudUploader.post_batch, {"payloads": ...}),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_signature_is_the_published_one(call: Any, promised: dict[str, Any]) -> None:
    """Names, order and defaults of what can be given by position."""
    found = {
        name: ... if parameter.default is parameter.empty else parameter.default
        for name, parameter in inspect.signature(call).parameters.items()
        if name != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }
    assert list(found.items()) == list(promised.items())


def test_uploader_takes_endpoint_key_and_timeout_in_this_order() -> None:
    """As the samples give them; the endpoint alone is enough."""
    names = list(inspect.signature(HTTPCloudUploader).parameters)
    assert names[:3] == ["endpoint", "api_key", "timeout"]
    HTTPCloudUploader("https://example.com/v1/ingest", "key", 10.0).close()


def test_item_has_the_published_fields_and_defaults() -> None:
    """Four must be given, the rest is there; the last one is now."""
    names = [field.name for field in dataclasses.fields(QueueItem)]
    assert names == [
        "id", "payload", "priority", "created_at", "ttl_seconds", "retry_count", "next_retry_at",
    ]  # fmt: skip
    before = time.time()
    item = QueueItem(1, {"a": 1}, Priority.LOGS, 2.0, 3)
    assert item.retry_count == 0
    assert before <= item.next_retry_at <= time.time()
    assert list(item.to_dict()) == names
    assert json.loads(json.dumps(item.to_dict()))["priority"] == 4
    item.retry_count += 1


def test_priority_has_the_published_values() -> None:
    """A lower number is more urgent; it is found under both modules."""
    assert {p.name: p.value for p in Priority} == {
        "CRITICAL": 1,
        "ANOMALY": 2,
        "TELEMETRY": 3,
        "LOGS": 4,
    }
    assert queue_module.Priority is Priority
    assert Priority.LOGS >= Priority.LOGS > Priority.CRITICAL


def test_return_values_are_of_the_published_kinds(queue: CloudSyncQueue) -> None:
    """Numbers where numbers are promised, also for nothing; None where a flush never was."""
    assert queue.last_flush_time is None
    assert queue.messages_sent_today == 0
    assert (queue.ack([]), queue.nack([]), queue.ack([1]), queue.nack([2, 99])) == (0, 0, 1, 1)
    assert set(queue.get_stats()) == {
        "depth",
        "oldest_item_timestamp",
        "total_retries",
        "retrying_items",
    }
    assert queue.reset_daily_counters() is None  # type: ignore[func-returns-value]  # the promise


def _rows(path: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()
