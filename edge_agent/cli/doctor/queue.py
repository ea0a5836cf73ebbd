"""Can the queue be kept where it is, and for how long?"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cli.doctor.files import closed_folder
from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Case, Finding, real
from edge_agent.cli.doctor.mounts import Mount, mount_of, unmounted
from edge_agent.cli.status.text import span
from edge_agent.cloud_sync.flock import FlusherLock
from edge_agent.errors import QueueBusy, StoreError

#: Gone with the power.
_IN_MEMORY = ("tmpfs", "ramfs")
_MEMORY_DISKS = ("/dev/zram", "/dev/ram")
#: Its locks hold on one machine only. Source: https://sqlite.org/faq.html#q5.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs")
#: They know no owners and lose what was written last.
_FOREIGN = ("vfat", "exfat", "msdos", "fuseblk", "ntfs", "ntfs3")
#: What the agent keeps beside the queue's file.
_BESIDE = ("last_good.yaml", "privacy.key")
_USED = os.R_OK | os.W_OK
#: It may hold the queue before it speaks of itself: a start can take minutes.
_ALIVE = ("active", "activating", "reloading", "deactivating")
_DAY_S = 86_400
#: Of ``queue.max_size``: above, what is least wanted goes soon.
_NEARLY = 0.9


def queue(case: Case) -> Iterator[Finding]:
    """The folder, what it lies on, and the room there."""
    folder = case.queue_path.parent
    if disk := unmounted(folder, case.machine):
        says = f"the disk of {disk} is not there: /etc/fstab has it, and it is not mounted"
        yield Finding("queue", FAIL, says, f"sudo mount {shlex.quote(str(disk))}")
        return
    if shut := closed_folder(case, folder):
        says = f"{case.user} may not enter {shut}, which is on the way to queue.path"
        yield Finding("queue", FAIL, says, f"sudo chmod o+x {shlex.quote(str(shut))}")
        return
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        says = f"there is no folder {folder}, where queue.path is"
        if not case.installed and _can_be_made(case, folder):
            yield Finding("queue", OK, f"{says}; the agent makes it")
        else:
            yield Finding("queue", FAIL, says, _make(case, folder))
    except OSError as exc:
        says = f"{folder}: {exc.strerror}: the disk fails, or is gone"
        yield Finding("queue", FAIL, says, "`sudo dmesg | tail -n 30` says why")
    else:
        place = list(_place(case, folder))
        yield from place
        # A disk that cannot be written explains what the file suffers from.
        if case.trouble and not any(found.level == FAIL for found in place):
            yield Finding("queue", FAIL, case.trouble, case.command("queue verify"))
        yield from _files(case, folder)
        yield from _room(case, folder)


def _make(case: Case, folder: Path) -> str:
    name = shlex.quote(str(folder))
    return f"sudo install -d -m 0750 -o {case.user} -g {case.user} {name}"


def _can_be_made(case: Case, folder: Path) -> bool:
    """Whether a trial's agent may make it, as it does where it can."""
    above = next(path for path in folder.parents if case.machine.there(path))
    return case.machine.may(above, os.W_OK | os.X_OK)


def _place(case: Case, folder: Path) -> Iterator[Finding]:
    mount = mount_of(real(folder), case.machine)
    another = f"set queue.path to a folder on a card or disk: `{case.edit}`"
    if mount.kind in _IN_MEMORY or mount.source.startswith(_MEMORY_DISKS):
        says = f"{folder} lies in memory ({mount.kind}): every power cut empties the queue"
        yield Finding("queue", FAIL, says, another)
    elif "overlay" in mount.kind:
        says = f"{folder} lies on an overlay: every reboot empties the queue"
        mend = f"`sudo raspi-config nonint disable_overlayfs && sudo reboot`; or {another}"
        yield Finding("queue", FAIL, says, mend)
    elif mount.kind in _REMOTE:
        says = f"{folder} lies on another machine ({mount.kind}): no lock is sure there"
        yield Finding("queue", FAIL, says, another)
    elif "ro" in mount.options:
        says = f"{folder} is read-only, by its mount or because the card failed"
        remount = f"sudo mount -o remount,rw {shlex.quote(mount.point)}"
        mend = f"`{remount}`; where that fails, `sudo dmesg | grep -iE 'ext4|mmc'` says why"
        yield Finding("queue", FAIL, says, mend)
    elif mount.kind in _FOREIGN:
        says = f"{folder} lies on {mount.kind}, which a power cut can damage as a whole"
        yield Finding("queue", WARN, says, another)
    elif not case.machine.may(folder, os.W_OK | os.X_OK):
        yield Finding(
            "queue", FAIL, f"{folder} cannot be written by {case.user}", _own(case, folder)
        )
    else:
        yield Finding("queue", OK, f"{folder} lies on {mount.kind or 'a disk'}, and can be written")
    yield from _errors(case, mount)


