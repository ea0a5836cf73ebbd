"""Every key of the configuration on one Markdown page, made from the declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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
    for section in options_of(Config):
        lines += [f"## {section.key}", "", section.help, ""]
        if isinstance(section.kind, Section):
            lines += [*table(section.kind.of, f"{section.key}."), ""]
    # The same may be written for a sensor and for each of its channels; it is explained once.
    places = {
        found[1]: f"sensors[].{option.key}"
        for option in options_of(Shaping)
        if (found := inside(option.kind))
    }
    lines += [*table(SensorCommon, "sensors[].", places), ""]
    for name in drivers.type_names():
        lines += [f"### type: {name}", ""]
        lines += [*table(sections_of(drivers.find(name))[1], "sensors[].", places), ""]
    return "\n".join(lines)


def table(section: type, prefix: str = "", places: Mapping[type, str] | None = None) -> list[str]:
    """The settings that a dataclass declares, as a Markdown table.

    Args:
        section: the dataclass.
        prefix: what leads to its keys.
        places: sections that are explained in one place alone, each with the key of that.
    """
    return [*_HEAD, *_rows(options_of(section), prefix, places or {})]


def _rows(options: Iterable[Option], prefix: str, places: Mapping[type, str]) -> Iterator[str]:
    """A table row for each setting; a section is followed by the rows of its own."""
    for option in options:
        kind, key = option.kind, f"{prefix}{option.key}"
        steps, section = inside(kind) or ("", None)
        place = key if section is None else places.get(section, key)
        meaning = option.help if place == key else f"As `{place}`."
        yield _row(key, kind.noun, kind.limits(), _default(option), meaning)
        if section and place == key:
            yield from _rows(options_of(section), f"{key}{steps}", places)


def _row(key: str, noun: str, limits: str, default: str, meaning: str) -> str:
    written = f"{noun}: {limits}" if limits and limits != noun else noun
    cells = (f"`{key}`", written, default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(option: Option) -> str:
    if option.default is Required:
        return "required"
    if option.default in (None, "", ()) or isinstance(option.kind, Section | Named):
        return ""
    return f"`{option.kind.write(option.default)}`"
