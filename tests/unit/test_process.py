"""Whether an agent's process is still there, and still the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.daemon.process import runs, start_ticks

PID = 612


def refused(pid: int, number: int) -> None:
    """It is another user's."""
    raise PermissionError


def nobody(pid: int, number: int) -> None:
    raise ProcessLookupError


def allowed(pid: int, number: int) -> None:
    pass


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process that started at tick 900; its name tries to look like fields."""
    (tmp_path / str(PID)).mkdir()
    stat = f"{PID} (a) S 1 (b) S " + " ".join(str(number) for number in range(4, 22)) + " 900 0\n"
    (tmp_path / str(PID) / "stat").write_text(stat)
    return tmp_path


def test_process_start_is_read_behind_the_name(proc: Path) -> None:
    """Which anybody may choose."""
    assert start_ticks(PID, proc) == 900
    assert start_ticks(PID + 1, proc) is None


@pytest.mark.parametrize("kill", [allowed, refused])
def test_process_of_the_same_number_is_another_one_if_it_started_otherwise(
    proc: Path, kill: object
) -> None:
    """Ours or another user's."""
    assert runs(PID, 900, proc, kill)  # type: ignore[arg-type]  # one of those above
    assert not runs(PID, 901, proc, kill)  # type: ignore[arg-type]  # one of those above


def test_process_that_the_kernel_hides_is_believed_if_it_is_another_users(tmp_path: Path) -> None:
    """With hidepid; our own we would see, so that has just ended."""
    assert runs(PID, 900, tmp_path, refused)
    assert not runs(PID, 900, tmp_path, allowed)
    assert not runs(PID, 900, tmp_path, nobody)


def test_process_that_has_ended_does_not_run_though_its_number_is_taken() -> None:
    """Nobody has waited for it yet, so a signal still finds it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        ticks = start_ticks(child.pid)
        assert ticks
        assert runs(child.pid, ticks)
        assert child.stdin is not None
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not runs(child.pid, ticks)
