"""Every key of the configuration on one Markdown page, made from the declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edge_agent.config.channels import SensorCommon, Shaping
from edge_agent.config.model import Config
from edge_agent.config.sensors import REGISTRY, Drivers, sections_of
from edge_agent.config.shape import Named, Section, inside
from edge_agent.options import Option, Required, options_of

_INTRODUCTION = """\
# Configuration reference

`/etc/pyvorin/agent.yaml`, then `/etc/pyvorin/agent.d/*.yaml` in name order: mappings merge,
`sensors` append, and a key given twice is an error. Durations and sizes carry a unit
(`500ms 30s 5min 24h 7d`, `64KiB 512MiB 1GB`). `${NAME}` in a text is taken from the environment,
`$$` is a dollar. An empty value counts as absent.
"""
_HEAD = ("| Key | Written as | Default | Meaning |", "|---|---|---|---|")


def markdown(drivers: Drivers = REGISTRY) -> str:
    """The page.

    Args:
        drivers: where sensor types come from.
    """
    lines = [_INTRODUCTION]
    for chapter in chapters(drivers):
        lines += [f"{'#' * chapter.level} {chapter.title}", ""]
        lines += [chapter.help, ""] if chapter.help else []
        lines += [*_HEAD, *map(_line, chapter.rows), ""] if chapter.rows else []
    return "\n".join(lines)


class Chapter(NamedTuple):
    """The settings that stand together."""

    title: str
    #: 2 for a section of the file, 3 for a type of sensor
    level: int
    help: str
    rows: Sequence[Row]


def chapters(drivers: Drivers = REGISTRY) -> Iterator[Chapter]:
    """The sections of the file in their order, then the types of sensors by name.

    Args:
        drivers: where sensor types come from.
    """
    # The same may be written for a sensor and for each of its channels; it is explained once.
    places = {
        found[1]: f"sensors[].{option.key}"
        for option in options_of(Shaping)
        if (found := inside(option.kind))
    }
    for section in options_of(Config):
        inner: tuple[Row, ...] = ()
        if isinstance(section.kind, Section):
            inner = (*rows(section.kind.of, f"{section.key}."),)
        elif section.key == "sensors":
            inner = (*rows(SensorCommon, "sensors[].", places),)
        yield Chapter(section.key, 2, section.help, inner)
    for name in drivers.type_names():
        own = sections_of(drivers.find(name))[1]
        yield Chapter(f"type: {name}", 3, "", (*rows(own, "sensors[].", places),))


class Row(NamedTuple):
    """One setting, in words."""

    #: what people write, with the sections it stands in: ``channels.NAME.gain``
    key: str
    #: how its value is written, and the range
    written: str
    #: the default as people would write it; empty where there is none, or nothing to see
    default: str
    #: whether it must be given
    required: bool
    meaning: str


def rows(
    section: type, prefix: str = "", places: Mapping[type, str] | None = None
) -> Iterator[Row]:
    """The settings that a dataclass declares; a section is followed by the settings in it.

    Args:
        section: the dataclass.
        prefix: what leads to its keys.
        places: sections that are explained in one place alone, each with the key of that.
    """
    for option in options_of(section):
        kind, key = option.kind, f"{prefix}{option.key}"
        steps, within = inside(kind) or ("", None)
        place = key if within is None else (places or {}).get(within, key)
        noun, limits = kind.noun, kind.limits()
        written = f"{noun}: {limits}" if limits and limits != noun else noun
        meaning = option.help if place == key else f"As `{place}`."
        yield Row(key, written, _default(option), option.default is Required, meaning)
        if within and place == key:
            yield from rows(within, f"{key}{steps}", places)


def table(section: type, prefix: str = "", places: Mapping[type, str] | None = None) -> list[str]:
    """The same as a Markdown table."""
    return [*_HEAD, *map(_line, rows(section, prefix, places))]


def _line(row: Row) -> str:
    default = "required" if row.required else f"`{row.default}`" if row.default else ""
    cells = (f"`{row.key}`", row.written, default, row.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(option: Option) -> str:
    if option.default in (Required, None, "", ()) or isinstance(option.kind, Section | Named):
        return ""
    return option.kind.write(option.default)
