"""Can the queue be kept where it is, and for how long?"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_agent.cli.doctor_findings import FAIL, OK, WARN, Case, Finding, Machine
from edge_agent.cli.status_text import span

#: Gone with the power.
_IN_MEMORY = ("tmpfs", "ramfs", "zram")
#: Its locks hold on one machine only. Source: https://sqlite.org/faq.html#q5.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
#: They know no owners and lose what was written last.
_FOREIGN = ("vfat", "exfat", "msdos")
_DAY_S = 86_400


class Mount(NamedTuple):
    """What a folder lies on."""

    point: str
    kind: str
    #: of the mount and of the file system: ``rw``, ``ro``, …
    options: tuple[str, ...]


def queue(case: Case) -> Iterator[Finding]:
    """The folder, what it lies on, and the room there."""
    folder = case.queue_path.parent
    if not folder.is_dir():
        mend = f"sudo install -d -m 0750 -o {case.user} -g {case.user} {shlex.quote(str(folder))}"
        yield Finding("queue", FAIL, f"there is no folder {folder}, where queue.path is", mend)
        return
    yield from _place(case, folder)
    yield from _file(case, folder)
    yield from _room(case, folder)


def mount_of(folder: Path, machine: Machine) -> Mount:
    """What a folder lies on.

    Source:
        proc(5), /proc/pid/mountinfo: the fifth field is the mount point, with octal escapes, the
        sixth its options; after a lone ``-`` come type, source and the file system's options.
    """
    best = Mount("/", "", ())
    for line in machine.text("proc/self/mountinfo").splitlines():
        mounted, _, behind = line.partition(" - ")
        fields, rest = mounted.split(), behind.split()
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        # What was mounted later lies on top.
        if folder.is_relative_to(point) and len(point) >= len(best.point):
            best = Mount(point, rest[0], (*fields[5].split(","), *rest[2].split(",")))
    return best


def _place(case: Case, folder: Path) -> Iterator[Finding]:
    mount = mount_of(folder.resolve(), case.machine)
    another = f"set queue.path to a folder on a card or disk, in {case.config_file}"
    if mount.kind in _IN_MEMORY:
        says = f"{folder} lies in memory ({mount.kind}): every power cut empties the queue"
        yield Finding("queue", FAIL, says, another)
    elif "overlay" in mount.kind:
        says = f"{folder} lies on an overlay: every reboot empties the queue"
        mend = f"sudo raspi-config nonint disable_overlayfs && sudo reboot; or {another}"
        yield Finding("queue", FAIL, says, mend)
    elif mount.kind in _REMOTE:
        says = f"{folder} lies on another machine ({mount.kind}): no lock is sure there"
        yield Finding("queue", FAIL, says, another)
    elif "ro" in mount.options:
        says = f"{folder} is read-only: the kernel does that when a card fails"
        mend = f"sudo dmesg | grep -i 'ext4\\|mmc' says why; sudo mount -o remount,rw {mount.point}"
        yield Finding("queue", FAIL, says, mend)
    elif mount.kind in _FOREIGN:
        says = f"{folder} lies on {mount.kind}, which a power cut can damage as a whole"
        yield Finding("queue", WARN, says, another)
    elif not case.machine.may(folder, os.W_OK | os.X_OK):
        says = f"{folder} cannot be written by {case.user}"
        yield Finding("queue", FAIL, says, f"sudo chown -R {case.owned(folder)}")
    else:
        yield Finding("queue", OK, f"{folder} lies on {mount.kind or 'a disk'}, and can be written")


def _file(case: Case, folder: Path) -> Iterator[Finding]:
    """The file itself, and what a server refused of it."""
    path = case.queue_path
    if not path.exists():
        mend = "sudo systemctl start pyvorin-agent" if case.installed else "pyvorin-agent run"
        yield Finding("queue", WARN, f"{path} is not there yet: no agent has run", mend)
    elif not case.machine.may(path, os.R_OK | os.W_OK):
        says = f"{path} cannot be read and written by {case.user}"
        yield Finding("queue", FAIL, says, f"sudo chown -R {case.owned(folder)}")
    elif case.status and (dead := case.status["ledger"]["dead"]):
        says = f"{dead} dead letter{'s' * (dead != 1)}: a server refused them"
        mend = "pyvorin-agent queue dead list tells why; queue dead replay sends them again"
        yield Finding("queue", WARN, says, mend)


def _room(case: Case, folder: Path) -> Iterator[Finding]:
    disk, kept = os.statvfs(folder), case.config.queue.min_free_disk_bytes
    free = disk.f_bavail * disk.f_frsize
    says = f"{free / 1e6:.0f} MB are free"
    hours = case.running["health"]["hours_left"] if case.running else None
    mend = f"make room: sudo apt clean; sudo journalctl --vacuum-size=50M; sudo du -xh {folder}"
    if free <= kept:
        says += f", and queue.min_free_disk wants {kept / 1e6:.0f} MB: the queue cannot grow"
        yield Finding("room", FAIL, says, mend)
    elif disk.f_files and not disk.f_favail:
        yield Finding("room", FAIL, f"{says}, and not one inode: no file can be made", mend)
    elif hours is not None and hours * 3600 < _DAY_S:
        mend += "; or raise queue.max_size"
        level, long = (FAIL, "less than an hour") if not hours else (WARN, span(hours * 3600))
        yield Finding("room", level, f"{says}; {long} fits at the present rate", mend)
    else:
        fits = f"; {span(hours * 3600)} fit at the present rate" if hours is not None else ""
        yield Finding("room", OK, f"{says}{fits}")
