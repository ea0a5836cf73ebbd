"""The kinds of value: what each takes, what it makes of it, and the sentence when it does not."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.secret_kinds import Headers, Secret, SecretFile, Url
from edge_agent.kinds import Expanded
from edge_agent.options import (
    AnyOf,
    Choice,
    Duration,
    Flag,
    Kind,
    Labels,
    Number,
    Required,
    Size,
    Step,
    Text,
    Whole,
    option,
    options_of,
)


@dataclasses.dataclass(frozen=True)
class Probe:
    """A driver's options, as a driver declares them."""

    pin: int = option(Whole(0, 27), help="Where it is wired.")
    hold_s: float = option(Duration(), 0.5, help="How long.")
    room_bytes: int = option(AnyOf((Choice(("all",)), Size())), 1024, help="How much.")
    labels: dict[str, Any] = option(Labels(), help="What for.", fresh=dict)
    counted: int = 0


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (Text(), "12:30", "12:30"),
        (Flag(), True, True),
        (Choice(("full", "normal")), "full", "full"),
        (Whole(), 118, 118),
        (Whole(), 1e3, 1000),
        (Number(), 3, 3.0),
        (Step((8, 860)), 860.0, 860),
        (Step((0.256, 4.096)), 4.096, 4.096),
        (Duration(), "500ms", 0.5),
        (Duration(), "5 min", 300.0),
        (Duration(), "5m", 300.0),
        (Duration(), "1.5h", 5400.0),
        (Duration(), "7d", 604_800.0),
        (Size(), "64KiB", 65_536),
        (Size(), "1GB", 10**9),
        (Size(), "0.5kB", 500),
        (Labels(), {"site": "lyon", "floor": 2}, {"site": "lyon", "floor": 2}),
        (AnyOf((Whole(), Text())), 1, 1),
        (AnyOf((Whole(), Text())), "/dev/i2c-1", "/dev/i2c-1"),
        (Url(), "https://[::1]:8443/v1?x=1", "https://[::1]:8443/v1?x=1"),
        (Headers(), {"X-Tenant": "north"}, {"X-Tenant": "north"}),
    ],
)
def test_kind_given_what_it_takes_gives_the_value(kind: Kind, written: object, value: object):
    """What people write becomes the value they mean."""
    assert kind.parse(written) == value


