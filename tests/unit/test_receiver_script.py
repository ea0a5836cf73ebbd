"""Scripts of faults without a network: what may be written, and which request draws what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.clock import FakeClock

from edge_agent.errors import ConfigError
from edge_agent.options import options_of
from edge_agent.receiver.actions import ACTIONS, Step
from edge_agent.receiver.batch import read_batch
from edge_agent.receiver.reaction import Asked
from edge_agent.receiver.script import Play, load_script
from edge_agent.receiver.script_help import markdown


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    return file


def asked(*data: dict[str, Any], packed: bool = False) -> Asked:
    """A request with these payloads, with ids from 1."""
    items = [{"id": number, "data": one} for number, one in enumerate(data, 1)]
    body = json.dumps({"version": 1, "queue_id": "q-1", "batch": items}).encode()
    return Asked(read_batch(body), len(body), packed)


def drawn(play: Play, request: Asked | None = None) -> str:
    """What is done to one request."""
    with play.request(request or asked({})) as cue:
        return cue.count.do if cue.count else "-"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "faults.yaml: is empty; steps are expected"),
        ("- {do: drip}", ":1:1: begins with no key; write it like 'steps: [{do: normal}]'"),
        ("steps: [", "is no YAML"),
        ("steps: []", ":1:8: steps: is empty"),
        ("repeat: true", "steps: is missing"),
        ("steps: drip", ":1:8: steps: is no list"),
        ("steps:\n  - drip", ":2:5: steps[0]: is no mapping"),
        ("steps:\n  - {requests: 1}", ":2:5: steps[0].do: is missing"),
        ("steps:\n  - {do: dirp}", ":2:10: steps[0].do: 'dirp' is not one of normal"),
        ("steps:\n  - {do: status}", ":2:5: steps[0].status: is missing"),
        ("steps:\n  - {do: status, status: 99}", ":2:26: steps[0].status: 99 is less than 200"),
        ("steps:\n  - {do: drip, evry: 1s}", ":2:16: steps[0].evry: is unknown (did you mean"),
        ("steps:\n  - {do: hang, time: 30}", ":2:22: steps[0].time: 30 has no unit"),
        ("steps:\n  - {do: drip, ids: 4}", ":2:21: steps[0].ids: is no list of ids"),
        ("steps:\n  - {do: drip}\n  - {do: hang}", ":2:5: steps[0]: never ends"),
        ("repeat: true\nsteps:\n  - {do: drip}", ":3:5: steps[0]: never ends"),
        ("steps:\n  - {do: refuse}", ":2:5: steps[0]: 'refuse' sees no requests"),
        ("steps:\n  - {do: refuse, time: 1s, requests: 1}", "'refuse' sees no requests"),
        ("steps:\n  - {do: deaf, where: {a: 1}}", "'deaf' acts before there is a request"),
    ],
)
def test_script_with_a_mistake_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    """One clear sentence."""
    with pytest.raises(ConfigError) as refused:
        load_script(written(tmp_path, text))
    (problem,) = refused.value.problems
    assert said in problem


def test_script_with_several_mistakes_is_refused_with_all(tmp_path: Path) -> None:
    """In the order of lines."""
    with pytest.raises(ConfigError) as refused:
        load_script(written(tmp_path, "repaet: 1\nsteps:\n  - {do: status}\n  - {do: x}"))
    assert [problem.split(":")[1] for problem in refused.value.problems] == ["1", "3", "4"]


def test_play_without_a_script_lets_everything_pass() -> None:
    """What the contract says."""
    play = Play()
    assert (drawn(play), play.deaf(), play.refusing(), play.counts) == ("-", False, False, [])


def test_steps_end_by_requests_time_and_what_was_stored(tmp_path: Path, clock: FakeClock) -> None:
    """One after the other, and again with repeat."""
    text = """repeat: true
steps:
  - {do: drip, requests: 2}
  - {do: portal, time: 10s}
  - {do: hang, until_stored: 3}
