"""A thread around ``step(now) -> when to be called next``, and a record of its progress."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from edge_agent.clock import Clock
from edge_agent.events import event

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

#: After a step that raised, the next one waits this long: an error must not become a busy loop.
PAUSE_S = 5.0


class Worker:
    """Calls ``step`` whenever it asked to be called, or is woken, until it is stopped."""

    def __init__(
        self,
        name: str,
        step: Callable[[float], float],
        clock: Clock,
        *,
        patience_s: float,
    ) -> None:
        """Describe the thread; `start` starts it.

        Args:
            name: for the journal and the watchdog.
            step: does what is due and says when to be called next, both in monotonic seconds.
            clock: the machine's.
            patience_s: how long one step may take before the thread counts as stuck.
        """
        self.name = name
        self.errors_total = 0
        #: the last step's error, so that one that comes back is told once; empty: it went well
        self._error = ""
        self._step = step
        self._clock = clock
        self._patience_s = patience_s
        self._last: Callable[[], None] | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        #: monotonic seconds by which the thread must have been seen again
        self._expected = clock.monotonic() + patience_s
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; its time counts from here."""
        self._expected = self._clock.monotonic() + self._patience_s
        self._thread.start()

    def wake(self) -> None:
        """Let the next step come now."""
        self._wake.set()

    def stop(self, last: Callable[[], None] | None = None) -> None:
        """Ask the thread to end after the step it is at; ``last`` is its last act."""
        self._last = last
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; returns whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def ident(self) -> int | None:
        """The thread's identifier, for its stack."""
        return self._thread.ident

    def overdue_s(self, now: float) -> float:
        """Seconds by which the thread is later than it may be; 0.0 while it makes progress.

        A thread that waits until a time it named has made progress until then.
        """
        return max(0.0, now - self._expected)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            now = self._clock.monotonic()
            self._expected = now + self._patience_s
            next_call = self._guarded(functools.partial(self._step, now))
            if next_call is None:
                next_call = now + PAUSE_S
            now = self._clock.monotonic()
            self._expected = max(next_call, now) + self._patience_s
            self._wake.wait(min(max(next_call - now, 0.0), threading.TIMEOUT_MAX))
            self._wake.clear()
        if self._last is not None:
            self._guarded(self._last)

    def _guarded(self, act: Callable[[], _T]) -> _T | None:
        """What ``act`` returns; None where it raised, which is told, and the thread lives on."""
        try:
            done = act()
        except Exception as exc:  # noqa: BLE001  # the loop body of a thread: it must live on
            self.errors_total += 1
            error, self._error = self._error, repr(exc)
            if error != self._error:
                _log.exception(event("step_failed", thread=self.name, error=self._error))
            return None
        self._error = ""
        return done
