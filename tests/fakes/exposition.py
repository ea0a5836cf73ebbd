"""Reads Prometheus's text format as strictly as its users do, and a little more so."""

from __future__ import annotations

import dataclasses
import re

#: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_META = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.+)")
_SAMPLE = re.compile(rf'({_NAME})(?:\{{([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"\}})? (\S+)')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclasses.dataclass
class Family:
    """One metric, as it was read."""

    meaning: str
    kind: str = ""
    #: of its samples; empty where there is none
    label: str = ""
    samples: dict[str, float] = dataclasses.field(default_factory=dict)


def parse(text: str) -> dict[str, Family]:
    """Families by name.

    Raises:
        ValueError: a line is none of the format, a family is torn apart or told twice, a sample is
            told twice, or a name does not say what it should of its type.
    """
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    families: dict[str, Family] = {}
    for line in text.split("\n")[:-1]:
        if meta := _META.fullmatch(line):
            _begin(families, *meta.groups())
        elif sample := _SAMPLE.fullmatch(line):
            _add(families, *sample.groups())
        else:
            raise ValueError(f"no line of the format: {line!r}")
    for name, family in families.items():
        if (family.kind == "counter") != name.endswith("_total"):
            raise ValueError(f"{name} is a {family.kind}")
    return families


def _begin(families: dict[str, Family], what: str, name: str, said: str) -> None:
    if what == "HELP":
        if name in families:
            raise ValueError(f"{name} is told twice")
        families[name] = Family(said)
        return
    last = next(reversed(families), None)
    if name != last or families[name].kind or said not in ("counter", "gauge"):
        raise ValueError(f"the type of {name}, {said}, does not follow its meaning")
    families[name].kind = said


def _add(families: dict[str, Family], name: str, label: str, word: str, value: str) -> None:
    family = families.get(name)
    if family is None or name != next(reversed(families)) or not family.kind:
        raise ValueError(f"a sample of {name} stands outside of its family")
    key = re.sub(r"\\.", lambda found: _ESCAPED[found[0]], word or "")
    if key in family.samples or (family.samples and family.label != (label or "")):
        raise ValueError(f"{name} has two samples for {key!r}, or two labels")
    family.label = label or ""
    family.samples[key] = float(value)
