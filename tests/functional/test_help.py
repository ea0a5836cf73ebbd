"""What `--help` ends with: an example that works, of every command there is."""

from __future__ import annotations

import itertools
import shlex

import pytest
from fakes.processes import Site
from fakes.published import LEAVES

from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.types import Submission
from scripts import command_tree

CONFIG = """
sensors:
  - {name: temp.cold_chain, type: simulated, interval: 1d}
"""
#: They go on until they are told to stop, or want an agent or a server that is not there.
LASTING = {"run", "demo", "receive", "status", "flush", "queue send", "sensors scan", "doctor"}


def words_of(example: str) -> list[str]:
    """What the command gets of it: what comes of a pipe is the shell's business."""
    return list(itertools.takewhile(lambda word: word not in "|>", shlex.split(example)[1:]))


@pytest.mark.parametrize("name", LEAVES)
def test_help_of_every_command_ends_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that can be copied, however wide it is, and that the parser takes."""
    leaf = LEAVES[name]
    with pytest.raises(SystemExit):
        main([*leaf.words, "--help"])
    assert capsys.readouterr().out.endswith(f"\n\nExample: {leaf.example}\n")
    assert leaf.example.startswith(f"pyvorin-agent {name}")
    args = command_tree.root().parser.parse_args(words_of(leaf.example))
    assert args.run is leaf.parser.get_default("run")


@pytest.mark.parametrize("name", sorted(LEAVES.keys() - LASTING))
def test_example_in_help_does_what_it_is_for(
    name: str,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it stands there, but for whose configuration it is and the question it asks."""
    site.configure(CONFIG)
    with CloudSyncQueue(site.queue) as queue:
        queue.enqueue_many([Submission({"metadata": {"badge_id": 17}})] * 50)
        queue.dead_letter([41, 42], "HTTP 400")
    monkeypatch.chdir(site.directory)
    words = words_of(LEAVES[name].example)
    options = {word for action in LEAVES[name].arguments() for word in action.option_strings}
    mine = {"--config": ["--config", "agent.yaml"], "--yes": ["--yes"]}
    more = [word for option in mine.keys() & options for word in mine[option]]
    assert main([*words, *more]) == 0, capsys.readouterr().err
