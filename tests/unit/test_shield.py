"""What the shield does to a reading: drop, hash, round, by path; and what it never lets through."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.processing.privacy import Shield
from edge_agent.types import SensorReading

KEY = b"0123456789abcdef"


def reading(value: Any = 2.4, **metadata: Any) -> SensorReading:
    return SensorReading("temp.cold_chain", 1_717_000_000.0, value, "celsius", metadata)


def shield(**rules: Any) -> Shield:
    return Shield(key=lambda: KEY, **rules)


def sum_of(text: str) -> str:
    """RFC 2104, written out."""
    return hmac.new(KEY, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def test_shield_without_rules_returns_the_reading_itself() -> None:
    """Who keeps nothing secret pays nothing."""
    given_reading = reading(operator="ann")
    assert shield().apply(given_reading) is given_reading


def test_shield_drops_fields_and_leaves_the_rest() -> None:
    """The unit becomes empty, a label is gone; a path that leads nowhere does nothing."""
    rules = shield(drop=["metadata.operator", "unit", "metadata.nobody.home"])
    kept = rules.apply(reading(operator="ann", zone="A", clock="unsynced"))
    assert kept.to_dict() == {
        "sensor_name": "temp.cold_chain",
        "timestamp": 1_717_000_000.0,
        "value": 2.4,
        "unit": "",
        "metadata": {"zone": "A", "clock": "unsynced"},
    }


def test_shield_follows_a_path_into_mappings_and_keys_with_dots() -> None:
    """However a driver nests it, no way that reads as the path is left."""
    before = reading(
        **{
            "a": {"b": {"c": "x", "d": 1}, "b.c": "x"},
            "a.b": {"c": "x"},
            "a.b.c": "x",
            "abc": "x",
        }
    )
    after = shield(drop=["metadata.a.b.c"]).apply(before)
    assert after.metadata == {"a": {"b": {"d": 1}}, "a.b": {}, "abc": "x"}


def test_shield_changes_nothing_it_was_given() -> None:
    """A sensor's metadata is shared by all of its readings."""
    before = reading(a={"b": "x"}, c="y")
    shield(drop=["metadata.a.b"], hashed=["metadata.c"]).apply(before)
    assert before.metadata == {"a": {"b": "x"}, "c": "y"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("badge 7", "badge 7"),
        ("É", "É"),
        ("\ud800", "\ud800"),
        (7, "7"),
        (2.50, "2.5"),
        (True, "true"),
        (None, "null"),
        ({"b": [1], "a": "É"}, '{"a":"\\u00c9","b":[1]}'),
    ],
)
def test_shield_hash_is_the_hmac_of_the_text_or_the_json(value: Any, text: str) -> None:
    """So a server that has the key can find the same person again."""
    assert shield(hashed=["metadata.id"]).apply(reading(id=value)).metadata["id"] == sum_of(text)


@pytest.mark.parametrize("value", [{1, 2}, {1: "a", "b": 2}, b"x"])
def test_shield_drops_what_it_cannot_hash(value: Any) -> None:
    """What JSON cannot hold does not pass as it is."""
    assert shield(hashed=["metadata.id"]).apply(reading(id=value)).metadata == {}


def test_shield_without_a_key_drops_what_was_to_be_hashed_until_there_is_one() -> None:
    """No field passes because a key is missing."""
    keys = [None, KEY]
    rules = Shield(hashed=["metadata.id"], key=lambda: keys.pop(0))
    assert rules.apply(reading(id=1, zone="A")).metadata == {"zone": "A"}
    assert rules.apply(reading(id=1)).metadata["id"] == sum_of("1")


def test_shield_asks_for_no_key_where_nothing_is_hashed() -> None:
    """A key that nobody needs is not made."""

    def key() -> bytes:
        pytest.fail("nobody needs a key")

    Shield(hashed=["metadata.id"], drop=["metadata.a"], key=key).apply(reading(a=1))


@pytest.mark.parametrize(
    ("value", "digits", "rounded"),
    [
        (45.764043, 2, 45.76),
        (1234, -2, 1200),
        (7, 2, 7),
        ("45.764043", 2, "45.764043"),
        (True, 0, True),
        (float("nan"), 2, "nan"),
        (float("inf"), 2, "inf"),
    ],
)
def test_shield_rounds_numbers_and_leaves_all_else(value: Any, digits: int, rounded: Any) -> None:
    """Decimal places; a number that is none stays none."""
    after = shield(rounded={"metadata.lat": digits}).apply(reading(lat=value)).metadata["lat"]
    assert (str(after), type(after)) == (str(rounded), type(value))


def test_shield_repr_shows_no_key() -> None:
    """It may end in a log."""
    assert KEY.decode() not in repr(vars(shield(hashed=["metadata.id"])))


SCALARS = st.text() | st.integers() | st.floats() | st.booleans() | st.none()
TREES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner), max_leaves=8
)


@given(st.dictionaries(st.sampled_from(["a", "b", "a.b"]), TREES))
def test_shield_leaves_no_way_to_a_dropped_field(metadata: dict[str, Any]) -> None:
    """Whatever the metadata, nothing in it reads as the path any more; what is left is JSON."""
    rules = shield(drop=["metadata.a.b"], hashed=["metadata.b"])
    after = rules.apply(reading(**metadata)).metadata
    paths = dict(_paths(after))
    assert not [path for path in paths if path == "a.b" or path.startswith("a.b.")]
    assert all(len(paths[path]) == 64 for path in paths if path == "b")
    json.dumps(after)


def _paths(mapping: Mapping[str, Any], before: str = "") -> Any:
    for key, value in mapping.items():
        yield f"{before}{key}", value
        if isinstance(value, Mapping):
            yield from _paths(value, f"{before}{key}.")
