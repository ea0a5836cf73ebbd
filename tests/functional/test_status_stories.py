"""What a person is told: whole outputs of `status`, under a clock that moves when told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import stories
from fakes.clock import FakeClock
from fakes.crowd import FakeDisk
from jsonschema import Draft202012Validator

from edge_agent.cli.status.schema import STATUS
from edge_agent.cli.status.text import render

CASES = Path(__file__).parents[1] / "testcases" / "status"


@pytest.fixture
def site(tmp_path: Path, clock: FakeClock, disk: FakeDisk) -> Iterator[stories.Site]:
    """An agent of which nothing is told yet."""
    with stories.place(tmp_path, clock, disk) as made:
        yield made


STORIES = (
    stories.healthy,
    stories.offline_three_days,
    stories.full_card,
    stories.dead_sensor,
    stories.loose_wire,
    stories.wrong_key,
    stories.expired_certificate,
    stories.clock_in_the_past,
    stories.worn_card,
    stories.stopped,
)


@pytest.mark.parametrize("story", STORIES)
def test_status_tells_a_person_what_is_so(
    site: stories.Site, story: Callable[[stories.Site], None]
) -> None:
    """What, since when, why, and what to do; and as JSON what the schema promises."""
    story(site)
    facts = site.facts()
    expected = (CASES / f"{story.__name__}.txt").read_text()
    assert "\n".join([*render(facts, colours=False), ""]) == expected
    Draft202012Validator(STATUS).validate(json.loads(json.dumps(facts)))
