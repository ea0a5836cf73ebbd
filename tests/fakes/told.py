"""Remembers what was said, where the agent would write to the journal."""

from __future__ import annotations

from collections.abc import Callable


class Told:
    """Keeps the signature of `edge_agent.daemon.journal.Say`."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        #: who else is told
        self.also: Callable[[str], None] = lambda _line: None

    def __call__(self, level: int, line: str) -> None:
        self.lines.append((level, line))
        self.also(line)

    @property
    def events(self) -> list[str]:
        """The events' names, in order."""
        return [line.split()[0] for _, line in self.lines]

    def about(self, name: str) -> list[str]:
        """The lines of one event."""
        return [line for _, line in self.lines if line.split()[0] == name]
