"""The journal: lines into a pipe, prefixes, and a reader that does not read."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.daemon import journal
from edge_agent.daemon.journal import MOST_WAITING, Journal
from edge_agent.events import NOTICE, event

log = logging.getLogger("edge_agent.test")


class Pipe:
    """Stands for stdout; small, and not read before somebody asks."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.reading, self.writing = os.pipe()

    def journal(self) -> Journal:
        """A journal that writes here, begun; pytest would undo the change after a fixture."""
        self._patch.setattr(sys, "stdout", self)
        return _begun()

    def fileno(self) -> int:
        return self.writing

    def fill(self) -> None:
        """Until the next write would block, and does."""
        os.set_blocking(self.writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writing, b"x" * 4096)
        os.set_blocking(self.writing, True)

    def close(self) -> None:
        for number in (self.reading, self.writing):
            os.close(number)

    def lines(self) -> list[str]:
        """What is in the pipe now; the test stops the journal before."""
        os.set_blocking(self.reading, False)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.reading, 1 << 16):
                text += part
        return text.decode().splitlines()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe(monkeypatch)
    level = logging.getLogger("edge_agent").level
    journal.set_level("info")
    yield made
    logging.getLogger("edge_agent").setLevel(level)
    made.close()


def _begun() -> Journal:
    made = Journal()
    made.start()
    return made


def _write_some(written: Journal) -> None:
    log.info(event("ready"))
    log.log(NOTICE, event("link_up", after_s=3))
    log.warning(event("link_down"))
    log.error(event("dead_letter"))
    log.debug("not at this level")
    written.stop()


def test_journal_bears_levels_where_stdout_is_the_journal(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd names the stream it made; the prefix is syslog's number."""
    stat = os.fstat(pipe.writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    _write_some(pipe.journal())
    assert pipe.lines() == ["<6>ready", "<5>link_up after_s=3", "<4>link_down", "<3>dead_letter"]


@pytest.mark.parametrize("stream", ["", "1:2"])
def test_journal_is_plain_elsewhere(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """A terminal, or a pipe that a service of systemd made for us."""
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    _write_some(pipe.journal())
    assert pipe.lines()[0] == "ready"


def test_journal_record_is_one_line_of_ascii(pipe: Pipe) -> None:
    """A traceback, a library's message with line breaks, half a surrogate pair."""
    written = pipe.journal()
    error = ValueError("two\nlines\r<0>forged\u2028caf\u00e9 \ud800")
    log.error("step_failed", exc_info=error)
    written.stop()
    (line,) = pipe.lines()
    assert line.startswith("step_failed | ValueError")
    assert line.endswith(r"ValueError: two | lines | <0>forged | caf\xe9 \ud800")


@pytest.mark.fault(
    "journal",
    "stdout a full pipe",
    "stopped",
    how="a pipe that nobody reads",
    part="the journal's writer",
)
def test_journal_that_nobody_reads_blocks_nobody_and_the_loss_is_counted(pipe: Pipe) -> None:
    """The pipe is full: everything goes on, `stop` too; once it is read again, the loss is told."""
    pipe.fill()
    written = pipe.journal()
    for number in range(MOST_WAITING + 50):
        log.info(event("line", n=number))
    # The writer holds one more line, or is about to.
    assert 49 <= written.dropped <= 50
    text = ""
    while "journal_dropped" not in text:
        assert select.select([pipe.reading], [], [], 60)[0]
        text += os.read(pipe.reading, 1 << 16).decode()
    assert f"journal_dropped lines={written.dropped} " in text
    written.stop()


def test_journal_that_nobody_reads_does_not_hold_up_a_stop(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is stuck in the pipe, and left behind."""
    monkeypatch.setattr(journal, "ENDS_S", 0.01)
    pipe.fill()
    written = pipe.journal()
    for number in range(MOST_WAITING + 50):
        log.info(event("line", n=number))
    written.stop()
    assert written._writer.is_alive()
    os.set_blocking(pipe.writing, False)
    while select.select([pipe.reading], [], [], 0)[0]:
        os.read(pipe.reading, 1 << 16)
    written.stop()
    assert not written._writer.is_alive()


@pytest.mark.fault(
    "journal",
    "stdout closed",
    how="no standard output, or one without a descriptor",
    part="the journal's writer",
)
@pytest.mark.parametrize("stdout", [None, io.StringIO()], ids=["closed", "no_descriptor"])
def test_journal_without_stdout_goes_on(
    monkeypatch: pytest.MonkeyPatch, stdout: io.StringIO | None
) -> None:
    """Descriptor 1 may be any file then: nothing is written to it."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.setattr(sys, "stdout", stdout)
    writes: list[int] = []
    monkeypatch.setattr(os, "write", lambda number, _: writes.append(number))
    _write_some(_begun())
    assert writes == []


@pytest.mark.fault(
    "journal", "stopped", how="the pipe's reader is gone", part="the journal's writer"
)
def test_journal_whose_reader_is_gone_goes_on(pipe: Pipe) -> None:
    """A broken pipe is an error of every write; the writer lives on."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), pipe.reading)
    _write_some(pipe.journal())
