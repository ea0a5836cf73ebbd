"""``sensors scan``: what is wired to this machine, as configuration to paste.

What the kernel drives is always listed. The addresses of an I2C bus are asked only when that is
wanted: a byte read from a chip can be a byte that a running agent waits for.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli.common import add_config_option, add_example, add_json_options, become_owner
from edge_agent.cli.environment import environment_of
from edge_agent.cli.sensors.paste import yaml
from edge_agent.cli.sensors.schemas import SCAN
from edge_agent.cli.status.command import running_agent
from edge_agent.config.channels import Sensor
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.config.sensors import REGISTRY, Drivers, i2c_chip
from edge_agent.daemon.assembly import runtime_directory
from edge_agent.errors import BusError, ConfigError
from edge_agent.kinds import Kind
from edge_agent.options import options_of
from edge_agent.sensors import i2c_scan
from edge_agent.sensors.i2c import Bus, Buses
from edge_agent.sensors.kernel.scan import Found, devices


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``scan``."""
    parser = commands.add_parser("scan", help="what is wired here, as YAML to paste")
    parser.add_argument(
        "--bus",
        action="append",
        default=[],
        type=_bus,
        metavar="N|PATH",
        help="ask every address of this I2C bus for a byte; may be given again",
    )
    parser.add_argument("--all-buses", action="store_true", help="the same for every I2C bus")
    add_example(parser, "sensors scan --bus 1")
    add_config_option(parser)
    add_json_options(parser, SCAN)
    parser.set_defaults(run=scan)


def scan(args: argparse.Namespace) -> int:
    """Print what there is; 0, or 1 if a bus that was to be searched could not be.

    Raises:
        ConfigError: a bus is to be searched beside a running agent, and nobody knows which of the
            chips there are that agent's.
    """
    root = Path("/")
    searches = bool(args.bus or args.all_buses)
    config, running = _known(args.config, searches=searches)
    become_owner(Path(config.queue.path))
    wanted = args.bus
    if args.all_buses:
        # With no bus at all, the first one says what to do about that.
        wanted = [*wanted, *(one.number for one in i2c_scan.adapters(root))] or [1]
    finder = Finder(root, Buses(root=root), config.sensors, running=running)
    facts = finder.gather(wanted, devices(root))
    names = {sensor.name for sensor in config.sensors}
    sys.stdout.write(json.dumps(facts) + "\n" if args.json else yaml(facts, names))
    errors = [bus["error"] for bus in facts["buses"] if bus["error"]]
    sys.stderr.writelines(f"pyvorin-agent: {error}\n" for error in errors)
    return int(bool(errors))


def _bus(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _known(path: Path, *, searches: bool) -> tuple[Config, bool]:
    """The configuration as far as there is one, and whether an agent runs by it."""
    config, trouble = Config(), None
    try:
        config = load(path, environment_of(path)).config
    except ConfigError as error:
        # Whoever scans may be writing the first configuration, or mending one.
        trouble = error
    directory = runtime_directory(Path(config.queue.path), os.environ)
    running = running_agent(directory) is not None
    if trouble and running and searches:
        raise trouble
    return config, running


@dataclasses.dataclass(frozen=True)
class Finder:
    """Looks for what is wired, knowing what is configured."""

    #: where /dev and /sys are
    root: Path
    #: gives bus N, or the one at a path
    buses: Callable[[int | str], Bus]
    sensors: Sequence[Sensor] = ()
    #: whether an agent reads these sensors: then their chips are not asked
    running: bool = False
    #: where sensor types come from
    drivers: Drivers = REGISTRY

    def gather(self, wanted: Iterable[int | str], found: Iterable[Found]) -> dict[str, Any]:
        """What there is as one JSON-representable object, in the shape of `sensors_schemas.SCAN`.

        Args:
            wanted: the I2C buses whose addresses are asked.
            found: what the kernel drives.
        """
        empty: dict[str, Any] = {"searched": False, "error": None, "chips": []}
        buses: dict[str, dict[str, Any]] = {
            f"i2c-{one.number}": {"bus": one.number, "label": one.label} | empty
            for one in i2c_scan.adapters(self.root)
        }
        for written in wanted:
            bus = self.buses(written)
            facts = buses.get(bus.name, {"label": ""} | empty)
            buses[bus.name] = facts | {"bus": written, "searched": True} | self._search(bus)
        kernel = [dataclasses.asdict(one) | {"sensor": self._reader_of(one)} for one in found]
        return {"version": 1, "buses": list(buses.values()), "kernel": kernel}

    def _search(self, bus: Bus) -> dict[str, Any]:
        """What is on one bus, and what went wrong if it could not be searched to its end."""
        configured = dict(self._configured_on(bus))
        left = configured if self.running else {}
        homes = dict(self._homes())
        chips = [self._told(i2c_scan.Chip(a), configured, {}, asked=False) for a in left]
        error = None
        try:
            # What was found before an error stays found.
            chips.extend(
                self._told(chip, configured, homes, asked=not chip.driver)
                for chip in i2c_scan.chips(bus, self.root, left)
            )
        except BusError as exc:
            error = str(exc)
        return {"error": error, "chips": sorted(chips, key=lambda chip: chip["address"])}

    @staticmethod
    def _told(
        chip: i2c_scan.Chip,
        configured: Mapping[int, str],
        homes: Mapping[str, tuple[Kind, int]],
        *,
        asked: bool,
    ) -> dict[str, Any]:
        fitting = [name for name, (kind, _) in homes.items() if _takes(kind, chip.address)]
        return {
            "address": chip.address,
            "asked": asked,
            "driver": chip.driver or None,
            "through": chip.through or None,
            "sensor": configured.get(chip.address),
            "types": sorted(fitting, key=lambda name: (homes[name][1] != chip.address, name)),
        }

    def _homes(self) -> Iterator[tuple[str, tuple[Kind, int]]]:
        """The types of I2C chips, with the addresses each can have and the one it mostly has."""
        for name in self.drivers.type_names():
            try:
                options = options_of(self.drivers.find(name).Options)
            except ConfigError:
                # A broken plugin: `sensors types` says what is wrong with it.
                continue
            for option in options:
                if option.key == "address" and isinstance(option.default, int):
                    yield name, (option.kind, option.default)

    def _configured_on(self, bus: Bus) -> Iterator[tuple[int, str]]:
        for sensor in self.sensors:
            chip = i2c_chip(sensor.options)
            if chip and self.buses(chip[0]).name == bus.name:
                yield chip[1], sensor.name

    def _reader_of(self, found: Found) -> str | None:
        """The configured sensor that reads this device; what an option leaves open fits all."""
        for sensor in self.sensors:
            written = ((getattr(sensor.options, key, None), v) for key, v in found.options.items())
            if sensor.type == found.type and all(own in (None, "", v) for own, v in written):
                return sensor.name
        return None


def _takes(kind: Kind, address: int) -> bool:
    try:
        kind.parse(address)
    except ValueError:
        return False
    return True
