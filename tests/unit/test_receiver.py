"""The receiver's store and the reading of its requests, without a network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.errors import StoreError
from edge_agent.receiver import ReceiverStore
from edge_agent.receiver.batch import Batch, Item, Refusal, read_batch
from edge_agent.receiver.claims import Claims


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
    """Ids and data come out as they went in; the key tells no items apart beside a queue_id."""
    batch = read_batch(body(), '"k"')
    assert batch == Batch(
        device_id="pi-7",
        queue_id="q-1",
        key='"k"',
        digest=hashlib.sha256(body()).digest(),
        items=(Item(41, 41, '{"value":2.4}'), Item(42, 42, '{"value":2.5}')),
        rejected={},
    )
    assert batch.request_key == ""


def test_batch_without_queue_id_is_known_by_key_and_position() -> None:
    """What a program posts without a queue is told apart by its request; verdicts name its ids."""
    items = [{"data": {}}, {"id": 7, "data": {"a": 1}}]
    batch = read_batch(body(queue_id=None, batch=items), '"k"')
    assert (batch.queue_id, batch.request_key) == ("", '"k"')
    assert batch.items == (Item(0, 0, "{}"), Item(1, 7, '{"a":1}'))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"id": 41}, "data is no object"),
        ({"id": 41, "data": [1]}, "data is no object"),
        ({"id": 41, "data": {"value": float("nan")}}, "NaN"),
        ({"id": 41, "data": {"value": float("inf")}}, "infinity"),
    ],
)
@pytest.mark.parametrize("queue_id", ["q-1", None])
def test_batch_with_an_item_that_cannot_be_kept_rejects_it_alone(
    bad: dict[str, Any], why: str, queue_id: str | None
) -> None:
    """The others are as good as before."""
    batch = read_batch(body(queue_id=queue_id, batch=[bad, {"id": 42, "data": {}}]), '"k"')
    assert [item.name for item in batch.items] == [42]
    assert list(batch.rejected) == [41]
    assert why in batch.rejected[41]


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
        (body(batch=[{"data": {}}]), "batch[0].id"),
        (body(batch=[{"id": True, "data": {}}]), "batch[0].id"),
        (body(batch=[{"id": -1, "data": {}}]), "batch[0].id"),
        (body(batch=[{"id": 2**63, "data": {}}]), "batch[0].id"),
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
    assert store.store(read_batch(body())).counts == (2, 0)
    clock.advance(60)
    later = [{"id": 42, "data": {"value": 9}}, {"id": 43, "data": {}}, {"id": 43, "data": {}}]
    assert store.store(read_batch(body(device_id="pi-8", batch=later))).counts == (1, 2)
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
    assert store.store(read_batch(body(queue_id="q-2"))).counts == (2, 0)
    unnumbered = body(queue_id=None, batch=[{"data": {}}] * 43)
    assert store.store(read_batch(unnumbered, "q-1")).counts == (43, 0)
    assert store.store(read_batch(unnumbered, "q-1")).counts == (0, 43)
    assert store.store(read_batch(unnumbered, "q-3")).counts == (43, 0)


def test_store_opened_again_goes_on_counting(tmp_path: Path, clock: FakeClock) -> None:
    """Totals and items belong to the file, not to the process."""
    path = tmp_path / "receiver.db"
    for expected in ((2, 0), (0, 2)):
        store = ReceiverStore(path, clock)
        assert store.store(read_batch(body())).counts == expected
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
    good = read_batch(body(), '"k"')
    items = (Item(1, 1, "{}"), Item(2**64, 2, "{}"))
    with pytest.raises(OverflowError):
        store.store(dataclasses.replace(good, items=items))
    assert list(store.items()) == []
    assert store.totals() == (0, 0, 0)
    assert not store.store(good).replayed


def test_store_asked_the_same_again_gives_the_first_answer(tmp_path: Path) -> None:
    """Also another process on the file, also where an item could not be kept; nothing is stored."""
    items = [{"id": 1}, {"id": 2, "data": {}}, {"id": 3, "data": {}}]
    batch = read_batch(body(batch=items), '"k"')
    store = ReceiverStore(tmp_path / "receiver.db")
    first = store.store(batch)
    why = [{"id": 1, "reason": "data is no object"}]
    assert first.said == {"stored": 2, "repeated": 0, "rejected": why}
    store.close()
    store = ReceiverStore(tmp_path / "receiver.db")
    assert store.store(batch) == ((0, 2), first.said, True)
    assert [item.id for item in store.items()] == [2, 3]
    assert store.totals() == (2, 2, 2)
    store.close()


@pytest.mark.parametrize("for_now", [{"rejected": {1: "why"}}, {"retry": [1]}])
def test_store_that_refused_or_put_off_an_item_judges_the_same_anew(
    store: ReceiverStore, for_now: dict[str, Any]
) -> None:
    """Or what is to come again would come in vain for as long as it comes in the same company."""
    batch = read_batch(body(batch=[{"id": n, "data": {}} for n in (1, 2)]), '"k"')
    first = store.store(batch, **for_now)
    assert (first.counts, [*first.said]) == ((1, 0), ["stored", "repeated", *for_now])
    assert store.store(batch, **for_now).counts == (0, 1)
    assert store.store(batch) == ((1, 1), {"stored": 1, "repeated": 1}, False)
    assert store.store(batch).replayed


def test_store_refuses_a_key_that_stands_for_another_body(store: ReceiverStore) -> None:
    """422, nothing of it is stored, and the first answer stays."""
    store.store(read_batch(body(), '"k"'))
    with pytest.raises(Refusal, match="another body") as refused:
        store.store(read_batch(body(batch=[{"id": 43, "data": {}}]), '"k"'))
    assert refused.value.status == 422
    assert store.totals() == (1, 2, 0)
    assert store.store(read_batch(body(), '"k"')).replayed


def test_store_shared_by_two_processes_keeps_each_item_once(store: ReceiverStore) -> None:
    """The file decides, and not what one of them remembers."""
    other = ReceiverStore(store._path)
    assert store.store(read_batch(body(), '"k"')).counts == (2, 0)
    assert other.store(read_batch(body(), '"k"')).replayed
    assert other.store(read_batch(body(), '"l"')).counts == (0, 2)
    other.close()


def test_claims_let_a_key_be_worked_on_once_at_a_time() -> None:
    """409 to the second; another key, none, and the same afterwards are free."""
    claims = Claims()
    with claims.hold("k"), claims.hold("l"), claims.hold(""), claims.hold(""):
        with pytest.raises(Refusal, match="in progress") as refused, claims.hold("k"):
            pass
        assert refused.value.status == 409
        with pytest.raises(Refusal), claims.hold("k"):
            pass
    with claims.hold("k"):
        pass


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
