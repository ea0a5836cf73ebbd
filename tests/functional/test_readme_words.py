"""What README.md and SERVER.md set as code is a word of the product, or one of a few others."""

from __future__ import annotations

import re

import pytest
from fakes.pages import README, ROOT, SERVER, prose

from edge_agent.config.reference import markdown

#: Where the product's words stand.
_SOURCES = (
    *("edge_agent/**/*.py", "config/**/*.yaml", "debian/pyvorin-agent.*", "debian/control"),
    *("scripts/*", "systemd/*", "pyproject.toml"),
)
#: Other programs' words, and those of examples.
_OTHERS = {
    *("yaml-language-server", "schema", "collector.textfile.directory", "mkfs.ext4"),
    *(
        "unattended-upgrades",
        "Release",
        "apt-cache",
        "json_extract",
        "break-system-packages",
        "edit",
    ),
    *("mnt", "ssd", "FILE.sent", "FILE.rejected"),
}
#: Looked at elsewhere: metrics, files of examples, and the sentence of a mistake.
_ELSEWHERE = re.compile(r"pyvorin_|.*\.(yaml|db|md)$|.*\.adress$|.*\.yaml:")


def words(text: str) -> set[str]:
    """Dotted ones as they are."""
    return {*re.findall(r"[A-Za-z_](?:[\w.-]*\w)?", text)}


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The product's words, and the parts of dotted ones; keys with their whole path."""
    files = (path for glob in _SOURCES for path in ROOT.glob(glob) if path.is_file())
    found = words("\n".join([*(path.read_text() for path in files), markdown()]))
    return found | {part for word in found for part in re.split(r"[.-]", word)} | _OTHERS


@pytest.mark.parametrize("page", [README, SERVER], ids=["README.md", "SERVER.md"])
def test_pages_words_are_the_product_s(page: str, known: set[str]) -> None:
    """A key that was renamed, a line of the journal that is gone, a command that never was."""
    told = {word for code in re.findall(r"`([^`]+)`", prose(page)) for word in words(code)}
    assert len(told) > 50
    assert sorted(word for word in told - known if not _ELSEWHERE.match(word)) == []
