"""A power cut at any instant of the queue's own work: what `durability` promises, and what not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from fakes.powercut import crash_states, trace

STATES = 400

WORK = """
import os, sys
from edge_agent.cloud_sync import CloudSyncQueue, Priority
path, told, durability, synchronous = sys.argv[1:]
say = os.open(told, os.O_WRONLY | os.O_CREAT)
queue = CloudSyncQueue(path, durability=durability)
for connection in (queue._store._writer, queue._store._reader):
    connection.execute(f"PRAGMA synchronous = {synchronous}")
os.write(say, b"open\\n")
for turn in range(12):
    ids = [queue.enqueue({"turn": turn, "text": "x" * 300}) for _ in range(4)]
    for number in ids:
        os.write(say, b"%d\\n" % number)
    if turn % 3 == 0:
        queue.nack(ids[:2], 60.0)
    if turn % 4 == 1:
        os.write(say, b"-%d\\n" % ids[0])
        queue.ack(ids[:1])
    if turn % 4 == 3:
        os.write(say, b"-%d\\n" % ids[1])
        queue.dead_letter(ids[1:2], "refused")
    if turn % 5 == 4:
        queue._store.checkpoint()
        queue.memory.note("checkpoint")
os.close(say)
"""


def left_by_cuts(tmp_path: Path, durability: str, synchronous: str) -> tuple[int, int]:
    """Of `STATES` power cuts: how many left a damaged file, how many lost an acknowledged row."""
    site, after, told = tmp_path / "site", tmp_path / "after", tmp_path / "told"
    site.mkdir()
    after.mkdir()
    arguments = [str(site / "q.db"), str(told), durability, synchronous]
    calls = trace(WORK, arguments, site, told)
    assert sum(call.kind == "say" for call in calls) > 50
    damaged = lossy = 0
    for files, said in crash_states(calls, STATES, seed=7):
        for old in after.iterdir():
            old.unlink()
        for path, content in files.items():
            (after / path.name).write_bytes(content)
        words = said.decode().split()
        given = {int(word) for word in words if word.isdigit()}
        gone = {-int(word) for word in words if word.startswith("-")}
        try:
            there = rows_of(after / "q.db")
        except sqlite3.DatabaseError:
            # Before the queue was opened for the first time there is nothing to be durable.
            damaged += "open" in words
            continue
        lossy += not given - gone <= there
    return damaged, lossy


def rows_of(path: Path) -> set[int]:
    """The ids in the file, after SQLite's own recovery.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    db = sqlite3.connect(path)
    try:
        (verdict,) = db.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sync_queue'").fetchone():
            return set()
        return {number for (number,) in db.execute("SELECT id FROM sync_queue")}
    finally:
        db.close()


@pytest.mark.fault(
    "power cut",
    "durability: full",
    how="400 states from a trace of the calls: what was flushed, any sectors of the rest",
    part="a process that works the queue alone",
)
def test_power_cut_with_durability_full_loses_nothing_and_damages_nothing(tmp_path: Path) -> None:
    """An id that enqueue returned is in the file, whatever the disk made of the rest."""
    assert left_by_cuts(tmp_path, "full", "FULL") == (0, 0)


@pytest.mark.fault(
    "power cut",
    "durability: normal",
    how="400 states from a trace of the calls: what was flushed, any sectors of the rest",
    part="a process that works the queue alone",
)
def test_power_cut_with_durability_normal_damages_nothing(tmp_path: Path) -> None:
    """It may lose the last seconds; the file is sound."""
    damaged, _ = left_by_cuts(tmp_path, "normal", "NORMAL")
    assert damaged == 0


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_power_cut_is_found_out_where_nothing_is_synced(tmp_path: Path, synchronous: str) -> None:
    """The check can fail: with less syncing than promised it does find losses."""
    damaged, lossy = left_by_cuts(tmp_path, "full", synchronous)
    assert lossy > 0
    assert synchronous == "NORMAL" or damaged > 0
