"""Walks the commands as argparse knows them, for the manual page and the completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from edge_agent.cli import main


class Command(NamedTuple):
    """One command, or a group of them."""

    #: what leads to it: ``("sensors", "read")``
    words: tuple[str, ...]
    #: one line, as the help of its group has it
    help: str
    parser: argparse.ArgumentParser

    def arguments(self) -> list[argparse.Action]:
        """Its own options and operands, without ``--help``."""
        return [
            action
            for action in self.parser._actions
            if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
            and action.help is not argparse.SUPPRESS
        ]

    @property
    def example(self) -> str:
        """A command line, as its help ends with; empty where there is none."""
        return (self.parser.epilog or "").partition("Example: ")[2]

    def below(self) -> list[Command]:
        """The commands in it; empty where it is one itself."""
        return [
            Command((*self.words, choice.dest), choice.help or "", action.choices[choice.dest])
            for action in self.parser._actions
            if isinstance(action, argparse._SubParsersAction)
            for choice in action._choices_actions
        ]

    def help_of(self, action: argparse.Action) -> str:
        """What is said of one of its arguments, defaults put in."""
        return self.parser._get_formatter()._expand_help(action) if action.help else ""


def root() -> Command:
    """The program itself."""
    parser = main._parser()
    return Command((), parser.description or "", parser)


def everything(command: Command) -> Iterator[Command]:
    """This one and all below it."""
    yield command
    for inner in command.below():
        yield from everything(inner)
