"""`doctor`: where the queue lies, and the room there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.patient import Patient, ill, told

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor.mounts import mount_of
from edge_agent.cli.doctor.queue import queue
from edge_agent.cloud_sync.flock import FlusherLock


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """With an empty queue that anybody may write to."""
    made = Patient(tmp_path)
    (made.queue / "q.db").touch()
    return made


def mounted(patient: Patient, kind: str, options: str = "rw") -> None:
    """Lay the queue's folder on this."""
    lines = (
        "22 1 179:2 / / rw,noatime - ext4 /dev/root rw",
        f"30 22 0:30 / {patient.queue} {options},nosuid - {kind} source {options}",
    )
    patient.plant("proc/self/mountinfo", "\n".join(lines))


def looked_at(patient: Patient) -> list[Finding]:
    return list(queue(patient.case()))


def test_doctor_finds_a_queue_on_a_card_well(patient: Patient) -> None:
    """Folder and room."""
    mounted(patient, "ext4")
    assert told(looked_at(patient)) == [("queue", OK), ("room", OK)]


@pytest.mark.parametrize(
    ("kind", "options", "level", "words"),
    [
        ("tmpfs", "rw", FAIL, ("every power cut", "queue.path")),
        ("overlay", "rw", FAIL, ("every reboot", "disable_overlayfs")),
        ("fuse.fuse-overlayfs", "rw", FAIL, ("every reboot", "queue.path")),
        ("nfs4", "rw", FAIL, ("another machine", "queue.path")),
        ("ext4", "ro", FAIL, ("read-only", "remount,rw")),
        ("vfat", "rw", WARN, ("power cut can damage", "queue.path")),
    ],
)
def test_doctor_names_a_place_where_no_queue_lasts(
    patient: Patient, kind: str, options: str, level: str, words: tuple[str, str]
) -> None:
    """By what the kernel says of the folder's mount."""
    mounted(patient, kind, options)
    found = looked_at(patient)[0]
    assert found.level == level
    assert words[0] in found.says
    assert words[1] in found.mend


def test_doctor_goes_by_the_mount_on_top(patient: Patient) -> None:
    """The longest mount point, the last of several there; and by names, not by their letters."""
    lines = (
        "1 0 8:1 / / rw - ext4 /dev/root rw",
        "2 1 8:2 / /mnt/a\\040b rw shared:1 - tmpfs none rw",
        "3 1 8:2 / /mnt/a\\040b ro - f2fs none rw",
    )
    patient.plant("proc/self/mountinfo", "\n".join(lines))
    machine = patient.case().machine
    assert mount_of(Path("/mnt/a b/c"), machine)[:3] == ("/mnt/a b", "f2fs", ("ro", "rw"))
    assert mount_of(Path("/mnt/a bc"), machine).kind == "ext4"


def test_doctor_names_a_folder_that_is_not_there(patient: Patient) -> None:
    """With the command that makes it."""
    shutil.rmtree(patient.queue)
    assert ill(looked_at(patient)).mend.startswith("sudo install -d -m 0750 -o pyvorin -g pyvorin")


def test_doctor_gives_the_file_to_the_agent_with_what_lies_beside_it(patient: Patient) -> None:
    """As after `sudo pyvorin-agent run`, or a backup that was restored; and those files alone."""
    for name in ("q.db", "q.db-wal", "privacy.key"):
        (patient.queue / name).touch()
        patient.denied.add(patient.queue / name)
    (patient.queue / "holidays.jpg").touch()
    found = ill(looked_at(patient))
    assert "by pyvorin" in found.says
    files = " ".join(f"{patient.queue}/{name}" for name in ("privacy.key", "q.db", "q.db-wal"))
    assert found.mend == f"sudo chown pyvorin: {files}"


