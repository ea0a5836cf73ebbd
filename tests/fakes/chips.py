"""What fake chips that take commands have in common."""

from __future__ import annotations

import abc
import errno
import os
from typing import NoReturn


def nack() -> NoReturn:
    """The chip does not answer, as a BCM2835 reports it."""
    raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))


class NoRegisters:
    """A chip that takes commands: each write and each read is a transfer of its own."""

    def get(self, register: int, length: int) -> bytes:
        raise AssertionError("the chip needs a STOP between writing and reading")

    def set(self, register: int, data: bytes) -> None:
        raise AssertionError("the chip has no registers")


class CommandChip(NoRegisters, abc.ABC):
    """A chip without registers, that does not answer while it is busy."""

    #: how long it is deaf after power-on
    START_UP_S = 0.0005

    def __init__(self) -> None:
        #: set it, and nothing it began ever ends
        self.stuck = False
        self.restart()

    def restart(self) -> None:
        """Power-on."""
        self.busy_s = self.START_UP_S
        self.answers: bytes | None = None

    def elapse(self, seconds: float) -> None:
        if not self.stuck:
            self.busy_s = max(self.busy_s - seconds, 0.0)

    def command(self, data: bytes) -> None:
        if self.busy_s:
            nack()
        self.answers = None
        self.obey(data)

    @abc.abstractmethod
    def obey(self, data: bytes) -> None:
        """Do what was asked."""

    def answer(self, length: int) -> bytes:
        """What was measured, once: a chip with nothing to say does not answer either."""
        if self.busy_s or self.answers is None:
            nack()
        said, self.answers = self.answers, None
        assert length <= len(said), "more was read than the chip has to say"
        return said[:length]
