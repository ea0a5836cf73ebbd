"""GPIO lines of a guest, in the place of a Pi's, pulled up and down by the test.

Source:
    Linux, Documentation/admin-guide/gpio/gpio-sim.rst: the folders of configfs that make a chip,
    and the file ``pull`` of a line. Label and number of lines are those of a Pi before the Pi 5.
"""

from __future__ import annotations

from fakes.reached import Reached

_MADE = "/sys/kernel/config/gpio-sim/pi"
_LINES = "/sys/devices/platform/gpio-sim.0/gpiochip0"
_MAKE = f"""
test -e {_MADE} && exit
modprobe gpio-simulator
mkdir -p {_MADE}/bank0
echo 54 >{_MADE}/bank0/num_lines
echo pinctrl-bcm2835 >{_MADE}/bank0/label
echo 1 >{_MADE}/live
udevadm settle
test -e {_LINES}
"""
#: A Pi 3B, as gpiozero knows it.
_CPUINFO = "Revision\t: a02082\nSerial\t\t: 00000000deadbeef\n"
_DRIVE = """
import os, sys, time
line, pulses, pause_s = os.open(sys.argv[1], os.O_WRONLY), int(sys.argv[2]), float(sys.argv[3])
began = due = time.monotonic()
for _ in range(pulses):
    for level in (b"pull-down", b"pull-up"):
        os.pwrite(line, level, 0)
        due += pause_s
        time.sleep(max(due - time.monotonic(), 0))
print(pulses / (time.monotonic() - began))
"""


class GpioSim:
    """Its chip is ``/dev/gpiochip0``, and what reads ``/proc/cpuinfo`` in the service sees a Pi."""

    def __init__(self, machine: Reached) -> None:
        self._machine = machine
        machine.run(_MAKE)
        machine.put("/etc/cpuinfo", _CPUINFO)
        machine.put("/root/drive.py", _DRIVE)

    def pull(self, line: int, *, up: bool) -> None:
        self._machine.run(f"echo pull-{'up' if up else 'down'} >{_pull(line)}")

    def pulses(self, line: int, count: int, per_second: float) -> float:
        """Close and open a contact to GND so often.

        Returns:
            how many of them there were a second.
        """
        pause_s = 0.5 / per_second
        return float(self._machine.run(f"python3 /root/drive.py {_pull(line)} {count} {pause_s}"))


#: For the unit: /proc is one of its own in the sandbox, and the file is laid over it there.
AS_A_PI = """
[Service]
BindReadOnlyPaths=/etc/cpuinfo:/proc/cpuinfo
"""


def _pull(line: int) -> str:
    return f"{_LINES}/sim_gpio{line}/pull"