@pytest.mark.parametrize("name", ["pyvorin", "srv"])
def test_doctor_gives_no_folder_away_that_others_use(patient: Patient, name: str) -> None:
    """A queue right in /srv, or in /, must not make all of it the agent's."""
    folder = patient.root / name
    folder.mkdir()
    (folder / "q.db").touch()
    patient.configure("", folder)
    patient.denied.add(folder)
    mend = ill(looked_at(patient)).mend
    if name == "pyvorin":
        assert mend == f"sudo chown -R pyvorin: {folder}"
    else:
        assert "chown" not in mend
        assert f"install -d -m 0750 -o pyvorin -g pyvorin {folder}/pyvorin" in mend
        assert f"set queue.path to {folder}/pyvorin/q.db" in mend


def test_doctor_says_that_no_agent_has_run(patient: Patient) -> None:
    """There is no file then."""
    (patient.queue / "q.db").unlink()
    found = ill(looked_at(patient))
    assert (found.level, "not there yet" in found.says) == (WARN, True)


def test_doctor_counts_dead_letters(patient: Patient) -> None:
    """A server that refuses readings is somebody's fault."""
    patient.run()
    assert patient.status is not None
    patient.status["ledger"]["dead"] = 2
    assert "2 dead letters" in ill(looked_at(patient)).says


@pytest.mark.parametrize(
    ("hours", "level", "says"),
    [(0, FAIL, "less than an hour"), (5, WARN, "5 h fits"), (48, OK, "2 d fit"), (None, OK, "")],
)
def test_doctor_tells_for_how_long_there_is_room(
    patient: Patient, hours: int | None, level: str, says: str
) -> None:
    """By the running agent's own reckoning."""
    patient.run(health={"hours_left": hours})
    found = looked_at(patient)[-1]
    assert (found.topic, found.level) == ("room", level)
    assert says in found.says


@pytest.mark.parametrize(
    ("free", "says"),
    [
        ((105 * 10**6, 10), OK),
        ((104 * 10**6, 10), "queue.min_free_disk wants 105 MB"),
        ((10**9, 0), "not one file more"),
        (None, "nobody can say what is free: Input/output error"),
    ],
)
def test_doctor_names_a_disk_without_room(
    patient: Patient, free: tuple[int, int] | None, says: str
) -> None:
    """For bytes, down to ``queue.min_free_disk``, or for files; or one that is dying."""
    patient.free = free
    if says == OK:
        assert told(looked_at(patient))[-1] == ("room", OK)
    else:
        found = ill(looked_at(patient))
        assert (found.topic, found.level, says in found.says) == ("room", FAIL, True)


@pytest.mark.parametrize(
    ("kind", "source", "level", "words"),
    [
        ("ext4", "/dev/zram1", FAIL, "lies in memory"),
        ("fuseblk", "/dev/sda1", WARN, "power cut can damage"),
        ("btrfs", "/dev/sda1", OK, "can be written"),
        ("f2fs", "/dev/mmcblk0p3", OK, "can be written"),
        ("", "", OK, "a disk"),
    ],
)
def test_doctor_judges_a_disk_by_what_it_is_made_of(
    patient: Patient, kind: str, source: str, level: str, words: str
) -> None:
    """A disk of memory has a file system like any other."""
    line = f"30 22 8:1 / {patient.queue} rw - {kind} {source} rw"
    patient.plant("proc/self/mountinfo", line if kind else "")
    found = looked_at(patient)[0]
    assert (found.level, words in found.says) == (level, True)


def test_doctor_quotes_a_mount_point_in_the_command(patient: Patient) -> None:
    """It is pasted as it stands."""
    folder = patient.root / "cold chain"
    folder.mkdir()
    patient.configure("", folder)
    point = str(folder).replace(" ", "\\040")
    patient.plant("proc/self/mountinfo", f"30 22 8:1 / {point} ro - ext4 /dev/sda1 ro")
    assert f"mount -o remount,rw '{folder}'" in looked_at(patient)[0].mend


def test_doctor_tells_a_disk_that_is_not_mounted_and_nothing_of_the_card_below(
    patient: Patient,
) -> None:
    """A queue that lay on the card instead would be two."""
    mounted(patient, "ext4")
    lines = patient.root / "proc/self/mountinfo"
    lines.write_text(lines.read_text().splitlines()[0])
    patient.plant("etc/fstab", f"UUID=1 {patient.queue} ext4 nofail 0 2\n")
    assert ill(looked_at(patient)).mend == f"sudo mount {patient.queue}"


