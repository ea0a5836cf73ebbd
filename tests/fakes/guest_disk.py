"""The disk of a guest: a Debian with its own kernel, made once and kept for later runs.

It has what a Raspberry Pi OS has and a Debian lacks: GPIO lines (the kernel's simulator, which
Debian's configuration leaves out, built from Debian's own source of the same kernel) and a gpiozero
that works on them.

Source:
    Linux, Documentation/admin-guide/gpio/gpio-sim.rst. mmdebstrap(1), mke2fs(8).
"""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fakes.machine import mirror

SUITE = "bookworm"
#: What the guest's two network cards are called by.
HOUSE_MAC, UPLINK_MAC = "52:54:00:00:00:01", "52:54:00:00:00:02"
#: The guest asks this address for the time, where nobody is until a test leads it elsewhere.
TIME_SERVER = "10.0.3.9"
_DISK_SIZE = "2G"
#: What the package depends on is here: for apt to go through Debian's lists takes a guest a minute.
_INCLUDED = """
systemd systemd-sysv systemd-timesyncd dbus udev kmod procps iproute2 nftables ca-certificates
openssh-server linux-image-amd64 initramfs-tools i2c-tools
python3-requests python3-yaml python3-sdnotify python3-smbus2 python3-gpiozero python3-voluptuous
python3-rich
"""
#: As on Raspberry Pi OS, which has them packaged: Debian's gpiozero finds no pins on a new kernel.
_GPIO_WHEELS = ("gpiozero==2.0.1", "lgpio==0.2.2.0", "colorzero==2.0")
_PYTHON, _DIST_PACKAGES = "3.11", "usr/local/lib/python3.11/dist-packages"

_FILES = {
    "etc/fstab": "/dev/vda / ext4 noatime 0 1\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/modules-load.d/buses.conf": "i2c-dev\ngpio-simulator\n",
    # The computer's own bus is found first, and called i2c-0.
    "etc/modprobe.d/buses.conf": "softdep i2c-tiny-usb pre: i2c-i801\n",
    "etc/systemd/network/house.network": f"""
[Match]
MACAddress={HOUSE_MAC}
[Network]
Address=10.0.2.15/24
""",
    # As a Pi has it from a router: gone with the carrier, back with it.
    "etc/systemd/network/uplink.network": f"""
[Match]
MACAddress={UPLINK_MAC}
[Network]
DHCP=ipv4
[DHCPv4]
UseDNS=no
UseNTP=no
""",
    "etc/systemd/timesyncd.conf.d/test.conf": f"[Time]\nNTP={TIME_SERVER}\nFallbackNTP=\n",
}
#: Before the kernel is installed: what it boots with has only what is needed to find the disk, for
#: to unpack the usual one takes the guest ten seconds.
_SMALL_BOOT = """
set -e; cd "$1"
mkdir -p etc/initramfs-tools/conf.d usr/share/initramfs-tools/modules.d
printf 'MODULES=list\\nCOMPRESS=gzip\\n' >etc/initramfs-tools/conf.d/small
printf 'virtio_pci\\nvirtio_blk\\next4\\n' >usr/share/initramfs-tools/modules.d/small
"""
#: In the root, by sh. (What else is started in the background would take the guest's slow time.)
_SET_UP = """
systemctl enable -q systemd-networkd systemd-timesyncd ssh
systemctl mask -q apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_reap.service systemd-networkd-wait-online.service
depmod "$(ls /lib/modules)"
"""
#: Debian's own source of its kernel, next to the headers of the same version. The interrupts of
#: simulated lines are part of the kernel elsewhere, and of the module here, where they are raised
#: by the function that modules may call.
_BUILD_MODULE = r"""
cd /root
tar -xf /usr/src/linux-source-*.tar.xz --strip-components=1 --wildcards \
    '*/drivers/gpio/gpio*' '*/kernel/irq/irq_sim.c'
sed 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' \
    kernel/irq/irq_sim.c >drivers/gpio/irq_sim.c
cat >drivers/gpio/Makefile <<END
obj-m := gpio-simulator.o
gpio-simulator-y := gpio-sim.o irq_sim.o
END
make -s -C /lib/modules/*/build M=/root/drivers/gpio modules
"""


@dataclasses.dataclass(frozen=True)
class GuestDisk:
    """What a guest is started with."""

    disk: Path
    kernel: Path
    initrd: Path
    #: opens its root's door
    key: Path


def base(directory: Path) -> GuestDisk:
    """The disk that belongs to this recipe, in a folder of its own below ``directory``.

    Raises:
        subprocess.CalledProcessError: it cannot be made; making it takes root and a mirror.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    kept = directory / recipe
    if not kept.exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix="new-") as fresh:
            made = Path(fresh, "made")
            made.mkdir()
            _make(Path(fresh), made)
            made.rename(kept)
    return GuestDisk(*(kept / name for name in ("disk", "vmlinuz", "initrd.img", "key")))


def _make(scratch: Path, made: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", made / "key")
    _module(scratch)
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"),
        *("--python-version", _PYTHON, "--platform", "manylinux_2_34_x86_64"),
        *("--implementation", "cp", "--target", scratch / "wheels", *_GPIO_WHEELS),
    )
    root = scratch / "root"
    _files(scratch, (made / "key.pub").read_text())
    _debootstrap(
        *("--variant=minbase", f"--include={','.join(_INCLUDED.split())}"),
        f"--essential-hook={_SMALL_BOOT}",
        *(SUITE, root),
    )
    _run("cp", "-rT", scratch / "files", root)
    _run("chroot", root, "sh", "-euc", _SET_UP)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(root / name, made / name)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, made / "disk", _DISK_SIZE)
    _run("rm", "-rf", "--one-file-system", root)


def _module(scratch: Path) -> None:
    """In a root that is thrown away: the compiler is larger than the guest."""
    _debootstrap(
        *("--variant=apt", "--format=null"),
        "--include=linux-headers-amd64,linux-source,xz-utils,make",
        '--customize-hook=chroot "$1" sh -euc ' + _quoted(_BUILD_MODULE) + " >&2",
        "--customize-hook=copy-out /root/drivers/gpio/gpio-simulator.ko " + _quoted(scratch),
        '--customize-hook=ls "$1/lib/modules" >' + _quoted(scratch / "version"),
        *(SUITE, "/dev/null"),
    )


def _files(scratch: Path, key: str) -> None:
    """What is laid over the root."""
    files = scratch / "files"
    version = (scratch / "version").read_text().strip()
    for name, text in (_FILES | {"root/.ssh/authorized_keys": key}).items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(text)
    (files / "root").chmod(0o700)
    (files / "root/.ssh").chmod(0o700)
    modules = files / "usr/lib/modules" / version / "extra"
    modules.mkdir(parents=True)
    shutil.move(scratch / "gpio-simulator.ko", modules)
    shutil.move(scratch / "wheels", files / _DIST_PACKAGES)


def _debootstrap(*arguments: object) -> None:
    _run("mmdebstrap", "--quiet", *arguments, mirror())


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)


def _quoted(text: object) -> str:
    """For a shell."""
    return shlex.quote(str(text))
