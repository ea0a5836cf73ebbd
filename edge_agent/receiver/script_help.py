"""What may stand in a script, on one Markdown page made from the declaration."""

from __future__ import annotations

import inspect

from edge_agent.config.reference import table
from edge_agent.options import options_of
from edge_agent.receiver.actions import ACTIONS, Step
from edge_agent.receiver.script import Contents

_INTRODUCTION = """\
# Scripts of faults

A script is a YAML file for `pyvorin-agent receive --script FILE`. Its steps are played one after
the other; whatever a step is not about, and what comes after the last one, is treated as the
contract says. A request that breaks the contract draws its refusal and counts for no step.
Nothing is left to chance: the same requests draw the same faults. Durations and sizes carry a
unit (`500ms 30s 5min`, `64KiB 1GB`).
"""


def markdown() -> str:
    """The page."""
    lines = [_INTRODUCTION, *table(Contents), "", "## Each step", "", *table(Step, "steps[]."), ""]
    for name, action in ACTIONS.items():
        lines += [f"### do: {name}", "", inspect.getdoc(action) or "", ""]
        if options_of(action):
            lines += [*table(action, "steps[]."), ""]
    return "\n".join(lines)
