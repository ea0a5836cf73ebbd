"""The watchdog's conscience: who is stuck, and in what.

The ping goes out only while every thread has made progress within its own deadline. The store has
no thread of its own: a thread that is stuck in it is named with it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from edge_agent.daemon.worker import Worker

_HOUSE = str(Path(__file__).parents[1])


def stuck(workers: Iterable[Worker], now: float) -> list[Worker]:
    """The threads that are later than they may be.

    Args:
        workers: the threads to look at.
        now: monotonic seconds.
    """
    return [worker for worker in workers if worker.overdue_s(now) > 0.0]


def whereabouts(worker: Worker) -> str:
    """The innermost function of ours that the thread is in: ``uploader.send``."""
    ours = [call for call in _stack(worker) if call.filename.startswith(_HOUSE)]
    return f"{Path(ours[-1].filename).stem}.{ours[-1].name}" if ours else "nothing of ours"


def stack(worker: Worker) -> str:
    """The thread's stack in one line, innermost call last."""
    calls = (f"{Path(call.filename).name}:{call.lineno}:{call.name}" for call in _stack(worker))
    return " > ".join(calls)


def _stack(worker: Worker) -> traceback.StackSummary:
    """The thread's calls; none when it has ended."""
    frames = sys._current_frames()  # noqa: SLF001  # the documented way to another thread's stack
    frame = frames.get(worker.ident or -1)
    return traceback.extract_stack(frame) if frame else traceback.StackSummary()
