"""``sensors read``: each configured sensor once, as a table.

Beside a running agent nothing is read behind its back: some chips give a value only once, and a
second master cuts into a driver's commands. So what it read last is shown, with its age.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.cli.common import (
    add_config_option,
    add_example,
    add_json_options,
    become_owner,
    load_to_look,
)
from edge_agent.cli.sensors.once import Outcome, Round
from edge_agent.cli.sensors.schemas import READ
from edge_agent.cli.status.command import running_agent
from edge_agent.cli.status.text import FAULTS, span
from edge_agent.cli.table import aligned
from edge_agent.clock import Clock, SystemClock
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.config.channels import Channel, Sensor
from edge_agent.config.shape import did_you_mean
from edge_agent.daemon.assembly import make_slot, runtime_directory
from edge_agent.daemon.readers import BusReaders
from edge_agent.errors import ConfigError
from edge_agent.processing.filters import SkipInitial
from edge_agent.processing.privacy import Shield
from edge_agent.sensors.base import Surroundings
from edge_agent.sensors.i2c import Buses
from edge_agent.types import SensorReading

_NOT_READ = "not read yet"
_NOTHING = "nothing measured"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``read``."""
    parser = commands.add_parser("read", help="each configured sensor once")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    add_example(parser, "sensors read temp.cold_chain")
    add_config_option(parser)
    add_json_options(parser, READ)
    parser.set_defaults(run=read)


def read(args: argparse.Namespace) -> int:
    """Print a table; 0, or 1 if a sensor has a fault or no reading.

    Raises:
        ConfigError: the configuration cannot be used, or has no sensor of such a name.
        StoreError: how far a meter had counted cannot be read.
    """
    config = load_to_look(args.config)
    sensors = chosen(config.sensors, args.names)
    queue_path = Path(config.queue.path)
    status = running_agent(runtime_directory(queue_path, os.environ))
    become_owner(queue_path)
    clock = SystemClock()
    if status is None:
        # Without a key, what is to be hashed is left out: a look makes none, and shows no secret.
        rules = config.privacy
        shield = Shield(drop=rules.drop, hashed=rules.hash, rounded=rules.round)
        outcomes = read_now(sensors, queue_path, clock)
    else:
        # What an agent shows went through privacy already.
        shield = Shield()
        outcomes = last_read(sensors, status["sensors"])
    facts = gather(outcomes, clock.wall(), running=status is not None, shield=shield)
    sys.stdout.write(json.dumps(facts) + "\n" if args.json else text_of(facts))
    return int(any(one["faults"] or not one["readings"] for one in facts["sensors"]))


def chosen(sensors: Sequence[Sensor], names: Sequence[str]) -> list[Sensor]:
    """The sensors of these names, in this order; all where none is named.

    Raises:
        ConfigError: there is none of such a name.
    """
    known = {sensor.name: sensor for sensor in sensors}
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            raise ConfigError(f"'{name}' is no sensor of this configuration{near}")
    return [known[name] for name in dict.fromkeys(names)] or list(sensors)


def last_read(sensors: Sequence[Sensor], status: Mapping[str, Any]) -> list[Outcome]:
    """What a running agent read last.

    Args:
        sensors: those to be told of.
        status: the part ``sensors`` of what the agent wrote of itself.
    """
    return [_last(sensor.name, status.get(sensor.name)) for sensor in sensors]


def _last(name: str, told: Mapping[str, Any] | None) -> Outcome:
    if told is None:
        why = "the running agent does not know it; reload the configuration"
        return Outcome(name, faults={name: why})
    readings = [SensorReading.from_dict(reading) for reading in told["last"].values()]
    return Outcome(name, readings, dict(told["faults"]))


def read_now(sensors: Sequence[Sensor], queue_path: Path, clock: Clock) -> list[Outcome]:
    """Read each once; what does not answer is given up, and left behind in its thread.

    Args:
        sensors: those to be read.
        queue_path: the queue's file, which knows how far a meter had counted.
        clock: the machine's.

    Raises:
        StoreError: there is such a file, and it cannot be read.
    """
    news = threading.Event()
    readers = BusReaders(clock, news.set)
    buses = Buses()
    around = Surroundings(bus=buses, monotonic=clock.monotonic, announce=readers.announce)

    def wait(seconds: float) -> None:
        news.wait(seconds)
        news.clear()

    def recall(owner: str) -> Any:
        if not queue_path.exists():
            return None
        with CloudSyncQueue(queue_path) as queue:
            return queue.memory.load(owner)

    try:
        slots = [make_slot(_plain(sensor), {}, around) for sensor in sensors]
        return Round(slots, readers, clock, recall).run(wait)
    finally:
        readers.close()
        buses.close()


def _plain(sensor: Sensor) -> Sensor:
    """The same sensor, its values filtered and believed as the agent does it, and all told.

    What is skipped while a sensor warms up would leave nothing to be told.
    """
    channels = {
        name: Channel(
            name=channel.name,
            filters=tuple(each for each in channel.filters if not isinstance(each, SkipInitial)),
            valid=channel.valid,
        )
        for name, channel in sensor.channels.items()
    }
    return dataclasses.replace(sensor, channels=channels)


def gather(
    outcomes: Iterable[Outcome], wall: float, *, running: bool, shield: Shield
) -> dict[str, Any]:
    """The outcomes as one JSON-representable object, in the shape of `sensors_schemas.READ`.

    Args:
        outcomes: one for each sensor.
        wall: Unix seconds now.
        running: whether they are a running agent's.
        shield: takes out of the readings what nobody is to know.
    """
    sensors = [
        {
            "name": outcome.name,
            "readings": [
                shield.apply(reading).to_dict() | {"age_s": max(wall - reading.timestamp, 0.0)}
                for reading in outcome.readings
            ],
            "faults": outcome.faults,
        }
        for outcome in outcomes
    ]
    return {"version": 1, "running": running, "sensors": sensors}


def text_of(facts: Mapping[str, Any]) -> str:
    """The table for a person; a fault is said where the value would stand."""
    return "".join(f"{line}\n" for line in aligned(list(_rows(facts))))


def _rows(facts: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    if not facts["sensors"]:
        yield ("the configuration has no sensors; `sensors scan` finds what is wired",)
        return
    yield ("SENSOR", "VALUE", "UNIT", "AGE") if facts["running"] else ("SENSOR", "VALUE", "UNIT")
    for sensor in facts["sensors"]:
        for name, why in sensor["faults"].items():
            # A running agent keeps a word for it.
            words = f" ({FAULTS[why]})" if why in FAULTS else ""
            yield name, f"failed: {why}{words}"
        for reading in sensor["readings"]:
            row = (reading["sensor_name"], str(reading["value"]), reading["unit"])
            yield (*row, span(reading["age_s"])) if facts["running"] else row
        if not sensor["readings"] and not sensor["faults"]:
            yield sensor["name"], _NOT_READ if facts["running"] else _NOTHING
