"""`doctor`: what a folder lies on, by the kernel's table, and what it should lie on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.patient import Patient

from edge_agent.cli.doctor.findings import Machine
from edge_agent.cli.doctor.mounts import mount_of, unmounted

ROOT = "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw"
SSD = "40 22 8:1 / /mnt/ssd rw - btrfs /dev/sda1 rw"
FSTAB = """
# a comment that names /mnt/other
proc /proc proc defaults 0 0
UUID=1 / ext4 defaults 0 1
UUID=2 /mnt/ssd btrfs nofail 0 2
UUID=3 none swap sw 0 0
UUID=5 /mnt/stick vfat nofail,noauto 0 0
/mnt/odd
UUID=4 /mnt/a\\040b ext4 nofail 0 2
"""


def machine(tmp_path: Path, *lines: str, fstab: str = FSTAB) -> Machine:
    patient = Patient(tmp_path)
    if lines:
        patient.plant("proc/self/mountinfo", "\n".join(lines))
    patient.plant("etc/fstab", fstab)
    return patient.case().machine


@pytest.mark.parametrize(
    "odd",
    ["", "garbage", "1 2 3", "1 0 0:1 / / rw -", "1 0 0:1 / / rw - tmpfs", "1 0 0:1 / /\udcff rw"],
)
def test_mount_of_passes_over_lines_that_it_does_not_know(tmp_path: Path, odd: str) -> None:
    """Those that it knows count all the same."""
    known = machine(tmp_path, ROOT, odd.encode("utf-8", "replace").decode(), SSD)
    assert mount_of(Path("/mnt/ssd/q"), known).kind == "btrfs"
    assert mount_of(Path("/var"), known) == (
        *("/", "ext4", ("rw", "noatime", "rw"), "179:2", "/dev/mmcblk0p2"),
    )


def test_mount_of_reads_a_line_without_a_source(tmp_path: Path) -> None:
    """Whoever mounts may name none."""
    known = machine(tmp_path, ROOT, "9 1 0:5 / /mnt rw - tmpfs  rw,size=9k")
    assert mount_of(Path("/mnt"), known)[1:3] == ("tmpfs", ("rw", "rw", "size=9k"))


def test_mount_of_knows_nothing_without_proc(tmp_path: Path) -> None:
    """And then misses no disk."""
    known = machine(tmp_path)
    assert mount_of(Path("/mnt/ssd"), known) == ("/", "", (), "0:0", "")
    assert unmounted(Path("/mnt/ssd/q"), known) is None


@pytest.mark.parametrize(
    ("folder", "missing"),
    [
        ("/mnt/ssd/q", "/mnt/ssd"),
        ("/mnt/a b/q", "/mnt/a b"),
        ("/mnt/ssdb/q", None),
        ("/mnt/other/q", None),
        ("/mnt/stick/q", None),
        ("/var/lib/pyvorin", None),
    ],
)
def test_unmounted_names_the_disk_of_a_folder(
    tmp_path: Path, folder: str, missing: str | None
) -> None:
    """By its line in fstab; the card below the empty mount point is not it."""
    found = unmounted(Path(folder), machine(tmp_path, ROOT))
    assert found == (missing and Path(missing))


def test_unmounted_finds_a_disk_that_is_mounted(tmp_path: Path) -> None:
    """There, or further down."""
    below = SSD.replace("/mnt/ssd", "/mnt/ssd/deep")
    assert unmounted(Path("/mnt/ssd/q"), machine(tmp_path, ROOT, SSD)) is None
    assert unmounted(Path("/mnt/ssd/deep/q"), machine(tmp_path / "2", ROOT, below)) is None