def _errors(case: Case, mount: Mount) -> Iterator[Finding]:
    """What ext4 found wrong with itself; it notes that until the disk is checked."""
    disk = real(case.machine.root / "sys/dev/block" / mount.device).name
    count = case.machine.text(f"sys/fs/ext4/{disk}/errors_count")
    if count.isdecimal() and int(count):
        says = f"the kernel found {count} errors on {mount.point}: the card or disk may be failing"
        mend = (
            "replace it; to have it checked, add fsck.mode=force to the line in "
            "/boot/firmware/cmdline.txt for one boot"
        )
        yield Finding("queue", WARN, says, mend)


def _own(case: Case, folder: Path) -> str:
    """What lets the agent write there; a folder that others use, too, is not given to it."""
    if "pyvorin" in folder.name:
        return f"sudo chown -R {case.owned(folder)}"
    own = folder / "pyvorin"
    path = own / case.queue_path.name
    return f"`{_make(case, own)}`; then set queue.path to {path}: `{case.edit}`"


def _files(case: Case, folder: Path) -> Iterator[Finding]:
    """The file itself, what lies beside it, who holds it, and what a server refused of it."""
    path, may = case.queue_path, case.machine.may
    if not may(folder, os.R_OK | os.X_OK):
        return
    if not case.machine.there(path):
        mend = case.restart if case.installed else case.command("run")
        yield Finding("queue", WARN, f"{path} is not there yet: no agent has run", mend)
    beside = [*folder.glob(f"{path.name}*"), *(folder / name for name in _BESIDE)]
    closed = [one for one in sorted(beside) if case.machine.there(one) and not may(one, _USED)]
    if closed:
        names = " ".join(shlex.quote(str(one)) for one in closed)
        says = f"{closed[0]} cannot be read and written by {case.user}"
        yield Finding("queue", FAIL, says, f"sudo chown {case.user}: {names}")
    elif not case.running and case.unit.get("ActiveState") not in _ALIVE and _held(path):
        says = f"another process has {path}, and no second agent can use it"
        yield Finding("queue", FAIL, says, "`sudo lslocks | grep FLOCK` shows which; end that one")
    if damaged := sorted(folder.glob(f"{path.name}.corrupt-*Z")):
        says = f"the queue's file was damaged once, and is kept as {damaged[-1].name}"
        counts = case.command("status")
        mend = f"`{counts}` counts what was lost; if it happens again, replace the card"
        yield Finding("queue", WARN, says, mend)
    if case.status and (dead := case.status["ledger"]["dead"]):
        says = f"{dead} dead letter{'s' * (dead != 1)}: a server refused them"
        tells, again = case.command("queue dead list"), case.command("queue dead replay")
        mend = f"`{tells}` tells why; `{again}` sends them again"
        yield Finding("queue", WARN, says, mend)


def _held(path: Path) -> bool:
    """Whether somebody sends from this queue, who is not the agent."""
    if not Path(f"{path}.lock").exists():
        return False
    try:
        with FlusherLock(path).held():
            return False
    except QueueBusy:
        return True
    except StoreError:
        return False


def _room(case: Case, folder: Path) -> Iterator[Finding]:
    try:
        disk = case.machine.room(folder)
    except OSError as exc:
        mend = "`sudo dmesg | tail -n 30` says why"
        yield Finding("room", FAIL, f"nobody can say what is free: {exc.strerror}", mend)
        return
    settings, hours = case.config.queue, case.health.get("hours_left")
    free = disk.f_bavail * disk.f_frsize
    size = (case.status or {}).get("queue", {}).get("size_bytes", 0)
    kept, most = settings.min_free_disk_bytes, settings.max_size_bytes
    says = f"{free / 1e6:.0f} MB are free"
    mend = "sudo apt clean && sudo journalctl --vacuum-size=50M && df -h"
    more = f"`{case.edit}`"
    raise_ = f"see why the server takes nothing, or raise queue.max_size: {more}"
    if free <= kept:
        says += f", and queue.min_free_disk wants {kept / 1e6:.0f} MB: the queue cannot grow"
        yield Finding("room", FAIL, says, mend)
    elif disk.f_files and not disk.f_favail:
        says = "the disk has room for not one file more, large or small (inodes)"
        yield Finding("room", FAIL, says, mend)
    elif size >= most * _NEARLY:
        says += f", but the queue has {size / 1e6:.0f} of the {most / 1e6:.0f} MB of queue.max_size"
        yield Finding("room", WARN, says, raise_)
    elif hours is not None and hours * 3600 < _DAY_S:
        level, long = (FAIL, "less than an hour") if not hours else (WARN, span(hours * 3600))
        yield Finding("room", level, f"{says}; {long} fits at the present rate", raise_)
    else:
        fits = f"; {span(hours * 3600)} fit at the present rate" if hours is not None else ""
        yield Finding("room", OK, f"{says}{fits}")
