"""Writes pyvorin-agent(1) and pyvorin-agent.yaml(5) into a folder, from what declares them.

Commands and options are argparse's, keys are those of `config reference`; only what neither says
is written here. `man --warnings` must find nothing in them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import command_tree
from command_tree import Command

import edge_agent
from edge_agent.config.reference import Chapter, chapters

_END = {
    "EXIT STATUS": """\
0: done. 1: not done. 2: wrong usage. `run` also ends with 78 where neither the configuration nor
the last good one can be used; systemd does not start it again then.""",
    "SIGNALS": """\
To `run`: SIGTERM and SIGINT stop it within 15 seconds, and what is queued stays. SIGHUP reads the
configuration anew; a bad one is refused, and the old one keeps running. SIGUSR1 sends what is
queued now.""",
    "FILES": {
        "/etc/pyvorin/agent.yaml": "The configuration; see pyvorin-agent.yaml(5).",
        "/etc/pyvorin/agent.d/*.yaml": "More of it, read after it in the order of their names.",
        "/etc/default/pyvorin-agent": "NAME=VALUE lines, for ${NAME} in the configuration.",
        "/var/lib/pyvorin/": "The queue and the last good configuration.",
        "/run/pyvorin/status.json": "How the running agent is; what `status` shows.",
        "/run/pyvorin/metrics.prom": "The same in numbers, for node_exporter's textfile collector.",
        "/usr/share/pyvorin-agent/agent.schema.json": "The configuration's JSON Schema.",
        "/usr/share/doc/pyvorin-agent/examples/": "Whole configurations, and a sensor type.",
    },
    "SEE ALSO": "pyvorin-agent.yaml(5), journalctl(1), systemctl(1), systemd.exec(5)",
}
_FORM = """\
`/etc/pyvorin/agent.yaml` is read first, then `/etc/pyvorin/agent.d/*.yaml` in the order of their
names: mappings merge, `sensors` append, and a key given twice is an error. Durations and sizes
carry a unit (`500ms 30s 5min 24h 7d`, `64KiB 512MiB 1GB`). `${NAME}` in a text is taken from the
environment, `$$` is a dollar. An empty value counts as absent. `pyvorin-agent check` finds every
mistake with its line and column."""
_EXAMPLE = """\
upload:
  endpoint: https://api.example.com/v1/ingest
  api_key_file: /etc/pyvorin/api_key
sensors:
  - {name: pi, type: system}
  - name: temp.cold_chain
    type: bme280
    address: 0x76
    interval: 10s"""


def main() -> int:
    """Write both pages into the folder that the first argument names."""
    folder = Path(sys.argv[1])
    for name, page in (("pyvorin-agent.1", command_page()), ("pyvorin-agent.yaml.5", file_page())):
        (folder / name).write_text("\n".join(page) + "\n", encoding="utf-8")
    return 0


def command_page() -> Iterator[str]:
    """pyvorin-agent(1)."""
    root = command_tree.root()
    yield _title("PYVORIN\\-AGENT", 1, "Pyvorin edge agent")
    yield from _section("NAME")
    yield "pyvorin\\-agent \\- store\\-and\\-forward agent for sensors"
    yield from _section("SYNOPSIS")
    yield "\\fBpyvorin\\-agent\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR ...]"
    yield from _section("DESCRIPTION", root.help)
    yield from _section("COMMANDS", "Each tells the same as stands here when asked for `--help`.")
    for command in command_tree.everything(root):
        if command.words and not command.below():
            yield from _command(command)
    for heading, told in _END.items():
        yield from _section(heading, told if isinstance(told, str) else "")
        if isinstance(told, dict):
            for term, meaning in told.items():
                yield from _item(f"\\fI{_text(term)}\\fR", meaning)


def _command(command: Command) -> Iterator[str]:
    arguments = command.arguments()
    yield f'.SS "{_text(" ".join(command.words))}"'
    operands = [_shown(command, action) for action in arguments if not action.option_strings]
    yield " ".join(["\\fBpyvorin\\-agent", *map(_text, command.words), "\\fR[options]", *operands])
    yield ".PP"
    yield _text(command.parser.description or _sentence(command.help))
    for action in arguments:
        yield from _item(_shown(command, action), command.help_of(action))
    yield from (".PP", f"Example: \\fB{_text(command.example)}\\fR")


def _shown(command: Command, action: argparse.Action) -> str:
    """The term: ``--config FILE``."""
    formatter = command.parser._get_formatter()
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in action.option_strings)
    if action.nargs == 0:
        return names
    default = formatter._get_default_metavar_for_optional(action) if names else action.dest
    value = f"\\fI{_text(formatter._format_args(action, default))}\\fR"
    return f"{names} {value}".lstrip()


def file_page() -> Iterator[str]:
    """pyvorin-agent.yaml(5)."""
    yield _title("PYVORIN\\-AGENT.YAML", 5, "Pyvorin edge agent")
    yield from _section("NAME")
    yield "pyvorin\\-agent.yaml \\- what the Pyvorin edge agent reads, keeps and sends"
    yield from _section("DESCRIPTION", _FORM)
    yield from _section("EXAMPLE")
    yield from (".nf", *map(_text, _EXAMPLE.split("\n")), ".fi")
    yield from _section("KEYS")
    for chapter in chapters():
        yield from _chapter(chapter)
    yield from _section("SEE ALSO", "pyvorin-agent(1)")


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f'.SS "{_text(chapter.title)}"'
    if chapter.help:
        yield _text(chapter.help)
    for row in chapter.rows:
        default = (
            "; required" if row.required else f"; default {row.default}" if row.default else ""
        )
        yield from _item(f"\\fB{_text(row.key)}\\fR", f"({row.written}{default}) {row.meaning}")


def _title(name: str, section: int, of: str) -> str:
    # The changelog's day, so that the same source makes the same page.
    day = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    date = time.strftime("%Y\\-%m\\-%d", day)
    version = f"pyvorin\\-agent {edge_agent.__version__}"
    return f'.TH "{name}" {section} "{date}" "{version}" "{of}"'


def _section(heading: str, text: str = "") -> Iterator[str]:
    yield f".SH {heading}" if " " not in heading else f'.SH "{heading}"'
    if text:
        yield _text(text)


def _item(term: str, meaning: str) -> Iterator[str]:
    yield from (".TP", term, _text(_sentence(meaning)))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ")", ":")) else ".")


def _text(text: str) -> str:
    """For roff: what it would take for its own is escaped; `code` stands in bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return re.sub(r"(?m)^(?=[.'])", r"\\&", text)


if __name__ == "__main__":
    sys.exit(main())
