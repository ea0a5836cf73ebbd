"""Damage upon damage: while a file is set aside, while it is salvaged, again and again."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.damage import KINDS, log, names, salvage, too_new

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import StoreError


def test_damage_in_the_middle_of_a_salvage_ends_neither(spoilt: Path, clock: FakeClock) -> None:
    """The fresh file is set aside too; its rows come first, then the rest of the first one's."""
    for turn in range(2):
        too_new(spoilt)
        with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
            queue.enqueue({"turn": turn})
            queue.upkeep()
            assert queue.restless()
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.pending_count() == 2_899
        ledger = queue.ledger()
        assert (ledger.corrupt, ledger.corrupt_unknown, ledger.dead) == (0, False, 3)


def test_file_set_aside_that_somebody_removes_ends_the_salvage(
    spoilt: Path, clock: FakeClock
) -> None:
    """What is lost is unknown; the queue works on."""
    too_new(spoilt)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        queue.upkeep()
    for file in spoilt.parent.glob("q.db.corrupt-*"):
        file.unlink()
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.ledger().corrupt_unknown
        assert queue.pending_count() > 0


def test_emptied_file_is_refused_where_somebody_is_there(spoilt: Path, clock: FakeClock) -> None:
    """SQLite would remove the log, and with it the rows."""
    os.truncate(spoilt, 0)
    with pytest.raises(StoreError, match="start the agent"):
        CloudSyncQueue(spoilt, clock=clock)
    assert log(spoilt).stat().st_size > 0


def test_emptied_file_beside_files_set_aside_is_no_new_one(spoilt: Path, clock: FakeClock) -> None:
    """It is told of, and what was lost is unknown."""
    for _ in range(2):
        spoilt.write_bytes(b"")
        log(spoilt).unlink(missing_ok=True)
        spoilt.with_name("q.db.corrupt-20250101T000000Z").touch()
        with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
            salvage(queue)
            assert queue.ledger().corrupt_unknown
        clock.advance(1)


@pytest.mark.fault(
    "corrupt file",
    "a directory",
    how="a directory with somebody's file in it bears the queue's name",
    part="the queue, in the test's process",
)
def test_directory_in_the_file_s_place_is_moved_away_and_never_removed(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Somebody's things may be in it."""
    spoilt = tmp_path / "q.db"
    for _ in range(4):
        spoilt.mkdir()
        (spoilt / "note").touch()
        with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
            queue.enqueue({})
        spoilt.unlink()
        clock.advance(1)
    assert len(list(tmp_path.glob("q.db.corrupt-*/note"))) == 4


def test_damaged_files_beyond_two_are_removed(spoilt: Path, clock: FakeClock) -> None:
    """A failing card must not fill itself with them."""
    for _ in range(4):
        spoilt.write_bytes(b"sensor,value\n" * 50)
        with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
            queue.enqueue({})
        clock.advance(1)
    assert len(list(spoilt.parent.glob("q.db.corrupt-*Z"))) == 2


def test_salvage_goes_on_where_it_was_after_a_restart(spoilt: Path, clock: FakeClock) -> None:
    """How far it has come stands in the file."""
    too_new(spoilt)
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        queue.upkeep()
        assert 0 < queue.pending_count() < 2_897
    with CloudSyncQueue(spoilt, clock=clock, unattended=True) as queue:
        salvage(queue)
        assert queue.pending_count() == 2_897
        assert (queue.ledger().corrupt, queue.ledger().closes) == (0, True)


WORK = """
import os, sys
sys.path.insert(0, sys.argv[3])
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.errors import StoreError
from fakes.clock import FakeClock
def again(what):
    for _ in range(20):
        try:
            return what()
        except StoreError:
            pass
    raise SystemExit("it does not heal")
told = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
with CloudSyncQueue(sys.argv[1], unattended=True, clock=FakeClock()) as queue:
    os.write(told, b"%d\\n" % again(lambda: queue.enqueue({"fresh": True})))
    while queue.restless():
        again(queue.upkeep)
"""


RENAMES = "?rename,?renameat,?renameat2"


def faulty(call: str, fault: str, number: int, path: Path) -> bool:
    """Replace and salvage with a fault at the number-th such call; whether it came to that."""
    trace = path.with_name("trace")
    inject = ["strace", "-o", str(trace), "-e", f"inject={call}:{fault}:when={number}"]
    told, tests = path.with_name("told"), Path(__file__).parents[1]
    work = [sys.executable, "-c", WORK, str(path), str(told), str(tests)]
    ended = subprocess.run([*inject, *work], check=False, timeout=60).returncode
    killed = "killed by SIGKILL" in trace.read_text()
    assert killed or ended == 0
    return killed or "(INJECTED)" in trace.read_text()


@pytest.mark.fault(
    "corrupt file",
    "header",
    how="strace kills or fails each call of replacing and salvaging",
    part="a process that works the queue alone",
)
@pytest.mark.parametrize(
    ("call", "fault", "every"),
    # Each rename and removal; of the writes, which are many, some of each kind.
    [
        (RENAMES, "signal=KILL", 1),
        ("unlink", "signal=KILL", 1),
        ("ftruncate", "signal=KILL", 1),
        ("fdatasync", "signal=KILL", 4),
        ("pwrite64", "signal=KILL", 59),
        (RENAMES, "error=EIO", 1),
        ("unlink", "error=EIO", 1),
        ("fdatasync", "error=EIO", 5),
        ("pwrite64", "error=ENOSPC", 71),
    ],
)
def test_fault_at_each_step_of_replacing_and_salvaging_loses_nothing(
    call: str, fault: str, every: int, spoilt: Path, clock: FakeClock
) -> None:
    """Whatever was being done: all rows, which only the log has, come each under one name."""
    points = 0
    spoil, _ = KINDS["emptied_all_in_the_log"]
    spoil(spoilt)
    for number in itertools.count(1, every):
        site = spoilt.parent / str(number)
        site.mkdir()
        for part in ("", "-wal"):
            shutil.copy(f"{spoilt}{part}", site / f"q.db{part}")
        if not faulty(call, fault, number, site / "q.db"):
            break
        points += 1
        with CloudSyncQueue(site / "q.db", clock=clock, unattended=True) as queue:
            queue.enqueue({"again": True})
            salvage(queue)
            texts = list(names(queue).values())
            fresh = [text for text in texts if text == '{"fresh":true}']
            told = (site / "told").read_text().split() if (site / "told").exists() else []
            assert len(texts) - len(fresh) == len(set(texts) - {*fresh}) == 2_898
            assert len(told) <= len(fresh) <= 1
            ledger = queue.ledger()
            assert (ledger.corrupt, ledger.corrupt_unknown, ledger.dead) == (0, False, 3)
        assert len(list(site.glob("q.db.corrupt-*Z"))) <= 1
        assert not (site / "q.db.fresh").exists()
    assert points > 0, f"the work never called {call}"
