"""The clock: wall time, time that never jumps, which boot this is, and whether to believe the wall.

The only module that reads the wall clock. A Pi has no battery: it boots with the time of its last
shutdown (or 1970) and steps forward when a time service answers, minutes or weeks later. So
everything that waits, waits on `Clock.monotonic`, and what is stamped with `Clock.wall` says
whether the clock was right.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Protocol

#: Flag files that appear once a time service has set the clock in this boot. (systemd-timesyncd(8)
#: documents the first; adjtimex(2), which would tell more, is forbidden by ``ProtectClock=``.)
SYNC_FLAGS = (Path("/run/systemd/timesync/synchronized"),)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What the agent asks of time; the daemon gets `SystemClock`, tests and simulations a fake."""

    def wall(self) -> float:
        """Unix seconds, right or wrong."""

    def monotonic(self) -> float:
        """Seconds since boot, counting suspend; never goes back, never jumps."""

    def boot_id(self) -> str:
        """A text that differs from boot to boot."""

    def synchronized(self) -> bool:
        """Whether the wall clock has been set right since this boot."""

    def trust(self) -> None:
        """Take note of evidence that the wall clock is right: a step, a server's Date header."""


class SystemClock:
    """This machine's clock. Thread-safe: it holds one flag, which only ever goes up."""

    def __init__(self) -> None:
        self._trusted = False

    def wall(self) -> float:
        """Unix seconds, right or wrong (``CLOCK_REALTIME``)."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot, counting suspend (``CLOCK_BOOTTIME``, clock_gettime(2))."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's random id of this boot (random(4)); ``unknown`` where /proc hides it."""
        return _kernels_boot_id()

    def synchronized(self) -> bool:
        """Whether a time service set the clock in this boot, or `trust` was called."""
        if not self._trusted:
            self._trusted = any(flag.exists() for flag in SYNC_FLAGS)
        return self._trusted

    def trust(self) -> None:
        """Take note of evidence that the wall clock is right."""
        self._trusted = True


@functools.cache
def _kernels_boot_id() -> str:
    """Read once: no process outlives its boot."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