def test_doctor_tells_of_errors_that_ext4_counted(patient: Patient) -> None:
    """By the disk's number; none are none."""
    mounted(patient, "ext4")
    patient.plant("sys/devices/mmc/mmcblk0p2/dev")
    (patient.root / "sys/dev/block").mkdir(parents=True)
    (patient.root / "sys/dev/block/0:30").symlink_to("../../devices/mmc/mmcblk0p2")
    patient.plant("sys/fs/ext4/mmcblk0p2/errors_count", "0\n")
    assert told(looked_at(patient)) == [("queue", OK), ("room", OK)]
    patient.plant("sys/fs/ext4/mmcblk0p2/errors_count", "7\n")
    found = ill(looked_at(patient))
    assert (found.level, "7 errors" in found.says) == (WARN, True)


def test_doctor_opens_the_folder_on_the_way(patient: Patient) -> None:
    """What lies behind it cannot be looked at."""
    shut = patient.root / "shut"
    (shut / "in").mkdir(parents=True)
    patient.configure("", shut / "in")
    patient.denied.add(shut)
    found = ill(looked_at(patient))
    assert found.mend == f"sudo chmod o+x {shut}"
    assert told(looked_at(patient)) == [("queue", FAIL)]


def test_doctor_sees_that_another_process_has_the_queue(patient: Patient) -> None:
    """A trial that was forgotten; while the service is up it is the service."""
    with FlusherLock(patient.queue / "q.db").held():
        assert told(looked_at(patient)) == [("queue", OK), ("room", OK)]
        patient.unit["ActiveState"] = "failed"
        assert "lslocks" in ill(looked_at(patient)).mend
        patient.run()
        assert told(looked_at(patient)) == [("queue", OK), ("room", OK)]
    patient.status = None
    assert told(looked_at(patient)) == [("queue", OK), ("room", OK)]


def test_doctor_tells_of_a_damaged_file_that_was_set_aside(patient: Patient) -> None:
    """A card that damages one file damages others."""
    (patient.queue / "q.db.corrupt-20260101T000000Z").touch()
    found = ill(looked_at(patient))
    assert (found.level, "q.db.corrupt-20260101T000000Z" in found.says) == (WARN, True)


def test_doctor_tells_a_full_queue_from_a_full_disk(patient: Patient) -> None:
    """More room on the disk does not help where the limit is the queue's own."""
    patient.configure("", patient.queue)
    patient.run(health={"hours_left": 0})
    assert patient.status is not None
    patient.status["queue"] = {"size_bytes": 500 * 10**6}
    found = ill(looked_at(patient))
    assert (found.topic, found.level) == ("room", WARN)
    assert "500 of the 537 MB of queue.max_size" in found.says
    assert "apt clean" not in found.mend
    patient.status["queue"] = {"size_bytes": 400 * 10**6}
    patient.run(health={"hours_left": 48})
    assert told(looked_at(patient))[-1] == ("room", OK)


@pytest.mark.parametrize("writable", [True, False])
def test_doctor_lets_a_trial_make_its_folder(patient: Patient, *, writable: bool) -> None:
    """As the agent does at its first start, where it may."""
    patient.configure("", patient.root / "my/own")
    if not writable:
        patient.readonly.add(patient.root)
    found = list(queue(patient.case(installed=False)))
    assert told(found) == [("queue", OK if writable else FAIL)]


def test_doctor_tells_of_a_queue_file_that_is_not_well(patient: Patient) -> None:
    """Unless the disk below it explains that: one cause, one line."""
    patient.trouble = "q.db: file is not a database"
    mounted(patient, "ext4")
    found = ill(looked_at(patient))
    assert (found.level, found.says) == (FAIL, patient.trouble)
    assert found.mend == "sudo pyvorin-agent queue verify"
    mounted(patient, "ext4", "ro")
    assert "is read-only" in ill(looked_at(patient)).says
