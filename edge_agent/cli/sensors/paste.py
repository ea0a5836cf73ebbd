"""What a scan found, as YAML to paste below ``sensors:``; what it cannot know stays a comment."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from edge_agent.cli.table import printable
from edge_agent.config.sensors import REGISTRY, Drivers
from edge_agent.options import options_of
from edge_agent.sensors.i2c import TROUBLES

#: Types whose chips answer a read only after an order to measure, so that no scan finds them.
#: Source: the data sheets that the drivers name ("a read header without data is answered by NACK").
SILENT_UNTIL_ORDERED = ("htu21d", "scd4x", "sht3x", "sht4x")
_LONGEST_NAME = 90
_NO_NAME = re.compile(r"[^A-Za-z0-9-]+")
#: Texts that need no quotes: nothing in YAML's core schema looks like them but its constants.
_PLAIN = re.compile(r"(?!(?:true|false|null)$)[a-z_][a-z0-9_-]*", re.IGNORECASE)


def yaml(facts: Mapping[str, Any], taken: Collection[str], drivers: Drivers = REGISTRY) -> str:
    """The text.

    Args:
        facts: in the shape of `sensors_schemas.SCAN`.
        taken: names that sensors have already.
        drivers: where sensor types come from.
    """
    paste = _Paste(taken, drivers)
    notes = list(_notes(facts["buses"]))
    items = [line for device in facts["kernel"] for line in paste.device(device)]
    items += [
        line for bus in facts["buses"] for chip in bus["chips"] for line in paste.chip(bus, chip)
    ]
    if any(line.startswith("- ") for line in items):
        items = ["sensors:", *(f"  {line}" for line in items)]
    if not items:
        items = ["# no device of the kernel's, and no chip that answered"]
    return "\n".join([*map(printable, notes), *map(printable, items), ""])


def _notes(buses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The I2C buses there are, and what came of asking."""
    if not buses:
        yield f"# I2C: {TROUBLES[errno.ENOENT].sentence}"
    for bus in buses:
        what = f"{_called(bus)} ({bus['label']})" if bus["label"] else _called(bus)
        if bus["searched"]:
            count = len(bus["chips"])
            end = ", and an error ended the search" if bus["error"] else ""
            yield f"# {what}: {count} chip{'' if count == 1 else 's'}{end}"
        else:
            yield f"# {what}: not searched; --bus {bus['bus']} asks its addresses"
    if any(bus["searched"] for bus in buses):
        silent = ", ".join(SILENT_UNTIL_ORDERED)
        yield f"# not found by asking, as they only answer orders: {silent}"


class _Paste:
    """Writes entries of the list of sensors, each under a name of its own."""

    def __init__(self, taken: Collection[str], drivers: Drivers) -> None:
        self._taken = set(taken)
        self._drivers = drivers

    def device(self, device: Mapping[str, Any]) -> Iterator[str]:
        """A device of the kernel's."""
        entry = self._entry(device["type"], device["options"])
        if device["sensor"]:
            yield f"# is the configured sensor {device['sensor']}: {entry}"
        else:
            yield f"# {device['what']}"
            yield f"- {entry}"

    def chip(self, bus: Mapping[str, Any], chip: Mapping[str, Any]) -> Iterator[str]:
        """What is at an address of an I2C bus."""
        where = f"{_called(bus)}, 0x{chip['address']:02x}"
        if chip["driver"]:
            through = f"; `type: {chip['through']}` reads it" if chip["through"] else ""
            yield f"# {where}: belongs to the kernel's driver {chip['driver']}{through}"
        elif chip["sensor"]:
            why = "" if chip["asked"] else "; not asked, as the agent is running"
            yield f"# {where}: is the configured sensor {chip['sensor']}{why}"
        elif not chip["types"]:
            yield f"# {where}: no sensor type is at home there; `type: i2c_register` reads any chip"
        else:
            yield from self._candidates(where, bus["bus"], chip)

    def _candidates(self, where: str, bus: int | str, chip: Mapping[str, Any]) -> Iterator[str]:
        """The likeliest type, and the others as comments: an address says not who lives there."""
        first, *others = chip["types"]
        keep = f"; keep the line of the chip that is there: {', '.join(chip['types'])}"
        yield f"# {where}{keep if others else ''}"
        options = {"bus": bus, "address": chip["address"]}
        yield f"- {self._entry(first, options)}"
        yield from (f"# - {self._entry(other, options)}" for other in others)

    def _entry(self, type_name: str, options: Mapping[str, Any]) -> str:
        """One sensor as a mapping in a line; each value as its option's kind writes it."""
        kinds = {one.key: one.kind for one in options_of(self._drivers.find(type_name).Options)}
        written = {key: kinds[key].write(value) for key, value in options.items()}
        fields = [f"name: {self._name(type_name, written.values())}", f"type: {type_name}"]
        for key, value in options.items():
            text = _quoted(value) if isinstance(value, str) else written[key]
            fields.append(f"{key}: {text}")
        return "{" + ", ".join(fields) + "}"

    def _name(self, type_name: str, written: Collection[str]) -> str:
        """A name that no other sensor has."""
        words = "_".join([type_name, *written]).removeprefix("/")
        name = _NO_NAME.sub("_", words).strip("_-")[:_LONGEST_NAME]
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free


def _called(bus: Mapping[str, Any]) -> str:
    return f"i2c-{bus['bus']}" if isinstance(bus["bus"], int) else str(bus["bus"])


def _quoted(text: str) -> str:
    """A text as YAML takes it for one; what JSON quotes, YAML reads."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
