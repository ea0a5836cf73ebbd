"""What `--help` ends with: an example that works, of every command there is."""

from __future__ import annotations

import itertools
import shlex

import pytest
from fakes.processes import Site

from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.types import Submission
from scripts import command_tree

LEAVES = [one for one in command_tree.everything(command_tree.root()) if not one.below()]
CONFIG = """
sensors:
  - {name: temp.cold_chain, type: simulated, interval: 1d}
"""
#: They go on until they are told to stop, or want an agent or a server that is not there.
LASTING = {"run", "demo", "receive", "status", "flush", "queue send", "sensors scan", "doctor"}


def words_of(example: str) -> list[str]:
    """What the command gets of it: what comes of a pipe is the shell's business."""
    return list(itertools.takewhile(lambda word: word not in "|>", shlex.split(example)[1:]))


def named(command: command_tree.Command) -> str:
    return " ".join(command.words)


@pytest.mark.parametrize("leaf", LEAVES, ids=named)
def test_help_of_every_command_ends_with_an_example(
    leaf: command_tree.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that can be copied, however wide it is, and that the parser takes."""
    with pytest.raises(SystemExit):
        main([*leaf.words, "--help"])
    assert capsys.readouterr().out.endswith(f"\n\nExample: {leaf.example}\n")
    assert leaf.example.startswith(f"pyvorin-agent {named(leaf)}")
    args = command_tree.root().parser.parse_args(words_of(leaf.example))
    assert args.run is leaf.parser.get_default("run")


@pytest.mark.parametrize("leaf", [one for one in LEAVES if named(one) not in LASTING], ids=named)
def test_example_in_help_does_what_it_is_for(
    leaf: command_tree.Command,
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
    words = words_of(leaf.example)
    options = {option for action in leaf.arguments() for option in action.option_strings}
    mine = {"--config": ["--config", "agent.yaml"], "--yes": ["--yes"]}
    more = [word for option in mine.keys() & options for word in mine[option]]
    assert main([*words, *more]) == 0, capsys.readouterr().err