@pytest.mark.parametrize(
    ("kind", "written", "sentence"),
    [
        (Text(), 12, "12 is no text; put it in quotes if it is meant as one"),
        (Text("/.+", "a path"), "var", "'var' is not a path"),
        (Flag(), "yes", "'yes' is neither true nor false"),
        (Choice(("full", "normal")), "ful", "'ful' is not one of full, normal"),
        (Choice(("full", "normal")), [], "[] is not one of full, normal"),
        (Whole(), True, "True is no whole number"),
        (Whole(), 1.5, "1.5 is no whole number"),
        (Whole(), "5", "'5' is no whole number"),
        (Whole(0x76, 0x77, hexadecimal=True), 120, "0x78 is more than 0x77, the most allowed"),
        (Number(), "3", "'3' is no number"),
        (Number(), float("inf"), "inf is not a finite number"),
        (Number(least=0), -0.5, "-0.5 is less than 0, the least allowed"),
        (Step((1, 4.096)), 4, "4 is not one of 1 · 4.096"),
        (Step((1, 4.096)), True, "True is not one of 1 · 4.096"),
        (Step((0x23, 0x5C), hexadecimal=True), 36, "0x24 is not one of 0x23 · 0x5c"),
        (Step((1, 4.096)), [], "[] is not one of 1 · 4.096"),
        (Duration(), 30, "30 has no unit; did you mean '30s'?"),
        (Size(), 512, "512 has no unit; did you mean '512MiB'?"),
        (Duration(), "soon", "'soon' is not a duration; write it like '30s'"),
        (Duration(), "-5s", "'-5s' is not a duration; write it like '30s'"),
        (Duration(), "5w", "'5w' has an unknown unit; known are s, ms, min, m, h, d"),
        (Duration(most=60), "2min", "'2min' is more than 1min, the most allowed"),
        (Duration(), "9" * 5000 + "s", f"'{'9' * 55}...' is not a duration; write it like '30s'"),
        (Labels(), {"a": {}}, "the label 'a' must be a text, a number or a switch"),
        (Labels(), "lyon", "'lyon' is no mapping; write it like {site: lyon}"),
        (Url(), "api.example.com", "is no URL; write it like https://api.example.com/v1/ingest"),
        (Url(), "ftp://h/", "is no URL; write it like https://api.example.com/v1/ingest"),
        (Url(), "http://[", "is no URL; write it like https://api.example.com/v1/ingest"),
        (Url(), "http://h:99999/", "is no URL; write it like https://api.example.com/v1/ingest"),
        (Headers(), [], "is no mapping; write it like {X-Tenant: north}"),
        (Headers(), {"a b": "x"}, "'a b' is no name for a header"),
        (Headers(), {"X": "a\nb"}, "the header 'X' must be a text of one line, in ASCII"),
        (
            Headers(ours=("host",)),
            {"Host": "x"},
            "the header 'Host' is set by the agent itself; leave it out",
        ),
    ],
)
def test_kind_given_something_else_says_what_is_wrong(kind: Kind, written: object, sentence: str):
    """The sentence says what was written and what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        kind.parse(written)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (Secret(), 123456),
        (Secret(), "123 456"),
        (SecretFile(), "123456"),
        (Url(), "user:123456@host"),
        (Headers(), {"X": "123456\n"}),
        (Text("a", "a letter"), Expanded("123456", "${KEY}")),
        (Duration(), Expanded("123456", "${KEY}")),
    ],
)
def test_kind_refusing_a_secret_does_not_show_it(kind: Kind, written: object):
    """Neither a secret nor a value of the environment gets into a message."""
    with pytest.raises(ValueError, match=r"^(?!.*123)"):
        kind.parse(written)


@given(st.floats(min_value=0, max_value=10**9, allow_nan=False))
def test_duration_written_and_parsed_is_the_same(value: float):
    """Writing a duration loses nothing that a person could have written."""
    value = round(value, 6)
    assert Duration().parse(Duration().write(value)) == value


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_size_written_and_parsed_is_the_same(value: int):
    """Writing a size loses nothing."""
    assert Size().parse(Size().write(value)) == value


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Duration(), 0.0, "0s"),
        (Duration(), 0.5, "500ms"),
        (Duration(), 0.0005, "0.0005s"),
        (Duration(), 90.0, "90s"),
        (Duration(), 300.0, "5min"),
        (Duration(), 7_776_000.0, "90d"),
        (Size(), 1024**2, "1MiB"),
        (Size(), 1500, "1500B"),
        (Whole(hexadecimal=True), 5, "0x05"),
        (Number(), 1e-7, "0.0000001"),
        (Flag(), False, "false"),
    ],
)
def test_kind_writes_a_value_as_people_do(kind: Kind, value: object, text: str):
    """The largest unit that leaves a whole number, and never an exponent."""
    assert kind.write(value) == text


def test_options_of_a_dataclass_are_its_declared_fields():
    """Keys lose the unit that the value carries; a plain field is no option."""
    declared = {o.name: (o.key, o.default) for o in options_of(Probe)}
    assert declared == {
        "pin": ("pin", Required),
        "hold_s": ("hold", 0.5),
        "room_bytes": ("room", 1024),
        "labels": ("labels", {}),
    }


def test_option_with_a_key_of_its_own_is_written_so():
    """Where one word for people and another for the code is right."""

    @dataclasses.dataclass(frozen=True)
    class Door:
        alarms: int = option(Whole(), 0, key="alarm", help="How often.")

    assert [(o.name, o.key) for o in options_of(Door)] == [("alarms", "alarm")]


def test_option_of_a_secret_kind_stays_out_of_the_repr():
    """A configuration can be logged whole."""

    @dataclasses.dataclass(frozen=True)
    class Door:
        key: str = option(Secret(), help="Opens it.")

    assert "sesame" not in repr(Door("sesame"))
