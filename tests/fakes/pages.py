"""The pages that people read, taken apart into what can be tried out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SERVER = (ROOT / "edge_agent/receiver/SERVER.md").read_text()
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """A page's examples in one language."""
    return [text for named, text in _FENCE.findall(page) if named == language]


def block(page: str, language: str, begins: str) -> str:
    """The one example in a language that begins so."""
    (found,) = (text for text in blocks(page, language) if text.startswith(begins))
    return found


def prose(page: str) -> str:
    """A page without its examples."""
    return _FENCE.sub("", page)


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    # An example's lines may begin like headings.
    masked = _FENCE.sub(lambda fence: "-" * len(fence[0]), page)
    (heading,) = re.finditer(rf"^(#+) {re.escape(title)}\n", masked, re.MULTILINE)
    after = re.compile(rf"^#{{1,{len(heading[1])}}} ", re.MULTILINE).search(masked, heading.end())
    return page[heading.end() : after.start() if after else None]


def agent_commands(page: str) -> list[list[str]]:
    """Every `pyvorin-agent …` that a page shows, as arguments."""
    lines = [line for text in blocks(page, "sh") for line in text.splitlines()]
    lines += re.findall(r"`([^`]+)`", prose(page))
    shown = [re.search(r"(?:^|'|sudo )pyvorin-agent (\S[^'>]*)", line) for line in lines]
    return [shlex.split(found[1].split("  #")[0]) for found in shown if found]


def tables(page: str) -> list[list[list[str]]]:
    """Every table, as rows of cells; the heading is the first row."""
    found = re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|\n"))]
            for line in text.splitlines()
            if not re.fullmatch(r"[|\- ]+", line)
        ]
        for text in found
    ]
