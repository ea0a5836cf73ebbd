"""Which fields may be named under privacy, and what is said of those that may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_agent.config.loader import Loaded
from edge_agent.config.privacy import Privacy


def test_privacy_is_taken_as_it_is_written(load_text: Callable[..., Loaded]) -> None:
    """The example of the contract."""
    loaded = load_text(
        "privacy:\n  drop: [metadata.operator]\n  hash: [metadata.badge_id]\n"
        "  round: {metadata.lat: 2, metadata.lon: 2}\n"
    )
    assert loaded.config.privacy == Privacy(
        drop=("metadata.operator",),
        hash=("metadata.badge_id",),
        round={"metadata.lat": 2, "metadata.lon": 2},
    )


DROPPED = "dropped is unit or metadata.NAME"
HASHED = "hashed is metadata.NAME"
BROKEN = {
    "fields that are none": (
        """\
privacy:
  drop: [metdata.x, operator, 5, metadata, metadata.]
  hash: [unti]
  round: {metdata.lat: 2}
""",
        f"""\
2:10: privacy.drop[0]: 'metdata.x' is no field (did you mean 'metadata.x'?); what can be {DROPPED}
2:21: privacy.drop[1]: 'operator' is no field (did you mean 'metadata.operator'?); what can be \
{DROPPED}
2:31: privacy.drop[2]: 5 is no text; put it in quotes if it is meant as one
2:34: privacy.drop[3]: 'metadata' is no field; what can be {DROPPED}
2:44: privacy.drop[4]: 'metadata.' is no field; what can be {DROPPED}
3:10: privacy.hash[0]: 'unti' is no field (did you mean 'unit'?); what can be {HASHED}
4:24: privacy.round.metdata.lat: 'metdata.lat' is no field (did you mean 'metadata.lat'?); \
what can be rounded is metadata.NAME
""",
    ),
    "fields that a server needs": (
        """\
privacy:
  drop: [sensor_name, timestamp, value, metadata.clock]
  hash: [timestamp, value]
  round: {unit: 1}
""",
        """\
2:10: privacy.drop[0]: 'sensor_name' cannot be dropped; what can is unit or metadata.NAME
2:23: privacy.drop[1]: 'timestamp' cannot be dropped; what can is unit or metadata.NAME
2:34: privacy.drop[2]: 'value' cannot be dropped; what can is unit or metadata.NAME
2:41: privacy.drop[3]: 'metadata.clock' cannot be dropped; what can is unit or metadata.NAME
3:10: privacy.hash[0]: 'timestamp' cannot be hashed; what can is metadata.NAME
3:21: privacy.hash[1]: 'value' cannot be hashed; what can is metadata.NAME
4:17: privacy.round.unit: 'unit' cannot be rounded; what can is metadata.NAME
""",
    ),
    "wrong shapes": (
        """\
privacy:
  drop: metadata.a
  hash: {metadata.a: 1}
  round: [metadata.a]
  key_file: s3cret
""",
        """\
2:9: privacy.drop: is no list; begin each item with '- '
3:9: privacy.hash: is no list; begin each item with '- '
4:10: privacy.round: is no mapping; write it like {metadata.lat: 2}
5:13: privacy.key_file: is not an absolute path; the secret itself belongs into that file
""",
    ),
    "one field, two fates": (
        """\
privacy:
  drop: [metadata.a, metadata.ab, metadata.a]
  hash: [metadata.a.b]
  round: {metadata.ab: 2}
""",
        """\
2:9: privacy.drop: names metadata.a, but drop names metadata.a; keep one
3:9: privacy.hash: names metadata.a.b, but drop names metadata.a; keep one
4:10: privacy.round: names metadata.ab, but drop names metadata.ab; keep one
""",
    ),
}


def test_privacy_shows_no_value_of_the_environment(problems: Callable[..., list[str]]) -> None:
    """It may be a secret that was put there by mistake."""
    assert problems("privacy: {drop: ['${KEY}']}\n", {"KEY": "metdata.sesame"}) == [
        (
            "agent.yaml:1:18: privacy.drop[0]: '${KEY}' is no field; "
            "what can be dropped is unit or metadata.NAME"
        )
    ]


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_privacy_with_mistakes_names_each_with_its_place(
    problems: Callable[..., list[str]], text: str, expected: str
) -> None:
    """All at once, each at its line."""
    assert problems(text) == [f"agent.yaml:{line}" for line in expected.splitlines()]
