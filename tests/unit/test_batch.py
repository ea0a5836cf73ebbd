"""A batch: its bytes, its key, its halves."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cloud_sync import door
from edge_agent.cloud_sync.batch import ITEM_OVERHEAD_BYTES, Batch, Row, key_of
from edge_agent.types import Priority


def row(number: int, payload: dict[str, Any] | None = None, **changes: Any) -> Row:
    """A telemetry row."""
    plain = Row(number, door.encode(payload or {"n": number}), Priority.TELEMETRY, 1.0, 9, 0, 1.0)
    return dataclasses.replace(plain, **changes)


def test_batch_body_is_the_wire_s_shape() -> None:
    """Keys in the documented order; what is empty is left out."""
    batch = Batch("q", "d", (row(41), row(7)))
    assert batch.body() == (
        b'{"version":1,"device_id":"d","queue_id":"q",'
        b'"batch":[{"id":41,"data":{"n":41}},{"id":7,"data":{"n":7}}]}'
    )
    assert Batch("q", "", ()).body() == b'{"version":1,"queue_id":"q","batch":[]}'
    assert batch.ids == (41, 7)


TEXTS = st.dictionaries(
    st.text(max_size=5),
    st.text(max_size=9),
    max_size=3,
)


@given(st.lists(TEXTS, max_size=5), st.text())
def test_batch_body_is_json_and_a_pure_function_of_the_rows(
    payloads: list[dict[str, str]], device: str
) -> None:
    """Any text comes through; equal rows, whatever their retries, give equal bytes and keys."""
    rows = tuple(row(n, payload) for n, payload in enumerate(payloads, 1))
    body = Batch("q", device, rows).body()
    assert [item["data"] for item in json.loads(body)["batch"]] == [
        json.loads(r.payload) for r in rows
    ]
    assert json.loads(body).get("device_id", "") == device
    tried = tuple(dataclasses.replace(r, retry_count=9, next_retry_at=99.0) for r in rows)
    assert Batch("q", device, tried, open_ended=True).body() == body
    assert key_of(body) == key_of(bytes(body))
    assert key_of(body).strip('"').isalnum()


def test_batch_key_differs_with_anything_in_the_body() -> None:
    """Another queue, another id, another order."""
    batches = [
        Batch("q", "", (row(1), row(2))),
        Batch("r", "", (row(1), row(2))),
        Batch("q", "", (row(2), row(1))),
        Batch("q", "", (row(1),)),
    ]
    assert len({key_of(batch.body()) for batch in batches}) == 4


def test_batch_halves_share_the_rows_in_order() -> None:
    """Nothing lost, nothing twice, neither half waits for company."""
    batch = Batch("q", "d", tuple(row(n) for n in range(1, 6)), open_ended=True)
    first, second = batch.halves()
    assert (first.ids + second.ids, len(first.rows)) == (batch.ids, 2)
    assert (first.open_ended, second.open_ended) == (False, False)
    assert (second.queue_id, second.device_id) == ("q", "d")


def test_batch_item_overhead_holds_for_the_greatest_id() -> None:
    """The count of bytes that cuts a batch is never too small."""
    empty = len(Batch("q", "d", ()).body())
    one = row(2**63 - 1)
    grown = len(Batch("q", "d", (one, one)).body()) - empty
    assert grown <= 2 * (len(one.payload) + ITEM_OVERHEAD_BYTES)


def test_batch_is_as_urgent_and_as_old_as_its_extremes() -> None:
    """What the flusher decides by."""
    batch = Batch("q", "", (row(1), row(2, priority=Priority.ANOMALY, created_at=0.5)))
    assert (batch.most_urgent, batch.oldest) == (Priority.ANOMALY, 0.5)