"""
    play = Play(load_script(written(tmp_path, text)), clock)
    for _ in range(2):
        assert [drawn(play) for _ in range(4)] == ["drip", "drip", "portal", "portal"]
        clock.advance(9.9)
        assert drawn(play) == "portal"
        clock.advance(0.1)
        assert drawn(play) == "hang"
        play.stored(2)
        assert drawn(play) == "hang"
        play.stored(1)
    assert [(c.done, c.stored) for c in play.counts] == [(4, 0), (6, 0), (4, 6)]


def test_step_in_time_begins_when_the_one_before_ended(tmp_path: Path, clock: FakeClock) -> None:
    """Not when somebody came to see."""
    text = "steps: [{do: drip, time: 10s}, {do: portal, time: 10s}, {do: hang, requests: 1}]"
    play = Play(load_script(written(tmp_path, text)), clock)
    clock.advance(19)
    assert drawn(play) == "portal"
    clock.advance(1)
    assert [drawn(play), drawn(play)] == ["hang", "-"]


@pytest.mark.parametrize(
    ("condition", "request_", "picked"),
    [
        ("where: {sensor_name: a}", asked({"sensor_name": "b"}, {"sensor_name": "a"}), (2,)),
        ("where: {sensor_name: a}", asked({"sensor_name": "b"}), None),
        ("where: {value: 3}", asked({"value": 3.0}, {"value": "3"}, {"value": True}), (1,)),
        ("where: {value: 1}", asked({"value": True}), None),
        ("where: {a: 1, b: 2}", asked({"a": 1}, {"a": 1, "b": 2}), (2,)),
        ("where: {metadata.zone: A}", asked({"metadata": {"zone": "A"}}, {}), (1,)),
        ("where: {metadata.zone: A}", asked({"metadata.zone": "A"}, {"metadata": 1}), (1,)),
        ("ids: [2, 9]", asked({}, {}, {}), (2,)),
        ("ids: [1], where: {a: 1}", asked({}, {"a": 1}, {}), (1, 2)),
        ("over_items: 1", asked({}, {}), (1, 2)),
        ("over_items: 2", asked({}, {}), None),
        ("over_size: 1KiB", asked({"a": "x" * 1024}), (1,)),
        ("over_size: 1KiB", asked({"a": "x"}), None),
        ("gzip: true", asked({}, packed=True), (1,)),
        ("gzip: true", asked({}), None),
        ("requests: 1", asked(), ()),
    ],
)
def test_step_is_about_the_items_it_names(
    tmp_path: Path, condition: str, request_: Asked, picked: tuple[int, ...] | None
) -> None:
    """By id or by value; a request without one of them passes, and is counted as such."""
    script = load_script(written(tmp_path, f"steps: [{{do: retry, {condition}}}]"))
    play = Play(script)
    assert script.steps[0][0].picks(request_) == picked
    with play.request(request_) as cue:
        assert tuple(cue.reaction.retry) == (picked or ())
    (count,) = play.counts
    assert (count.done, count.passed) == ((0, 1) if picked is None else (1, 0))


def test_port_closes_only_after_what_is_being_played(tmp_path: Path, clock: FakeClock) -> None:
    """The last request of the step before is answered first; then the time begins."""
    text = "steps: [{do: normal, requests: 1}, {do: refuse, time: 10s}, {do: deaf, requests: 1}]"
    play = Play(load_script(written(tmp_path, text)), clock)
    with play.request(asked({})):
        clock.advance(60)
        assert not play.refusing()
    assert play.refusing()
    clock.advance(9.9)
    assert play.refusing()
    assert not play.deaf()
    clock.advance(0.1)
    assert not play.refusing()
    assert [play.deaf(), play.deaf()] == [True, False]


def test_help_names_every_action_and_every_setting() -> None:
    """It is made from the declaration."""
    page = markdown()
    for name, action in ACTIONS.items():
        section = page.split(f"### do: {name}\n")[1].split("###")[0]
        assert all(f"`steps[].{option.key}`" in section for option in options_of(action))
        assert len(section.split("|")[0].strip()) > 10
    assert all(f"`steps[].{option.key}`" in page for option in options_of(Step))
