"""``sensors types``: every driver there is, with its options, channels and wiring."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent.cli.common import add_example, add_json_options
from edge_agent.cli.sensors.schemas import TYPES
from edge_agent.cli.table import printable
from edge_agent.config.reference import Row, rows
from edge_agent.config.sensors import REGISTRY, Drivers
from edge_agent.config.shape import did_you_mean
from edge_agent.errors import ConfigError
from edge_agent.options import Required, options_of
from edge_agent.sensors.base import Channel, Sensor

_WIDTH = 100


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``types``."""
    parser = commands.add_parser("types", help="every driver with its options")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    add_example(parser, "sensors types bme280")
    add_json_options(parser, TYPES)
    parser.set_defaults(run=types)


def types(args: argparse.Namespace) -> int:
    """Print the drivers; a broken plugin among them is a line with its reason.

    Raises:
        ConfigError: a driver that was asked for by name is not there, or is broken.
    """
    facts = gather(args.names)
    sys.stdout.write(json.dumps(facts) + "\n" if args.json else text_of(facts))
    return 0


def gather(names: Sequence[str] = (), drivers: Drivers = REGISTRY) -> dict[str, Any]:
    """The drivers as one JSON-representable object, in the shape of `sensors_schemas.TYPES`.

    Args:
        names: only these, in this order; all when empty.
        drivers: where sensor types come from.

    Raises:
        ConfigError: one of ``names`` is no type, or cannot be used.
    """
    known = drivers.type_names()
    for name in names:
        if name not in known:
            raise ConfigError(f"'{name}' is no type of sensor{did_you_mean(name, known)}")
    if names:
        return {"version": 1, "types": [_driver(name, drivers.find(name)) for name in names]}
    return {"version": 1, "types": [_any(name, drivers) for name in known]}


def _any(name: str, drivers: Drivers) -> dict[str, Any]:
    """One type, usable or not."""
    try:
        return _driver(name, drivers.find(name))
    except ConfigError as error:
        empty: dict[str, Any] = {"summary": "", "wiring": "", "channels": [], "options": []}
        return {"type": name, "broken": str(error), **empty}


def _driver(name: str, driver: type[Sensor]) -> dict[str, Any]:
    paragraphs = _paragraphs(driver)
    wiring = next((text for text in paragraphs if text.startswith("Wiring: ")), "")
    return {
        "type": name,
        "broken": None,
        "summary": paragraphs[0] if paragraphs else "",
        "wiring": wiring.removeprefix("Wiring: "),
        "channels": [{"name": c.name, "unit": c.unit} for c in _channels(driver)],
        "options": [row._asdict() for row in _options(driver)],
    }


def _options(driver: type[Sensor]) -> Iterator[Row]:
    """What stands beside name and type, and what stands under channels."""
    yield from rows(driver.Options)
    if driver.ChannelOptions is not None:
        yield from rows(driver.ChannelOptions, "channels.NAME.")


def _paragraphs(driver: type[Sensor]) -> list[str]:
    """What the driver's file says of it, a line for each paragraph."""
    module = inspect.getmodule(driver)
    text = (inspect.getdoc(module) if module else "") or ""
    return [" ".join(paragraph.split()).replace("``", "`") for paragraph in text.split("\n\n")]


def _channels(driver: type[Sensor]) -> Sequence[Channel]:
    """What it measures unless told otherwise; nothing where its options alone say that."""
    fixed: Sequence[Channel] = getattr(driver, "channels", ())
    if fixed or any(option.default is Required for option in options_of(driver.Options)):
        return fixed
    # Built, a driver may want a library that is not there; its options are all that is needed.
    unit = getattr(driver.ChannelOptions(), "unit", "") if driver.ChannelOptions else ""
    return [Channel(name, unit) for name in driver.channel_names(driver.Options())]


def text_of(facts: Mapping[str, Any]) -> str:
    """The drivers for a person, a block each."""
    return "\n".join(
        "".join(f"{printable(line)}\n" for line in _block(one)) for one in facts["types"]
    )


def _block(one: Mapping[str, Any]) -> Iterator[str]:
    yield one["type"]
    if one["broken"]:
        yield from _wrapped(f"broken: {one['broken']}", 2)
    else:
        yield from _wrapped(one["summary"], 2)
        yield from _wrapped(f"Measures: {_measures(one['channels'])}.", 2)
        if one["wiring"]:
            yield from _wrapped(f"Wiring: {one['wiring']}", 2)
    for row in one["options"]:
        value = f"{row['key']}: {'required' if row['required'] else row['default']}".rstrip()
        yield f"    {value}  # {row['written']}"
        yield from _wrapped(row["meaning"], 8)


def _measures(channels: list[dict[str, str]]) -> str:
    """The channels with their units; a single one has no name."""
    words = [" in ".join(filter(None, (c["name"], c["unit"]))) for c in channels]
    return ", ".join(filter(None, words)) or "as its options say"


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
