"""A real file system of a few MiB, mounted for one test: it is filled, broken and healed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

#: What another program writes at a time until not a byte is left.
_CHUNKS = (1 << 16, 1 << 12, 1)


def _run(*words: str | Path) -> None:
    """Run a command of the system's.

    Raises:
        AssertionError: it failed; says what these tests need.
    """
    done = subprocess.run(list(map(str, words)), check=False, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"`{' '.join(map(str, words))}` failed: {done.stderr.strip() or done.returncode};"
        " tests of a full card need root, and leave to mount tmpfs and ext4 images (loop devices)"
    )


class Card:
    """One mounted file system, and another program that writes on it."""

    def __init__(self, directory: Path, kind: str, size: str, **options: str) -> None:
        """Make and mount it.

        Args:
            directory: where an image and the mount point are made.
            kind: ``tmpfs`` or ``ext4``.
            size: as ``truncate`` takes it (``8M``).
            options: mount options of a tmpfs (``nr_inodes``).
        """
        self.path = directory / "card"
        self.path.mkdir()
        self._image = directory / "card.img"
        if kind == "ext4":
            _run("truncate", "-s", size, self._image)
            # Blocks as a card of some GB has them; mkfs would take smaller ones here.
            _run("mkfs.ext4", "-q", "-m", "0", "-b", "4096", self._image)
            self._mount_image()
        else:
            words = ",".join(f"{name}={value}" for name, value in {"size": size, **options}.items())
            _run("mount", "-t", "tmpfs", "-o", words, "card", self.path)

    def fill(self) -> None:
        """Have another program write to the very last byte."""
        handle = os.open(self._other, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in _CHUNKS:
            with contextlib.suppress(OSError):
                while True:
                    os.write(handle, b"x" * size)
        os.close(handle)

    def take_inodes(self) -> None:
        """Have another program make files until none can be made."""
        number = 0
        while os.statvfs(self.path).f_favail:
            number += 1
            (self.path / f"other.{number}").touch()

    def give_back(self) -> None:
        """Have the other program delete what it wrote."""
        for file in self.path.glob("other*"):
            file.unlink()

    def make_read_only(self) -> None:
        """As a person or the kernel does it, with the files open."""
        _run("mount", "-o", "remount,ro", self.path)

    def make_writable(self) -> None:
        """The same mount, writable again."""
        _run("mount", "-o", "remount,rw", self.path)

    def fail(self) -> None:
        """Let ext4 find an error, after which it takes no more writes."""
        device = next(
            line.split()[0]
            for line in Path("/proc/mounts").read_text().splitlines()
            if line.split()[1] == str(self.path)
        )
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """Take it out, check it, and mount it where it was."""
        _run("umount", "-l", self.path)
        # e2fsck says 1 when it has mended something.
        subprocess.run(["e2fsck", "-fy", self._image], check=False, capture_output=True)
        self._mount_image()

    def close(self) -> None:
        """Unmount it."""
        _run("umount", "-l", self.path)

    @property
    def _other(self) -> Path:
        return self.path / "other"

    def _mount_image(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", self._image, self.path)
