"""How far a long command has come is told on a terminal, with rich or without."""

from __future__ import annotations

import importlib.util
import io
import sys

import pytest

from edge_agent.cli.progress import progress


class Terminal(io.StringIO):
    """Somewhere a person looks."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_without_rich_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is gone at the end, also where the work fails."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def fail() -> None:
        with progress("rows", 7) as tell:
            tell(3)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert terminal.getvalue() == "\r\x1b[Krows 3 of 7\r\x1b[K"


def test_progress_on_a_terminal_with_rich_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """With how much of it is done."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress("rows", 4) as tell:
        tell(1)
    assert "25%" in terminal.getvalue()


def test_progress_anywhere_else_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """A log wants no bars."""
    with progress("rows", 4) as tell:
        tell(1)
    assert capsys.readouterr() == ("", "")
