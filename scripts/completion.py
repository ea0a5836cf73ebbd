"""Prints bash's completion of `pyvorin-agent`: commands, options, and what may follow them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import command_tree
from command_tree import Command

from edge_agent.config.sensors import REGISTRY

_HEAD = """\
# bash completion of pyvorin-agent

_pyvorin_agent_sensors() {
    # What a running agent tells everybody; the configuration is for few to read.
    local file="${RUNTIME_DIRECTORY:-/run/pyvorin}/metrics.prom"
    sed -n 's/^pyvorin_sensor_well{sensor="\\([A-Za-z0-9_.-]*\\)"}.*/\\1/p' "$file" 2>/dev/null
}

_pyvorin_agent() {
    local current=$2 previous=$3 path="" words="" word
    # The command is what stands before the current word and is no option.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $word" in
"""
_VALUES = """\
        esac
    done
    # bash takes `--option=value` for three words.
    [[ $previous == "=" ]] && previous=${COMP_WORDS[COMP_CWORD-2]}
    case "$path $previous" in
"""
_WORDS = """\
    *)
        case "$path" in
"""
_TAIL = """\
        esac ;;
    esac
    # shellcheck disable=SC2207  # none of the words holds a blank
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _pyvorin_agent pyvorin-agent
"""
_FILES = "compopt -o default"
#: What takes a sensor or a type, by the argument's name.
_NAMES = {
    "sensors read names": "$(_pyvorin_agent_sensors)",
    "queue purge --sensor": "$(_pyvorin_agent_sensors)",
    "sensors types names": " ".join(REGISTRY.type_names()),
}


def main() -> int:
    """Print it."""
    commands = list(command_tree.everything(command_tree.root()))
    lines = [_HEAD]
    paths = "|".join(f'"{_path(command)}"' for command in commands if command.words)
    lines += [f'        {paths}) path="$path $word" ;;\n', _VALUES]
    lines += [line for command in commands for line in _values(command)]
    lines.append(_WORDS)
    lines += [f'        "{_path(c)}") {_next(c)} ;;\n' for c in commands]
    sys.stdout.writelines([*lines, _TAIL])
    return 0


def _path(command: Command) -> str:
    """What the function has in `path` there: each word with a blank before it."""
    return "".join(f" {word}" for word in command.words)


def _values(command: Command) -> list[str]:
    """What may follow an option that takes a value."""
    return [
        f'    "{_path(command)} {name}") {_value(command, action, name)} ;;\n'
        for action in command.arguments()
        if action.nargs != 0 and not isinstance(action, argparse._VersionAction)
        for name in action.option_strings
    ]


def _value(command: Command, action: argparse.Action, name: str) -> str:
    """Offers a file, one of some words, or nothing, of which nobody knows more."""
    if action.type is Path:
        return _FILES
    known = _NAMES.get(" ".join([*command.words, name]))
    return f'words="{known or " ".join(map(str, action.choices or ()))}"'


def _next(command: Command) -> str:
    """What may come next: the commands in it, options, and what it is about."""
    words = [inner.words[-1] for inner in command.below()]
    files = False
    for action in command.arguments():
        words += action.option_strings
        if not action.option_strings:
            files = files or action.type is Path
            words.append(_NAMES.get(" ".join([*command.words, action.dest]), ""))
    offered = f'words="{" ".join(filter(None, [*words, "--help"]))}"'
    return f"if [[ $current == -* ]]; then {offered}; else {_FILES}; fi" if files else offered


if __name__ == "__main__":
    sys.exit(main())
