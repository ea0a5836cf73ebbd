"""Sends an exported file: every row under its own name, so that nothing arrives twice.

What a server refuses is written off only with a witness, as in the daemon: the same endpoint took
another row in this run, and takes it still after some refusals in a row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from edge_agent.cloud_sync import carried
from edge_agent.cloud_sync.backoff import full_jitter
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.carried import Line, Position
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.errors import StoreError, UploaderError

#: How often one request is tried, and the longest pause before the next try: a person waits.
MOST_TRIES = 5
LONGEST_PAUSE_S = 60.0
_BASE_S = 1.0
#: Refusals in a row after which the witness is asked again.
MOST_IN_A_ROW = 5

_PASSES = (Action.HELD, Action.BROKEN, Action.IN_PROGRESS, Action.LINK_DOWN)
_HALVES = (Action.REFUSED, Action.TOO_LARGE, Action.DISBELIEVED)


class Uploader(Protocol):
    """What is needed of an uploader."""

    endpoint: str

    def send(self, batch: Batch) -> Verdict:
        """One batch in, one verdict out."""


class Courier:
    """Carries one file to one endpoint, from where the last run stopped."""

    def __init__(
        self,
        file: Path,
        uploader: Uploader,
        *,
        items: int,
        max_bytes: int,
        sleep: Callable[[float], None],
    ) -> None:
        """Prepare; nothing is read or sent yet.

        Args:
            file: as `export` wrote it.
            uploader: to the endpoint.
            items: most rows of a request.
            max_bytes: most bytes of a request's body.
            sleep: waits so many seconds.
        """
        self._file = file
        self._uploader = uploader
        self._limits = items, max_bytes
        self._sleep = sleep
        self._note = file.with_name(f"{file.name}.sent")
        #: where what was refused is written, a line each with its reason
        self.rejects = file.with_name(f"{file.name}.rejected")
        #: how far it has come, as noted beside the file
        self.position = Position(uploader.endpoint)
        self._witness: Batch | None = None
        self._in_a_row = 0
        self._delivered = 0
        self._condemned: list[tuple[Line, str]] = []

    def run(self, progress: Callable[[int], None]) -> None:
        """Send what is not sent yet.

        Args:
            progress: called with the lines behind us.

        Raises:
            UploaderError: the server does not take more now; what it took is noted.
            StoreError: the file cannot be read to its end, or nothing be noted beside it.
        """
        lines, digest = self._begin()
        read = self.position.lines
        for chunk in carried.chunks(lines, *self._limits):
            self._carry(chunk)
            read += len(chunk)
            digest.update(b"".join(line.raw for line in chunk))
            self._confirm(read, digest.hexdigest())
            progress(read)
        if self._condemned:
            raise UploaderError(f"the server took no row at all: {self._condemned[0][1]}")

    def _begin(self) -> tuple[Iterator[bytes], hashlib._Hash]:
        """The lines that are left, and the digest of those behind them."""
        self.position = carried.recall(self._note, self._uploader.endpoint)
        lines, digest = carried.lines_of(self._file), hashlib.sha256()
        for line in itertools.islice(lines, self.position.lines):
            digest.update(line)
        if digest.hexdigest() != self.position.digest:
            # Another file of the same name.
            self.position = Position(self._uploader.endpoint)
            lines, digest = carried.lines_of(self._file), hashlib.sha256()
        # Before anything is sent: who cannot note how far it came would begin anew each time.
        carried.keep(self._note, self.position)
        return lines, digest

    def _carry(self, chunk: list[Line]) -> None:
        if chunk[0].row is None:
            self._condemned.append((chunk[0], chunk[0].problem))
        else:
            lines = {line.row.id: line for line in chunk if line.row}
            self._deliver(carried.batch_of(chunk), lines)

    def _deliver(self, batch: Batch, lines: dict[int, Line], tries: int = 1) -> None:
        """See to it that every row of a batch is taken or condemned."""
        verdict = self._answer(batch)
        if verdict.action in _HALVES and len(batch.rows) > 1:
            for half in batch.halves():
                self._deliver(half, lines)
            return
        # A single row is never found by halving; the server knows whether it has it.
        taken = verdict.action in (Action.DELIVERED, Action.DISBELIEVED)
        refused = verdict.rejected if taken else dict.fromkeys(batch.ids, verdict.reason)
        self._took(batch.only(set(batch.ids) - refused.keys() - verdict.retry))
        self._refuse([(lines[number], why) for number, why in refused.items()])
        if verdict.retry:
            if tries == MOST_TRIES:
                raise UploaderError("the server wants the same rows again and again; try later")
            self._pause(tries)
            self._deliver(batch.only(verdict.retry), lines, tries + 1)

    def _took(self, batch: Batch) -> None:
        if batch.rows:
            self._delivered += len(batch.rows)
            self._witness = dataclasses.replace(batch, rows=batch.rows[-1:])
            self._in_a_row = 0

    def _refuse(self, refused: list[tuple[Line, str]]) -> None:
        """Condemn rows; before too many in a row, ask whether the server still takes any."""
        if not refused:
            return
        self._condemned += refused
        self._in_a_row += 1
        if self._in_a_row < MOST_IN_A_ROW:
            return
        if self._witness is None or self._answer(self._witness).action is not Action.DELIVERED:
            raise UploaderError(f"the server refuses everything: {refused[-1][1]}")
        self._in_a_row = 0

    def _answer(self, batch: Batch) -> Verdict:
        """A verdict on rows; what only has to wait is waited for, a while.

        Raises:
            UploaderError: nobody answers, the server is busy, or endpoint or key is wrong.
        """
        for tries in itertools.count(1):
            verdict = self._uploader.send(batch)
            if verdict.action is Action.SUSPENDED:
                raise UploaderError(f"endpoint or key is wrong: {verdict.reason}")
            if verdict.action not in _PASSES:
                break
            asked_s = verdict.retry_after_s or 0.0
            if tries == MOST_TRIES or asked_s > LONGEST_PAUSE_S:
                when = f" in {asked_s:.0f} s" if asked_s else " later"
                raise UploaderError(f"{verdict.reason}; run it again{when}, it goes on from here")
            self._pause(tries, asked_s)
        return verdict

    def _pause(self, tries: int, asked_s: float = 0.0) -> None:
        draw = random.random()  # noqa: S311  # spreads a crowd, hides nothing
        jitter_s = full_jitter(tries, base_s=_BASE_S, cap_s=LONGEST_PAUSE_S, draw=draw)
        self._sleep(asked_s + jitter_s)

    def _confirm(self, read: int, digest: str) -> None:
        """Note how far it came; not over a row that was refused without a witness."""
        unread = all(line.row is None for line, _ in self._condemned)
        if self._condemned and not self._witness and not unread:
            return
        before = self.position
        self.position = Position(
            before.endpoint,
            read,
            digest,
            before.delivered + self._delivered,
            before.rejected + len(self._condemned),
            self._write_rejects(before.rejected_bytes),
        )
        carried.keep(self._note, self.position)
        self._delivered = 0
        self._condemned.clear()

    def _write_rejects(self, size: int) -> int:
        """Write down what was condemned behind what is known to stand there; the new size.

        What a run wrote that broke off before it could note it is written over.
        """
        if not self._condemned:
            return size
        text = b"".join(carried.with_reason(line, why) for line, why in self._condemned)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self.rejects, flags, 0o600), "r+b") as file:
                # Somebody may have cleared it away, or some of it.
                size = min(size, os.fstat(file.fileno()).st_size)
                file.truncate(size)
                file.seek(size)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise StoreError(f"{self.rejects}: {exc.strerror}", reason="OS") from exc
        return size + len(text)
