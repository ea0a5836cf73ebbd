"""1-wire thermometers, read by the kernel's w1_therm.

They are the DS18B20 (family 28), DS18S20 (10), DS1822 (22), DS1825 and MAX31850 (3b), and DS28EA00
(42).

Sources: Linux Documentation/w1/slaves/w1_therm.rst and drivers/w1/slaves/w1_therm.c; data sheets of
DS18B20 and DS18S20, Memory (the scratch pad's bytes), and of MAX31850, Memory (Fault bit).

Wiring: data to GPIO4, with 4.7 kilo-ohms to 3.3 V; GND; VDD to 3.3 V;
dtoverlay=w1-gpio,gpiopin=4 in config.txt, and a reboot.

A measurement takes 0.75 s, for which the read blocks: all probes of one wire share a reader thread.
There is no option for a lower resolution: only root may write it, and it is lost with the power.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import ChecksumError, SensorError
from edge_agent.options import Text, option
from edge_agent.sensors.base import Channel, Surroundings
from edge_agent.sensors.kernel.sysfs import Files, KernelSensor, parent_name, several, trouble
from edge_agent.types import Measurement

#: Family codes of w1_therm, with what people know them by.
FAMILIES = {
    "10": "DS18S20",
    "22": "DS1822",
    "28": "DS18B20",
    "3b": "DS1825 or MAX31850",
    "42": "DS28EA00",
}
_ID = rf"(?:{'|'.join(FAMILIES)})-[0-9a-f]{{12}}"
_PROBE = re.compile(_ID)
_FOLDER = "sys/bus/w1/devices"
_OVERLAY = "dtoverlay=w1-gpio,gpiopin=4 in config.txt"

# Both lines of w1_slave: the scratch pad as it was read now, then as it was last read well.
_SLAVE = re.compile(
    r"(?P<pad>(?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (?P<fits>YES|NO) "
    r"(?:[0-9a-f]{2} ){9}t=(?P<milli>-?[0-9]{1,9})"
)

# The temperature after power-on, 85 degrees, and after a conversion that the supply could not feed,
# 127.94; they count only where the reserved byte 6 is as no conversion leaves it (w1_therm.rst,
# ``features``). In a DS18S20 that byte is the fraction, and 85.0 measured is no other than 85.0 at
# power-on: it is not believed. Neither is it in copies of the DS18B20 that never change the byte.
_POWER_ON, _POWER_ON_DS18S20, _UNDERFED = b"\x50\x05", b"\xaa\x00", b"\xff\x07"
_UNTOUCHED = 0x0C
# A MAX31850 has this bit set in byte 4, and tells of a broken thermocouple in bit 0 of byte 0.
_IS_MAX31850, _BROKEN = 0x80, 0x01


@dataclasses.dataclass(frozen=True)
class W1Options:
    """Which probe."""

    id: str = option(
        Text(_ID, "a probe's id such as 28-0316a2795bff"),
        "",
        help="The probe's id; absent: the only one there is. `ls /sys/bus/w1/devices` lists them.",
    )


def celsius(text: str, probe: str) -> float:
    """The temperature in what w1_slave says; a pure function.

    Args:
        text: its two lines as one.
        probe: whose it is.

    Raises:
        ChecksumError: the scratch pad came damaged.
        SensorError: ``no_answer``, ``short``, ``power_on_value``, ``underpowered``,
            ``disconnected`` or ``garbage``.
    """
    if not text:
        # So the kernel says every failure, and that another program's bulk conversion is not over.
        raise _error(probe, "no answer, or another program has it measure", "no_answer")
    match = _SLAVE.fullmatch(text)
    if match is None:
        raise _error(probe, f"w1_slave reads as no kernel writes it: '{text[:80]}'", "garbage")
    pad = bytes.fromhex(match["pad"])
    if pad == b"\xff" * 9:
        raise _error(probe, "no answer: it is unplugged, or its data wire is open", "no_answer")
    if match["fits"] == "NO":
        raise ChecksumError(
            f"probe {probe}: the check byte of {pad.hex(' ')} does not fit; shorten the cable, or "
            "take a smaller pull-up, such as 2.2 kilo-ohms"
        )
    _refuse(pad, probe)
    return int(match["milli"]) / 1000


def _refuse(pad: bytes, probe: str) -> None:
    """Raise for a scratch pad that came whole and is no measurement."""
    untouched = pad[6] == _UNTOUCHED
    if pad == bytes(9):
        # The check byte of nothing but zeros is zero, so this looks like 0 degrees.
        raise _error(probe, "nothing but zeros: data is shorted to ground", "short")
    if untouched and pad[:2] == (_POWER_ON_DS18S20 if probe.startswith("10-") else _POWER_ON):
        raise _error(probe, "power-on value: it lost its power as it measured", "power_on_value")
    if untouched and pad[:2] == _UNDERFED:
        raise _error(probe, "too little power to measure: give VDD 3.3 V", "underpowered")
    if probe.startswith("3b-") and pad[4] & _IS_MAX31850 and pad[0] & _BROKEN:
        raise _error(probe, "its thermocouple is open or shorted", "disconnected")


def _error(probe: str, what: str, reason: str) -> SensorError:
    remedy = "check its wires, and the pull-up of 4.7 kilo-ohms"
    return SensorError(f"probe {probe}: {what}; {remedy}", reason=reason)


def probes(files: Files) -> list[Path]:
    """The thermometers that are there, by their folders, in the order of their ids.

    Raises:
        SensorError: there are some, and they may not be listed.
    """
    folder = files.root / _FOLDER
    return [folder / name for name in files.entries(folder) if _PROBE.fullmatch(name)]


class W1(KernelSensor):
    """One 1-wire thermometer; its id travels in the metadata as ``probe_id``.

    A reading that came damaged, or not at all, is tried once more.
    """

    Options = W1Options
    channels = (Channel("", "celsius"),)

    def __init__(self, options: W1Options, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._id = options.id
        self.bus_name = self._master()

    def _measure(self) -> Sequence[Measurement]:
        """The temperature.

        Raises:
            SensorError: ``absent_bus``, ``absent``, ``ambiguous``, or as `celsius`.
        """
        folder = self._probe()
        path = folder / "w1_slave"
        try:
            text = self._files.text(path)
        except OSError as error:
            raise trouble(error, path) from error
        value = celsius(text, folder.name)
        return [Measurement("", value, "celsius", metadata={"probe_id": folder.name})]

    def _master(self) -> str:
        """The wire the probe is on; a probe that is not there yet shares a thread with its like.

        Looking at links is no traffic on a wire.
        """
        with contextlib.suppress(SensorError):
            there = [path for path in probes(self._files) if self._id in ("", path.name)]
            masters = {parent_name(path) for path in there}
            if len(masters) == 1:
                return masters.pop()
        return "w1"

    def _probe(self) -> Path:
        """The folder of the probe that is meant."""
        there = probes(self._files)
        found = [path for path in there if self._id in ("", path.name)]
        if len(found) == 1:
            return found[0]
        listed = several([path.name for path in there])
        if found:
            raise SensorError(
                f"{len(found)} probes are there: {listed}; write one as `id`", reason="ambiguous"
            )
        if not (self._files.root / _FOLDER).is_dir():
            raise SensorError(
                f"the kernel has no 1-wire bus; write {_OVERLAY} and reboot", reason="absent_bus"
            )
        raise SensorError(
            f"no probe {self._id or 'at all'} is on the wire; there is {listed}; check its "
            f"wires, the pull-up of 4.7 kilo-ohms, and the pin in {_OVERLAY}",
            reason="absent",
        )
