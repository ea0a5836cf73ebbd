"""A real pseudo-terminal with a command on it, and what a person sees there."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

from fakes.processes import COMMAND, PATIENCE_S, until

#: Takes the terminal over, so that its Ctrl-C is ours (tty_ioctl(4)), and becomes the command.
_BECOME = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
#: A control sequence (ECMA-48, 5.4): its numbers, and what it does.
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")
#: What would speak for the terminal that the tests run on.
_ASIDE = ("COLUMNS", "LINES", "NO_COLOR")


class Screen:
    """Draws what is written, as a terminal does; any control sequence it does not know is an error.

    Attributes:
        scrolled: lines that have left at the top.
        clears: how often all was erased.
        colours: how often a colour was chosen.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.scrolled = self.clears = self.colours = 0
        self._cells: list[list[tuple[str, str]]] = [[] for _ in range(rows)]
        self._row = self._column = 0
        self._colour = ""

    @property
    def text(self) -> str:
        """What stands there, without colours."""
        return "\n".join("".join(char for char, _ in row).rstrip() for row in self._cells)

    @property
    def painted(self) -> str:
        """The same with its colours."""
        return "\n".join("".join(f"{c}{char}" if c else char for char, c in r) for r in self._cells)

    def draw(self, written: str) -> None:
        """Take what was written; it must not end within a control sequence."""
        at = 0
        while at < len(written):
            found = _SEQUENCE.match(written, at)
            if found:
                self._control(found[1], found[2])
            else:
                self._put(written[at])
            at = found.end() if found else at + 1

    def _control(self, numbers: str, kind: str) -> None:
        if kind == "m":
            self.colours += numbers not in ("", "0")
            self._colour = f"\x1b[{numbers}m"
        elif (numbers, kind) == ("", "H"):
            self._row = self._column = 0
        elif (numbers, kind) == ("", "K"):
            del self._cells[self._row][self._column :]
        elif (numbers, kind) in (("", "J"), ("2", "J")):
            self.clears += numbers == "2"
            first = 0 if numbers else self._row + 1
            self._cells[first:] = [[] for _ in range(first, self.rows)]
        else:
            raise AssertionError(f"who knows what {numbers}{kind} does to a terminal")

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._next_row()
        else:
            assert char.isprintable(), f"{char!r} on a terminal"
            if self._column == self.columns:
                self._column = 0
                self._next_row()
            row = self._cells[self._row]
            row.extend([(" ", "")] * (self._column - len(row)))
            row[self._column : self._column + 1] = [(char, self._colour)]
            self._column += 1

    def _next_row(self) -> None:
        if self._row < self.rows - 1:
            self._row += 1
        else:
            self.scrolled += 1
            self._cells = [*self._cells[1:], []]


class Terminal:
    """A command on a terminal of its own; close it in the end."""

    def __init__(
        self, *arguments: str | Path, size: tuple[int, int], env: dict[str, str] | None = None
    ) -> None:
        self._written = ""
        self._ours, its = os.openpty()
        self.resize(*size)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, *COMMAND, *map(str, arguments)],
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k not in _ASIDE}
            | {"TERM": "xterm"}
            | (env or {}),
        )
        os.close(its)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def written(self) -> str:
        """Everything that came, so far."""
        return self._written

    def shows(self, *texts: str) -> str:
        """What stands there, as soon as all of these do."""
        until(lambda: all(text in self.screen.text for text in texts) or self._over(), str(texts))
        assert all(text in self.screen.text for text in texts), self.screen.text
        return self.screen.text

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """What stands there is lost until it is drawn again."""
        self.screen = Screen(columns, rows)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.end()
        os.close(self._ours)

    def _over(self) -> bool:
        return self.process.poll() is not None

    def _read(self) -> None:
        # Neither a character nor a control sequence is drawn by halves.
        decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
        # At its end a terminal gives an error instead of nothing (pty(7)).
        with contextlib.suppress(OSError):
            while read := os.read(self._ours, 65_536):
                text = rest + decoder.decode(read)
                begun = text.rfind("\x1b")
                cut = len(text) if begun < 0 or _SEQUENCE.match(text, begun) else begun
                text, rest = text[:cut], text[cut:]
                self._written += text
                self.screen.draw(text)
