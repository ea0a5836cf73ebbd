"""What bash offers when somebody presses Tab: asked in a bash at a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.published import LEAVES

from edge_agent.config.sensors import REGISTRY
from scripts import command_tree

TREE = Path(__file__).parents[2]
COMMANDS = list(command_tree.everything(command_tree.root()))
METRICS = """\
# TYPE pyvorin_sensor_well gauge
pyvorin_sensor_well{sensor="temp.cold_chain"} 1
pyvorin_sensor_well{sensor="door"} 0
pyvorin_sensor_well{sensor="$(touch made)"} 1
"""
SETTINGS = "PS1=\nset -u\nbind 'set enable-bracketed-paste off'\n"


class Shell:
    """A bash at a terminal, with the completion loaded."""

    def __init__(self, folder: Path) -> None:
        made = [sys.executable, str(TREE / "scripts" / "completion.py")]
        environ = os.environ | {"PYTHONPATH": str(TREE)}
        script = subprocess.run(made, capture_output=True, check=True, text=True, env=environ)
        (folder / "rc").write_text(script.stdout + SETTINGS)
        (folder / "site").mkdir()
        self._master, slave = pty.openpty()
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--rcfile", str(folder / "rc"), "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder / "site",
            start_new_session=True,
            env=environ | {"TERM": "dumb", "RUNTIME_DIRECTORY": str(folder)},
        )
        os.close(slave)

    def offered(self, line: str) -> list[str]:
        """What may stand where the line ends; what stands there, where nothing may."""
        # M-* puts all that is offered into the line, which then is printed a word a line.
        typed = f"{line}\x1b*\x01printf '%s\\n' BEGIN \x05 END\n"
        os.write(self._master, typed.encode())
        shown = b""
        while not (found := re.search(rb"\r\nBEGIN\r\n(.*?)\r\nEND\r\n", shown, re.DOTALL)):
            shown += os.read(self._master, 4096)
        words = found[1].decode().split("\r\n")
        return words[len(f"{line}.".split()) - 1 :]

    def close(self) -> None:
        self._bash.kill()
        self._bash.wait()
        os.close(self._master)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """In a folder with two files, beside an agent with two sensors."""
    folder = tmp_path_factory.mktemp("shell")
    opened = Shell(folder)
    (folder / "metrics.prom").write_text(METRICS)
    for name in ("barn 7.ndjson", "agent.yaml"):
        (folder / "site" / name).touch()
    yield opened
    opened.close()
    assert {file.name for file in (folder / "site").iterdir()} == {"agent.yaml", "barn 7.ndjson"}


def line_of(command: command_tree.Command, *more: str) -> str:
    return " ".join(["pyvorin-agent", *command.words, *more])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: " ".join(one.words))
def test_completion_offers_every_command_and_option(
    shell: Shell, command: command_tree.Command
) -> None:
    """As argparse has them, there and nowhere else."""
    options = [word for action in command.arguments() for word in action.option_strings]
    assert shell.offered(line_of(command, "-")) == sorted([*options, "--help"])
    if below := command.below():
        expected = sorted([*options, "--help", *(one.words[-1] for one in below)])
        assert shell.offered(line_of(command, "")) == expected


@pytest.mark.parametrize("name", LEAVES)
def test_completion_of_values_offers_files_or_choices(shell: Shell, name: str) -> None:
    """Files where one is wanted; nothing where nobody can know."""
    for action in LEAVES[name].arguments():
        if action.nargs == 0 or action.metavar == "NAME":
            continue
        words = action.option_strings[:1]
        offered = shell.offered(line_of(LEAVES[name], *words, ""))
        if action.choices:
            assert offered == list(action.choices)
        elif action.type is Path:
            assert offered == ["agent.yaml", "barn 7.ndjson"]
        elif words:
            assert offered == []


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sen", ["sensors"]),
        ("sensors read t", ["temp.cold_chain"]),
        ("sensors read door t", ["temp.cold_chain"]),
        ("queue purge --sensor ", ["door", "temp.cold_chain"]),
        ("queue purge --sensor=t", ["--sensor=temp.cold_chain"]),
        ("sensors types bm", ["bme280"]),
        ("check --config sensors --q", ["--quiet"]),
        ("check --config=ag", ["--config=agent.yaml"]),
        ("queue send b", ["barn 7.ndjson"]),
        ("queue send --end", ["--endpoint"]),
        ("receive --tls-max-version 1.", ["1.0", "1.1", "1.2", "1.3"]),
        ("queue verify x", ["x"]),
    ],
)
def test_completion_goes_by_what_is_typed(shell: Shell, typed: str, offered: list[str]) -> None:
    """Names of sensors come from a running agent, and nothing in them is run."""
    assert shell.offered(f"pyvorin-agent {typed}") == offered


def test_completion_offers_every_type_of_sensor(shell: Shell) -> None:
    """And the options beside."""
    assert set(REGISTRY.type_names()) < set(shell.offered("pyvorin-agent sensors types "))
