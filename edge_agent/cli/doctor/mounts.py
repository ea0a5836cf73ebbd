"""What a folder lies on, and what it should lie on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edge_agent.cli.doctor.findings import Machine

#: Of a line of mountinfo: up to the mount's options, and behind the lone dash.
_FIELDS, _BEHIND = 6, 3
#: Of a line of fstab: up to the options.
_FSTAB = 4


class Mount(NamedTuple):
    """What a folder lies on."""

    point: str
    kind: str = ""
    #: of the mount and of the file system: ``rw``, ``ro``, …
    options: tuple[str, ...] = ()
    #: the disk, as the kernel numbers it: ``179:2``
    device: str = "0:0"
    #: the disk, as whoever mounted it named it
    source: str = ""


def mount_of(folder: Path, machine: Machine) -> Mount:
    """What a folder lies on.

    Source:
        proc(5), /proc/pid/mountinfo: the third field is the disk's number, the fifth the mount
        point, with octal escapes, the sixth its options; after a lone ``-`` come type, source,
        which may be empty, and the file system's options.
    """
    best = Mount("/")
    for line in machine.text("proc/self/mountinfo").splitlines():
        mounted, _, behind = line.partition(" - ")
        fields, rest = mounted.split(" "), behind.split(" ")
        if len(fields) < _FIELDS or len(rest) < _BEHIND:
            continue
        point = _unescaped(fields[4])
        # What was mounted later lies on top.
        if folder.is_relative_to(point) and len(point) >= len(best.point):
            options = (*fields[5].split(","), *rest[2].split(","))
            best = Mount(point, rest[0], options, fields[2], rest[1])
    return best


def unmounted(folder: Path, machine: Machine) -> Path | None:
    """The mount point of a disk that is to be there, and is not; None: nothing is missing.

    Source:
        fstab(5): the second field is the mount point, with octal escapes; the fourth has options,
        of which ``noauto`` leaves it to a person.
    """
    lines = (line.split() for line in machine.text("etc/fstab").splitlines())
    points = [Path(_unescaped(fields[1])) for fields in lines if _is_mount(fields)]
    wanted = [point for point in points if folder.is_relative_to(point)]
    deepest = max(wanted, key=lambda point: len(point.parts), default=None)
    mount = mount_of(folder, machine)
    # Without /proc nobody knows.
    known = bool(mount.kind) and deepest is not None
    return deepest if known and not Path(mount.point).is_relative_to(deepest or "/") else None


def _is_mount(fields: list[str]) -> bool:
    comment = len(fields) < _FSTAB or fields[0][0] == "#"
    return not comment and fields[1].startswith("/") and "noauto" not in fields[3].split(",")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
