"""This machine: load, processor, memory, disk, temperature, uptime, network; on any Linux.

Read from /proc, /sys and statvfs(3) as they stand, so there is nothing to wait for.

Sources: proc(5); Linux Documentation/filesystems/proc.rst and driver-api/thermal/sysfs-api.rst;
statvfs(3).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import SensorError
from edge_agent.options import Text, option
from edge_agent.sensors.base import Channel, Sensor, Surroundings
from edge_agent.types import Measurement

# The types of thermal zones that sit in the processor: cpu-thermal on a Pi, x86_pkg_temp on a PC,
# soc_thermal on other boards. A zone of another type (acpitz, wifi) says nothing of it.
_PROCESSOR_ZONE = re.compile(r"cpu|soc|x86_pkg", re.IGNORECASE)

_DIGITS = 2


@dataclasses.dataclass(frozen=True)
class SystemOptions:
    """Which disk and which network; the rest of a machine is there once."""

    disk: str = option(
        Text(pattern="/.*", meaning="a path such as /var"),
        "/",
        help="A path on the disk to measure; give a disk that comes and goes a sensor of its own.",
    )
    interface: str = option(
        Text(),
        "",
        help="The network interface to count, such as wwan0; all but the loopback when absent.",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ProcessorTime:
    """What all processors together did since boot, in ticks."""

    #: not idle and not waiting for a disk
    busy: int
    total: int

    @classmethod
    def parse(cls, stat: str) -> ProcessorTime:
        """From /proc/stat; the time of guests is in that of users already."""
        words = stat.split("\n", 1)[0].split()[1:9]
        user, nice, system, idle, iowait, irq, softirq, steal = (int(word) for word in words)
        busy = user + nice + system + irq + softirq + steal
        return cls(busy, busy + idle + iowait)

    def percent_since(self, earlier: ProcessorTime) -> float | None:
        """How busy the processors were since then, 0 to 100; None where no tick has passed."""
        total = self.total - earlier.total
        if total <= 0:
            return None
        # The kernel's iowait can go back a little (proc(5)), which would give more than 100.
        return round(min(max(100 * (self.busy - earlier.busy) / total, 0.0), 100.0), _DIGITS)


def memory_used_percent(meminfo: str) -> float:
    """What programs could not get, of all memory; caches count as free.

    Source: proc(5), ``MemAvailable``.
    """
    sizes_kib = {
        key: int(rest.split()[0])
        for key, _, rest in (line.partition(":") for line in meminfo.splitlines())
    }
    total_kib = sizes_kib["MemTotal"]
    return round(100 * (total_kib - sizes_kib["MemAvailable"]) / total_kib, _DIGITS)


def disk_used_percent(disk: os.statvfs_result) -> float:
    """What is used of what a user without privileges may use; the figure of df(1)."""
    used = disk.f_blocks - disk.f_bfree
    usable = used + disk.f_bavail
    # A file system without blocks (a bind of /proc) has nothing in it.
    return round(100 * used / usable, _DIGITS) if usable else 0.0


def network_bytes(dev: str, interface: str) -> tuple[int, int] | None:
    """Bytes received and sent since the interface came up.

    Args:
        dev: the text of /proc/net/dev.
        interface: its name; "" for all but the loopback together.

    Returns:
        the two counts, or None while there is no such interface: links come and go.
    """
    lines = (line.partition(":") for line in dev.splitlines()[2:])
    counts = {name.strip(): rest.split() for name, _, rest in lines}
    names = [interface] if interface else [name for name in counts if name != "lo"]
    found = [counts[name] for name in names if name in counts]
    if not found:
        return None
    return sum(int(line[0]) for line in found), sum(int(line[8]) for line in found)


class System(Sensor):
    """The machine the agent runs on; every value that it has.

    What a machine may lack is left out of a reading: a thermal zone in its processor, a network
    interface that is down, and ``cpu_busy`` the first time, as it covers the time between two
    readings. A disk that is not there is a fault.
    """

    Options = SystemOptions
    bus_name = "sysfs"
    channels = (
        # The mean number of tasks that ran or wanted to, over one minute.
        Channel("load", "count"),
        Channel("cpu_busy", "percent"),
        Channel("cpu_temperature", "celsius"),
        Channel("memory_used", "percent"),
        Channel("disk_used", "percent"),
        Channel("uptime", "second"),
        Channel("network_received", "byte"),
        Channel("network_sent", "byte"),
    )

    def __init__(self, options: SystemOptions, surroundings: Surroundings) -> None:
        self._root = surroundings.root
        self._disk = surroundings.root / options.disk.lstrip("/")
        self._interface = options.interface
        self._earlier: ProcessorTime | None = None

    def trigger(self) -> float:
        """Nothing to start and nothing to wait for."""
        return 0.0

    def read(self) -> Sequence[Measurement]:
        """Every value this machine has now, in the order of `channels`.

        Raises:
            SensorError: ``unreadable``: a file or the disk is not there; ``garbage``: a file
                reads as no kernel writes it.
        """
        try:
            values = self._values()
        except OSError as error:
            raise SensorError(
                f"cannot read {error.filename}: {error.strerror}; check the option `disk`, and "
                "that the service may see /proc and /sys",
                reason="unreadable",
            ) from error
        except (ValueError, LookupError) as error:
            raise SensorError(
                f"a file below {self._root}/proc reads as no kernel writes it: {error!r}",
                reason="garbage",
            ) from error
        return [
            Measurement(channel.name, value, channel.unit)
            for channel in self.channels
            if (value := values[channel.name]) is not None
        ]

    def close(self) -> None:
        """Forget the processor's earlier time."""
        self._earlier = None

    def _values(self) -> dict[str, float | int | None]:
        received, sent = network_bytes(self._proc("net/dev"), self._interface) or (None, None)
        return {
            "load": float(self._proc("loadavg").split()[0]),
            "cpu_busy": self._cpu_busy(),
            "cpu_temperature": self._cpu_temperature(),
            "memory_used": memory_used_percent(self._proc("meminfo")),
            "disk_used": disk_used_percent(os.statvfs(self._disk)),
            "uptime": float(self._proc("uptime").split()[0]),
            "network_received": received,
            "network_sent": sent,
        }

    def _cpu_busy(self) -> float | None:
        now, earlier = ProcessorTime.parse(self._proc("stat")), self._earlier
        self._earlier = now
        return None if earlier is None else now.percent_since(earlier)

    def _cpu_temperature(self) -> float | None:
        for zone in sorted(self._root.glob("sys/class/thermal/thermal_zone*")):
            # A zone that its driver has switched off is there, but cannot be read.
            with contextlib.suppress(OSError):
                if _PROCESSOR_ZONE.search(_text(zone / "type")):
                    return int(_text(zone / "temp")) / 1000
        return None

    def _proc(self, name: str) -> str:
        return _text(self._root / "proc" / name)


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace")
