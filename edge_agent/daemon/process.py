"""Which process an agent is: its number alone may be another program's by now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_PROC = Path("/proc")
#: The 3rd and the 22nd field of the file, counted from behind the name in parentheses.
_STATE, _START = 0, 19
#: Ended, and nobody has waited for it yet.
_ENDED = ("Z", "X")


def start_ticks(pid: int, proc: Path = _PROC) -> int | None:
    """When a process started: a number that is given anew goes to one with another start.

    Returns:
        clock ticks since boot; 0 where it has ended; None where nobody says.

    Source:
        proc_pid_stat(5), fields 3 (state) and 22 (starttime); the name may contain anything.
    """
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].decode().split()
    except OSError:
        return None
    return 0 if fields[_STATE] in _ENDED else int(fields[_START])


def runs(
    pid: int,
    ticks: int | None,
    proc: Path = _PROC,
    kill: Callable[[int, int], None] = os.kill,
) -> bool:
    """Whether the process of this number is still the one that started then.

    Args:
        pid: its number.
        ticks: what `start_ticks` said of it when it ran.
        proc: where the kernel tells of processes.
        kill: asks whether there is one of that number.
    """
    now = start_ticks(pid, proc)
    try:
        kill(pid, 0)
    except PermissionError:
        # Another user's, of which the kernel may tell us nothing (proc(5), hidepid).
        return now in (ticks, None)
    except OSError:
        return False
    return now == ticks
