"""Two machines and a cable between them: network namespaces, by ip(8); needs root.

What they let through is said by nft(8), whom they ask for names by their own resolv.conf.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: The server is reached through the gateway, the other end of the cable (RFC 5737, 3; RFC 1918).
SERVER = "198.51.100.1"
GATEWAY, AGENT = "10.77.0.1", "10.77.0.2"
#: Where ip-netns(8) looks for files that stand in for those of /etc.
_ETC = Path("/etc/netns")


class Machine:
    """A network namespace."""

    def __init__(self, name: str) -> None:
        self.name = f"{name}-{os.getpid()}"
        #: in front of a command: it runs on this machine
        self.within = ("ip", "netns", "exec", self.name)

    def ip(self, command: str) -> None:
        """Run ``ip`` there."""
        subprocess.run(["ip", "-netns", self.name, *command.split()], check=True)

    def nft(self, *commands: str) -> None:
        """Run ``nft`` there; all of it is done, or nothing."""
        text = "\n".join(commands)
        subprocess.run([*self.within, "nft", "-f", "-"], input=text, text=True, check=True)

    def refuse(self, *rules: str) -> None:
        """What comes in meets these rules, and only these: none lets everything through."""
        self.nft(
            "add table inet faults",
            "delete table inet faults",
            "table inet faults { chain input { type filter hook input priority 0; }; }",
            *(f"add rule inet faults input {rule}" for rule in rules),
        )

    @contextlib.contextmanager
    def resolving(self, text: str) -> Iterator[None]:
        """Commands that start there meanwhile find this in ``/etc/resolv.conf``."""
        place = _ETC / self.name
        place.mkdir(parents=True)
        try:
            (place / "resolv.conf").write_text(text)
            # Another way to look names up may stand before the name servers.
            (place / "nsswitch.conf").write_text("hosts: files dns\n")
            yield
        finally:
            shutil.rmtree(place)
            # Others may have theirs there.
            with contextlib.suppress(OSError):
                _ETC.rmdir()


class Cable:
    """The agent's machine with ``eth0``, and the server's at the other end, called ``peer``."""

    def __init__(self, agent: Machine, server: Machine) -> None:
        self.agent, self.server = agent, server
        for machine in (agent, server):
            machine.ip("link set lo up")
        agent.ip(f"link add eth0 type veth peer name peer netns {server.name}")
        server.ip(f"addr add {SERVER}/32 dev lo")
        server.ip(f"addr add {GATEWAY}/30 dev peer")
        agent.ip(f"addr add {AGENT}/30 dev eth0")
        agent.ip("link set eth0 up")
        self.put()

    def put(self) -> None:
        """Put the cable in at the other end; the agent's machine keeps its settings."""
        self.server.ip("link set peer up")

    def pull(self) -> None:
        """Pull the cable."""
        self.server.ip("link set peer down")


@contextlib.contextmanager
def two_machines() -> Iterator[Cable]:
    """The agent's machine knows its neighbour alone; the server's is behind that."""
    machines = Machine("agent"), Machine("server")
    with contextlib.ExitStack() as made:
        for machine in machines:
            subprocess.run(["ip", "netns", "add", machine.name], check=True)
            made.callback(subprocess.run, ["ip", "netns", "del", machine.name], check=True)
        yield Cable(*machines)


def connects_tried(pid: int) -> int:
    """TCP connections that were begun on the process's machine (proc(5), net/snmp)."""
    text = Path(f"/proc/{pid}/net/snmp").read_text()
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])
