"""The receiver's store and the reading of its requests, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.errors import StoreError
from edge_agent.receiver import ReceiverStore
from edge_agent.receiver.batch import Batch, Refusal, read_batch


def body(**changes: Any) -> bytes:
    """A good body of two items, with parts changed; a part that is None is left out."""
    document = {
        "version": 1,
        "device_id": "pi-7",
        "queue_id": "q-1",
        "batch": [{"id": 41, "data": {"value": 2.4}}, {"id": 42, "data": {"value": 2.5}}],
        **changes,
    }
    return json.dumps({key: part for key, part in document.items() if part is not None}).encode()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Any:
    store = ReceiverStore(tmp_path / "receiver.db", clock)
    yield store
    store.close()


def test_batch_of_a_good_body_holds_its_items_in_order() -> None:
    """Ids and data come out as they went in; the key plays no part beside a queue_id."""
    assert read_batch(body(), '"k"') == Batch(
        device_id="pi-7",
        queue_id="q-1",
        request_key="",
        items=((41, '{"value":2.4}'), (42, '{"value":2.5}')),
    )


def test_batch_without_queue_id_is_known_by_key_and_position() -> None:
    """What a program posts without ids is told apart by its request."""
    batch = read_batch(body(queue_id=None, batch=[{"data": {}}, {"data": {"a": 1}}]), '"k"')
    assert (batch.queue_id, batch.request_key) == ("", '"k"')
    assert batch.items == ((0, "{}"), (1, '{"a":1}'))


def test_batch_without_items_needs_neither_queue_id_nor_key() -> None:
    """The empty batch asks whether the endpoint works; nothing of it can be repeated."""
    assert read_batch(body(queue_id=None, batch=[])).items == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b'{"version": 1', "no JSON"),
        (b"1" * 5000, "no JSON"),
        (b"[" * 200_000, "too deeply"),
        (b"[]", "version"),
        (body(version=2), "version"),
        (body(batch=None), "batch"),
        (body(batch={}), "batch"),
        (body(device_id=""), "device_id"),
        (body(device_id="x" * 201), "device_id"),
        (body(queue_id=7), "queue_id"),
        (body(queue_id="\ud800"), "queue_id"),
        (body(queue_id=None), "Idempotency-Key"),
        (body(batch=[{"id": 1, "data": {}}, 5]), "batch[1]"),
        (body(batch=[{"id": 1}]), "batch[0]"),
        (body(batch=[{"id": 1, "data": [1]}]), "batch[0]"),
        (body(batch=[{"data": {}}]), "batch[0].id"),
        (body(batch=[{"id": True, "data": {}}]), "batch[0].id"),
        (body(batch=[{"id": -1, "data": {}}]), "batch[0].id"),
        (body(batch=[{"id": 2**63, "data": {}}]), "batch[0].id"),
        (body(batch=[{"id": 1, "data": {"value": float("nan")}}]), "batch[0].data"),
        (body(batch=[{"id": 1, "data": {"value": 1}}]).replace(b": 1}}", b": 1e999}}"), "infinity"),
    ],
)
def test_batch_of_a_wrong_body_is_refused_with_the_part_that_is_wrong(
    wrong: bytes, said: str
) -> None:
    """Every wrong shape draws one sentence that names it."""
    with pytest.raises(Refusal) as refused:
        read_batch(wrong)
    assert said in str(refused.value)
    assert refused.value.status == 400


def test_store_keeps_an_item_once_over_repeats(store: ReceiverStore, clock: FakeClock) -> None:
    """The first arrival stays as it was; what comes again is counted."""
    assert store.store(read_batch(body())) == (2, 0)
    clock.advance(60)
    later = [{"id": 42, "data": {"value": 9}}, {"id": 43, "data": {}}, {"id": 43, "data": {}}]
    assert store.store(read_batch(body(device_id="pi-8", batch=later))) == (1, 2)
    assert store.totals() == (2, 3, 2)
    first, second, third = store.items()
    assert (first.id, second.id, third.id) == (41, 42, 43)
    assert (second.data, second.device_id) == ({"value": 2.5}, "pi-7")
    assert third.arrived_at - second.arrived_at == 60


def test_store_takes_equal_ids_of_different_queues_for_different_items(
    store: ReceiverStore,
) -> None:
    """An id is unique within its queue; a key that looks like a queue_id is none."""
    store.store(read_batch(body()))
    assert store.store(read_batch(body(queue_id="q-2"))) == (2, 0)
    unnumbered = body(queue_id=None, batch=[{"data": {}}] * 43)
    assert store.store(read_batch(unnumbered, "q-1")) == (43, 0)
    assert store.store(read_batch(unnumbered, "q-1")) == (0, 43)
    assert store.store(read_batch(unnumbered, "q-3")) == (43, 0)


def test_store_opened_again_goes_on_counting(tmp_path: Path, clock: FakeClock) -> None:
    """Totals and items belong to the file, not to the process."""
    path = tmp_path / "receiver.db"
    for expected in ((2, 0), (0, 2)):
        store = ReceiverStore(path, clock)
        assert store.store(read_batch(body())) == expected
        store.close()
    again = ReceiverStore(path, clock)
    assert again.totals() == (2, 2, 2)
    again.close()


def test_store_flushes_every_commit(store: ReceiverStore) -> None:
    """WAL and synchronous=FULL (2): an answered batch survives a power cut."""
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_store_that_fails_midway_keeps_nothing_of_the_batch(store: ReceiverStore) -> None:
    """A request is one transaction."""
    impossible = Batch("pi-7", "q-1", "", ((1, "{}"), (2**64, "{}")))
    with pytest.raises(OverflowError):
        store.store(impossible)
    assert list(store.items()) == []
    assert store.totals() == (0, 0, 0)


def test_store_on_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """A wrong --db is one sentence with the file's name."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(StoreError, match=r"notes\.txt") as refused:
        ReceiverStore(path)
    assert refused.value.reason == "SQLITE_NOTADB"


def test_store_in_no_folder_says_so(tmp_path: Path) -> None:
    """A missing directory is named, not made."""
    with pytest.raises(StoreError, match="nowhere"):
        ReceiverStore(tmp_path / "nowhere" / "receiver.db")


def test_store_after_close_says_so(tmp_path: Path) -> None:
    """A request that comes late is refused, not lost in silence; closing twice is harmless."""
    store = ReceiverStore(tmp_path / "receiver.db")
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.store(read_batch(body()))
