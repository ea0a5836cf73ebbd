"""A machine with a real systemd: a Debian root, booted by systemd-nspawn, without a network.

What it needs of Debian's archive is fetched when its root is made, so that apt resolves and
installs as it does on a user's machine, from files it has.

Source:
    systemd-nspawn(1). It is not registered with the host's systemd, which there need not be; it has
    a control group hierarchy of its own kind (v2) in a mount name space of its own. Commands enter
    by nsenter(1) through its PID 1.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from fakes.reached import PATIENCE_S, Failed, Reached

SUITES = ("bookworm", "trixie")
#: What a small server has, and what tests in it use.
_INCLUDED = "systemd,systemd-sysv,dbus,procps,ca-certificates,iproute2,util-linux"
#: What apt must find when it installs the package, with what these recommend, and what the test
#: suite needs there.
_DEPENDENCIES = """
python3-requests python3-yaml python3-sdnotify python3-smbus2 python3-gpiozero python3-voluptuous
python3-rich
"""
_TOOLS = """
python3-pytest python3-hypothesis python3-pytest-httpserver python3-trustme python3-flask
python3-jsonschema strace
"""
_FETCH = "apt-get -qq -o APT::Install-Recommends={} --download-only install {}"

_BOOT = """
set -e
mount --make-rprivate /
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$2"
echo $$ >"/sys/fs/cgroup/$2/cgroup.procs"
# @clock: the agent reads the clock's state; a container may not by default.
exec systemd-nspawn --quiet --directory="$1" --machine="$2" --register=no --keep-unit \
    --link-journal=no --private-network --boot --console=pipe --system-call-filter=@clock
"""


def base(suite: str, directory: Path) -> Path:
    """A root of this Debian release; made once, and kept in ``directory`` for later runs."""
    fetches = ("true", _DEPENDENCIES), ("false", _TOOLS)
    fetch = " && ".join(_FETCH.format(more, " ".join(what.split())) for more, what in fetches)
    recipe = hashlib.sha256(f"{_INCLUDED} {fetch}".encode()).hexdigest()[:8]
    root = directory / f"{suite}-{recipe}.tar"
    if not root.exists():
        directory.mkdir(parents=True, exist_ok=True)
        fresh = root.with_suffix(".new.tar")
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={_INCLUDED}"),
                *("--skip=cleanup/apt/lists", "--skip=cleanup/apt/cache"),
                *(f"--customize-hook=chroot \"$1\" sh -c '{fetch}' >&2", suite, str(fresh)),
                mirror(),
            ],
            check=True,
            stdout=sys.stderr,
        )
        fresh.rename(root)
    return root


def mirror() -> str:
    """The archive that this machine's apt is set up with."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(SUITE)"]
    said = subprocess.run(targets, capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in said.splitlines()]
    archives = [uri for uri, *of in found if of and of[0] == "Debian" and "security" not in uri]
    return archives[0] if archives else "http://deb.debian.org/debian"


class Machine(Reached):
    """One booted root, gone at the end."""

    def __init__(self, suite: str, base: Path, directory: Path) -> None:
        """Unpack and boot it.

        Args:
            suite: ``bookworm``, ``trixie``.
            base: what `base` made.
            directory: where its root is unpacked.
        """
        self.suite = suite
        self.root = directory / f"machine-{suite}-{os.getpid()}"
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.root, "-xpf", base], check=True)
        # A name to find itself by, which a minimal root lacks.
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        self._boot()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        subprocess.run(["rm", "-rf", "--one-file-system", self.root], check=True)

    def words(self, command: str) -> list[str]:
        return [*self._inside, "sh", "-c", command]

    def put(self, path: str, text: str, mode: int | None = None) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if mode is not None:
            file.chmod(mode)

    def take(self, source: Path, path: str) -> None:
        target = self.root / path.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def reboot(self) -> None:
        self._stop()
        self._boot()

    # -- inside --------------------------------------------------------------------------------

    def _boot(self) -> None:
        name = f"pyvorin-{self.suite}-{os.getpid()}"
        self._console = (self.root.parent / f"{name}.console").open("a")
        self._nspawn = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", _BOOT, "boot", self.root, name],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + PATIENCE_S
        while not (leader := self._leader()):
            self._must_live(deadline)
        self._inside = [
            *("nsenter", "-t", leader, "-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w"),
            *("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"),
        ]
        while self.run("systemctl is-system-running", status=None).strip() not in (
            "running",
            "degraded",
        ):
            self._must_live(deadline)

    def _must_live(self, deadline: float) -> None:
        if self._nspawn.poll() is not None or time.monotonic() > deadline:
            console = Path(self._console.name).read_text()[-2000:]
            raise Failed(f"{self.suite} does not boot:\n{console}")
        time.sleep(0.1)

    def _leader(self) -> str:
        """The PID of its init, seen from here."""
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        found = children.read_text().split() if children.exists() else []
        for pid in found:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return pid
        return ""

    def _stop(self) -> None:
        """Power it off; by force if that takes too long."""
        if self._nspawn.poll() is None:
            # systemd.special(7): systemd in a container takes it for `systemctl poweroff`.
            self.run("systemctl poweroff", status=None)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.send_signal(signal.SIGKILL)
                self._nspawn.wait()
        self._console.close()
