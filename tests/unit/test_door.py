"""The queue's door: what becomes JSON text, and what is refused with the path of what is wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pathlib
import types
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cloud_sync import door
from edge_agent.errors import PayloadError

NAN = float("nan")


def nested(depth: int, core: Any) -> Any:
    """``core`` in so many lists."""
    for _ in range(depth):
        core = [core]
    return core


def self_contained() -> dict[str, Any]:
    """A dictionary with itself in it."""
    payload: dict[str, Any] = {}
    payload["again"] = payload
    return payload


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC), "2024-05-06 07:08:09+00:00"),
        (dt.date(2024, 5, 6), "2024-05-06"),
        (dt.time(7, 8), "07:08:00"),
        (dt.timedelta(hours=1), "1:00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
    ],
)
def test_door_stores_what_everybody_reads_as_text(value: object, text: str) -> None:
    """As ``json.dumps(payload, default=str)`` would."""
    assert json.loads(door.encode({"v": value})) == {"v": text}


def test_door_keeps_unicode_as_it_is() -> None:
    """UTF-8, compact, no escapes; also what looks like markup or ends a line."""
    payload = {"température": "23 °C ☃ 🌡 \u2028 \x00 \"'\\ </script>"}
    assert json.loads(door.encode(payload)) == payload
    assert "☃" in door.encode(payload)


@pytest.mark.fault(
    "poison",
    "a payload at the queue's door",
    how="NaN, infinity, cycles, too deep, too large, at a path",
    part="the queue's door",
)
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"a": {"b": [1, NAN]}}, "payload.a.b[1] is nan"),
        ({"a": float("-inf")}, "payload.a is -inf"),
        ({"a": ({"b": object()},)}, "payload.a[0].b is not JSON: object"),
        ({"a": {1, 2}}, "payload.a is not JSON: set"),
        ({"a": b"x"}, "payload.a is not JSON: bytes"),
        ({"a": types.MappingProxyType({})}, "payload.a is not JSON: mappingproxy"),
        ({"a": "\ud800"}, "payload.a is a text with half a surrogate pair"),
        ({"a": {"\udfff": 1}}, "a key of payload.a is a text with half"),
        ({"a": {(1, 2): 3}}, "a key of payload.a is not JSON: keys must be"),
        ({NAN: 1}, "a key of payload is not JSON"),
        ({"n": 10**5000}, "payload.n is not JSON"),
        ({"a": nested(10_000, 1)}, "nested too deeply"),
        ({"a": nested(700, NAN)}, "payload"),
        (self_contained(), "contains itself"),
        ({"a": "é" * door.MOST_PAYLOAD_BYTES}, f"more than {door.MOST_PAYLOAD_BYTES}"),
        ([1], "a dictionary, not list"),
        (None, "a dictionary, not NoneType"),
    ],
)
def test_door_refuses_with_the_path(payload: Any, said: str) -> None:
    """One sentence that names the value; never another kind of error."""
    with pytest.raises(PayloadError) as refused:
        door.encode(payload)
    assert said in str(refused.value)
    str(refused.value).encode()


def test_door_takes_the_largest_payload_and_not_a_byte_more() -> None:
    """The limit counts bytes of UTF-8 JSON."""
    room = door.MOST_PAYLOAD_BYTES - len(door.encode({"a": ""}))
    assert len(door.encode({"a": "x" * room})) == door.MOST_PAYLOAD_BYTES
    with pytest.raises(PayloadError):
        door.encode({"a": "x" * (room + 1)})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_door_gives_json_that_means_the_payload_or_refuses(payload: dict[str, Any]) -> None:
    """Whatever passes is strict JSON and reads back as what was handed over."""

    def strict(constant: str) -> None:
        raise AssertionError(constant)

    try:
        text = door.encode(payload)
    except PayloadError:
        return
    assert json.loads(text.encode(), parse_constant=strict) == payload
