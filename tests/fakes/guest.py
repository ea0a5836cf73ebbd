"""A computer of its own, emulated by QEMU: kernel, clock, disk, network cards, USB, power switch.

It has two network cards. By one, "the house", tests reach it over ssh; nothing else is there. The
other is its uplink, whose carrier a test takes away and gives back; this machine's loopback is
`HOST` there. Like a Pi it has no battery: whenever it is switched on, it is 1970.

Source:
    qemu(1); QEMU Machine Protocol, ``set_link``. systemd lifts a clock that is older than itself to
    the time of its own build (systemd(1), "/usr/lib/clock-epoch").
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from fakes.guest_disk import HOUSE_MAC, TIME_SERVER, UPLINK_MAC, GuestDisk
from fakes.reached import PATIENCE_S, Failed, Reached
from fakes.usbredir import Device, Port

#: This machine's loopback, seen from the guest's uplink.
HOST = "10.0.3.2"
_EPOCH = "1970-01-02T00:00:00"
_MEMORY_MB = 1024
_APPEND = "root=/dev/vda rw console=ttyS0 quiet mitigations=off"


class Guest(Reached):
    """One guest with a disk of its own, gone at the end."""

    def __init__(self, disk: GuestDisk, device: Device) -> None:
        """Switch it on.

        Args:
            disk: what it finds on its disk.
            device: what can be plugged into its USB port; it is not yet.
        """
        self._made = disk
        # The path of a socket has 108 bytes at the most (unix(7)).
        self._directory = Path(tempfile.mkdtemp(prefix="pyvorin-"))
        self._device = device
        self._plugged = False
        self._carrier = True
        self._ssh_port = _free_port()
        subprocess.run(
            ["cp", "--sparse=always", "--reflink=auto", disk.disk, self._directory / "disk"],
            check=True,
        )
        self.switch_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()
        shutil.rmtree(self._directory)

    # -- what is done with any machine ---------------------------------------------------------

    def words(self, command: str) -> list[str]:
        return [*self._ssh, "guest", f"export LC_ALL=C.UTF-8\n{command}"]

    def put(self, path: str, text: str, mode: int | None = None) -> None:
        chmod = f" && chmod {mode:o} {path}" if mode is not None else ""
        subprocess.run(
            [*self._ssh, "guest", f"mkdir -p $(dirname {path}) && cat >{path}{chmod}"],
            input=text.encode(),
            check=True,
        )

    def take(self, source: Path, path: str) -> None:
        subprocess.run(["scp", "-q", "-r", *self._ssh[1:], source, f"guest:{path}"], check=True)

    def reboot(self) -> None:
        self.run("systemctl reboot", status=None)
        self._qemu.wait(PATIENCE_S)
        self._gone()
        self.switch_on()

    # -- what is done with a computer on a table -----------------------------------------------

    def plug(self) -> None:
        """Plug the device in; over a reboot it stays there."""
        if not self._plugged:
            self._plugged = True
            self._port.plug()

    def unplug(self) -> None:
        self._plugged = False
        self._port.unplug()

    def set_carrier(self, *, up: bool) -> None:
        """Put the uplink's cable in, or pull it out; over a reboot it stays so."""
        self._carrier = up
        self._monitor("set_link", name="uplink", up=up)

    def lead_to_time(self, port: int) -> None:
        """Let a time server be where the guest asks for the time: the one at our loopback's port.

        Whether it is reached is the uplink's matter. Forgotten over a reboot.
        """
        rule = f"ip daddr {TIME_SERVER} udp dport 123 dnat to {HOST}:{port}"
        self.run(
            "nft add table ip lead;"
            "nft add chain ip lead out '{ type nat hook output priority -100; }';"
            f"nft flush chain ip lead out; nft add rule ip lead out {rule}"
        )

    def cut_power(self) -> None:
        """No more of it, from one moment to the next."""
        self._qemu.kill()
        self._qemu.wait()
        self._gone()

    def switch_on(self) -> None:
        """Boot, until all that is to be started is."""
        began_s = time.monotonic()
        self._console = (self._directory / "console").open("a")
        self._qemu = subprocess.Popen(
            self._command(),
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )
        usb = self._directory / "usb"
        while not usb.exists() or not (self._directory / "qmp").exists():
            self._must_live(began_s + PATIENCE_S)
        self._port = Port(usb, self._device)
        if self._plugged:
            self._port.plug()
        self.set_carrier(up=self._carrier)
        self._open_door(began_s + PATIENCE_S)
        self.run("systemctl is-system-running --wait", status=None)
        #: how long it took, last time
        self.booted_s = time.monotonic() - began_s

    # -- inside --------------------------------------------------------------------------------

    def _command(self) -> list[str]:
        disk = self._made
        return [
            *(
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-machine",
                "q35",
                "-cpu",
                "Nehalem",
                "-smp",
                "1",
            ),
            *("-m", str(_MEMORY_MB), "-nodefaults", "-display", "none", "-no-reboot"),
            *("-serial", "stdio", "-qmp", "unix:qmp,server=on,wait=off"),
            *("-rtc", f"base={_EPOCH}", "-device", "virtio-rng-pci"),
            *("-kernel", str(disk.kernel), "-initrd", str(disk.initrd), "-append", _APPEND),
            *("-drive", "file=disk,format=raw,if=virtio"),
            *("-netdev", f"user,id=house,net=10.0.2.0/24,restrict=on,hostfwd={self._door()}"),
            *("-device", f"virtio-net-pci,netdev=house,mac={HOUSE_MAC}"),
            *("-netdev", "user,id=uplink,net=10.0.3.0/24"),
            *("-device", f"virtio-net-pci,netdev=uplink,mac={UPLINK_MAC}"),
            *("-chardev", "socket,id=usb,path=usb,server=on,wait=off"),
            *("-device", "qemu-xhci", "-device", "usb-redir,chardev=usb"),
        ]

    def _door(self) -> str:
        return f"tcp:127.0.0.1:{self._ssh_port}-:22"

    @property
    def _ssh(self) -> list[str]:
        """ssh with its options; scp takes the same ones."""
        options = {
            "HostName": "127.0.0.1",
            "Port": self._ssh_port,
            "User": "root",
            "IdentityFile": self._made.key,
            "ControlPath": self._directory / "ssh",
            "ConnectTimeout": 5,
            "BatchMode": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        settings = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
        return ["ssh", "-F", "/dev/null", *settings]

    def _open_door(self, deadline: float) -> None:
        """One connection that all commands share: to open one takes the guest a second."""
        while True:
            self._master = subprocess.Popen(
                [*self._ssh, "-MN", "guest"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while self._master.poll() is None:
                if (self._directory / "ssh").exists():
                    return
                self._must_live(deadline)
            self._must_live(deadline)

    def _must_live(self, deadline: float) -> None:
        if self._qemu.poll() is not None or time.monotonic() > deadline:
            console = (self._directory / "console").read_text(errors="replace")[-2000:]
            raise Failed(f"the guest does not boot:\n{console}")
        time.sleep(0.05)

    def _monitor(self, command: str, **arguments: Any) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._directory / "qmp"))
            with monitor.makefile("rw") as stream:
                for request in (
                    {"execute": "qmp_capabilities"},
                    {"execute": command, "arguments": arguments},
                ):
                    stream.write(json.dumps(request))
                    stream.flush()
                    while "return" not in (said := json.loads(stream.readline())):
                        assert "error" not in said, said

    def _gone(self) -> None:
        """What was held of a QEMU that has ended."""
        self._port.close()
        self._master.kill()
        self._master.wait()
        self._console.close()
        for name in ("ssh", "usb", "qmp"):
            with contextlib.suppress(FileNotFoundError):
                (self._directory / name).unlink()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
