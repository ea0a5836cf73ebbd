"""Every state a power cut could leave a file in, enumerated from a trace of system calls.

A child process works under strace; what it wrote, synced, cut and removed is replayed up to any
call. What was synced is on the disk for good. Of what was not, anything may be: each 512-byte
sector of each later write is kept or lost on its own, in any order, which covers dropped, torn and
reordered writes. (Creating and removing files is taken to be durable at once: SQLite syncs the
directory where that matters, and a state without the file is among those before its creation.)

Source: the method of ALICE (Pillai et al., OSDI 2014), reduced to the calls SQLite makes.
"""

from __future__ import annotations

import dataclasses
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SECTOR_BYTES = 512
_CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink"
_LINE = re.compile(
    r'(\w+)\((?:\d+<([^>]*)>)?(?:AT_FDCWD<[^>]*>)?(?:, )?(?:"([^"]*)")?(.*)\) += 0*(-?\d+)'
)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One system call that changes what a power cut leaves."""

    #: ``write``, ``sync``, ``cut``, ``remove`` or ``say``
    kind: str
    path: Path
    #: what was written or said
    data: bytes = b""
    #: where it was written, or the length it was cut to
    offset: int = 0


def trace(script: str, arguments: list[str], directory: Path, told: Path) -> list[Call]:
    """Run Python code under strace and return what it did to files in ``directory``.

    Args:
        script: the code; it says what has become durable by writing to ``told``.
        arguments: its ``sys.argv[1:]``.
        directory: whose files count.
        told: the file it speaks through.
    """
    log = directory.parent / "trace"
    command = ["strace", "-y", "-xx", "-s", "1048576", "-e", f"trace={_CALLS}", "-o", str(log)]
    subprocess.run([*command, sys.executable, "-c", script, *arguments], check=True, timeout=60)
    lines = log.read_text().splitlines()
    return [call for line in lines if (call := _parse(line, directory, told))]


def crash_states(
    calls: list[Call], states: int, seed: int
) -> Iterator[tuple[dict[Path, bytes], bytes]]:
    """Files as a power cut could have left them, and what had been said by then.

    Cuts are spread evenly over the trace; each with a draw of its own of what survived.
    """
    draw = random.Random(seed)
    for number in range(states):
        cut = 1 + number * len(calls) // states
        yield _state(calls[:cut], draw)


def _state(calls: list[Call], draw: random.Random) -> tuple[dict[Path, bytes], bytes]:
    synced: dict[Path, bytearray] = {}
    since: dict[Path, list[Call]] = {}
    said = b""
    for call in calls:
        if call.kind == "say":
            said += call.data
        elif call.kind == "remove":
            synced.pop(call.path, None)
            since.pop(call.path, None)
        elif call.kind == "sync":
            for change in since.pop(call.path, []):
                _apply(synced.setdefault(call.path, bytearray()), change)
        else:
            synced.setdefault(call.path, bytearray())
            since.setdefault(call.path, []).append(call)
    for path, changes in since.items():
        for change in _surviving(changes, draw):
            _apply(synced[path], change)
    return {path: bytes(content) for path, content in synced.items()}, said


def _surviving(changes: list[Call], draw: random.Random) -> list[Call]:
    """What of the unsynced changes reached the disk."""
    kept = draw.choice((0.0, 0.5, 0.9, 1.0))
    parts = [part for change in changes for part in _sectors(change) if draw.random() < kept]
    return parts if draw.random() < 0.5 else draw.sample(parts, len(parts))


def _sectors(change: Call) -> Iterator[Call]:
    """A write, sector by sector as the disk has them; a cut is one piece."""
    if change.kind == "cut":
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        data = change.data[start - change.offset : stop - change.offset]
        yield Call("write", change.path, data, start)
        start = stop


def _apply(content: bytearray, change: Call) -> None:
    if change.kind == "cut":
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


def _parse(line: str, directory: Path, told: Path) -> Call | None:
    """A line of strace as a call; None if it changes no file that counts."""
    found = _LINE.search(line)
    if found is None or int(found[5]) < 0:
        return None
    name, handle, text, rest = found[1], found[2], found[3], found[4]
    data = _bytes(text)
    path = Path(_bytes(handle).decode() if handle else data.decode(errors="replace"))
    numbers = [int(number) for number in re.findall(r"\d+", rest)]
    if path == told and name == "write":
        return Call("say", path, data)
    if path.parent != directory or path.name.endswith("-shm"):
        return None
    last = numbers[-1] if numbers else 0
    changes = {
        "pwrite64": Call("write", path, data, last),
        "ftruncate": Call("cut", path, offset=last),
        "fsync": Call("sync", path),
        "fdatasync": Call("sync", path),
        "unlink": Call("remove", path),
    }
    return changes.get(name)


def _bytes(text: str | None) -> bytes:
    return bytes.fromhex((text or "").replace("\\x", ""))
