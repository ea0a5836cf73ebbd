"""Prints bash's completion of `pyvorin-agent`: commands, options, their choices, and files."""

from __future__ import annotations

import argparse
import sys

import command_tree
from command_tree import Command

_HEAD = """\
# bash completion of pyvorin-agent

_pyvorin_agent() {
    local current=$2 previous=$3 path="" word words
    # The command is what stands before the current word and is no option.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $word" in
"""
_TAIL = """\
        esac ;;
    esac
    # shellcheck disable=SC2207  # none of the words holds a blank
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _pyvorin_agent pyvorin-agent
"""


def main() -> int:
    """Print it."""
    commands = list(command_tree.everything(command_tree.root()))
    lines = [_HEAD]
    lines += [f'        "{_path(c)}") path="$path $word" ;;\n' for c in commands if c.words]
    lines += ["        esac\n    done\n", '    case "$path $previous" in\n']
    for command in commands:
        lines += _values(command)
    lines += ["    *)\n", '        case "$path" in\n']
    lines += [f'        "{_path(c)}") words="{" ".join(_words(c))}" ;;\n' for c in commands]
    sys.stdout.writelines([*lines, _TAIL])
    return 0


def _path(command: Command) -> str:
    """What the function has in `path` there: each word with a blank before it."""
    return "".join(f" {word}" for word in command.words)


def _words(command: Command) -> list[str]:
    """What may come next: the commands in it, and options."""
    return [
        *(inner.words[-1] for inner in command.below()),
        *(name for action in command.arguments() for name in action.option_strings),
        "--help",
    ]


def _values(command: Command) -> list[str]:
    """What may follow an option that takes a value; bash offers files where nothing is named."""
    return [
        f'    "{_path(command)} {name}") words="{" ".join(map(str, action.choices or ()))}" ;;\n'
        for action in command.arguments()
        if action.nargs != 0 and not isinstance(action, argparse._VersionAction)
        for name in action.option_strings
    ]


if __name__ == "__main__":
    sys.exit(main())
