"""How one setting is written, checked and described: the words configuration and drivers share.

A section of the configuration, or a driver's options, is a frozen dataclass whose fields are made
with `option`. That is the one declaration: the checker, the JSON Schema and the reference page are
read from it. Nothing here knows YAML or where the settings stand.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

_KEY = "edge_agent.option"
_LONGEST_SHOWN = 60


class Required:
    """The default of an option that has none."""


class Kind(abc.ABC):
    """One kind of value: how people write it, what it becomes, what a schema says of it."""

    #: what a person would call it: "a duration"
    noun: str

    @abc.abstractmethod
    def parse(self, written: Any) -> Any:
        """The value meant by what was written.

        Args:
            written: what YAML made of it: None, bool, int, float, str, list or dict.

        Raises:
            ValueError: a sentence that says what is wrong and what would be right.
        """

    @abc.abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of what may be written."""

    def write(self, value: Any) -> str:
        """How a person would write ``value``; ``parse`` takes it back."""
        return str(value)

    def limits(self) -> str:
        """The range or the words allowed, for the reference page; empty when anything goes."""
        return ""


@dataclasses.dataclass(frozen=True)
class Text(Kind):
    """A text, optionally of a pattern that ``meaning`` describes."""

    pattern: str = ""
    meaning: str = ""
    noun = "a text"

    def parse(self, written: Any) -> str:
        """The text; numbers and switches are not taken for one."""
        if not isinstance(written, str):
            raise ValueError(
                f"{_shown(written)} is no text; put it in quotes if it is meant as one"
            )
        if self.pattern and not re.fullmatch(self.pattern, written):
            raise ValueError(f"{_shown(written)} is not {self.meaning}")
        return written

    def schema(self) -> dict[str, Any]:
        """A string, with its pattern."""
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})

    def limits(self) -> str:
        """What the pattern means."""
        return self.meaning


@dataclasses.dataclass(frozen=True)
class Flag(Kind):
    """``true`` or ``false``."""

    noun = "true or false"

    def parse(self, written: Any) -> bool:
        """The switch; ``yes`` and ``no`` are texts in YAML 1.2, and are refused with a hint."""
        if isinstance(written, bool):
            return written
        raise ValueError(f"{_shown(written)} is neither true nor false")

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}

    def write(self, value: Any) -> str:
        """As YAML writes it."""
        return "true" if value else "false"


@dataclasses.dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]
    noun = "one of a few words"

    def parse(self, written: Any) -> str:
        """The word, exactly as declared."""
        if written not in self.words:
            raise ValueError(f"{_shown(written)} is not one of {', '.join(self.words)}")
        return str(written)

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.words)}

    def limits(self) -> str:
        """The words."""
        return " · ".join(self.words)


@dataclasses.dataclass(frozen=True)
class _Ranged(Kind):
    """A number within limits, both ends allowed."""

    least: float | None = None
    most: float | None = None

    def _within(self, value: float, written: Any) -> None:
        if self.least is not None and value < self.least:
            raise ValueError(
                f"{_shown(written)} is less than {self.write(self.least)}, the least allowed"
            )
        if self.most is not None and value > self.most:
            raise ValueError(
                f"{_shown(written)} is more than {self.write(self.most)}, the most allowed"
            )

    def limits(self) -> str:
        """``from … to …``, with units."""
        low = "" if self.least is None else f"from {self.write(self.least)}"
        high = "" if self.most is None else f"to {self.write(self.most)}"
        return f"{low} {high}".strip()

    def _bounds(self) -> dict[str, Any]:
        ends = {"minimum": self.least, "maximum": self.most}
        return {name: end for name, end in ends.items() if end is not None}


@dataclasses.dataclass(frozen=True)
class Whole(_Ranged):
    """A whole number; with ``hexadecimal`` it is shown as an address is read (0x76)."""

    hexadecimal: bool = False
    noun = "a whole number"

    def parse(self, written: Any) -> int:
        """The number; text, fractions and switches are refused."""
        if isinstance(written, bool) or not isinstance(written, int):
            raise ValueError(f"{_shown(written)} is no whole number")
        self._within(written, self.write(written))
        return written

    def schema(self) -> dict[str, Any]:
        """An integer with its bounds."""
        return {"type": "integer"} | self._bounds()

    def write(self, value: Any) -> str:
        """Decimal, or hexadecimal where that is the custom."""
        return f"0x{int(value):02x}" if self.hexadecimal else str(int(value))


@dataclasses.dataclass(frozen=True)
class Number(_Ranged):
    """A finite number in ``unit``."""

    unit: str = ""
    noun = "a number"

    def parse(self, written: Any) -> float:
        """The number as a float; infinities and NaN are refused."""
        if isinstance(written, bool) or not isinstance(written, int | float):
            raise ValueError(f"{_shown(written)} is no number")
        value = float(written)
        if value - value != 0:
            raise ValueError(f"{written} is not a finite number")
        self._within(value, written)
        return value

    def schema(self) -> dict[str, Any]:
        """A number with its bounds."""
        return {"type": "number"} | self._bounds()

    def write(self, value: Any) -> str:
        """Shortest decimal form, with the unit."""
        return f"{value:g} {self.unit}".strip()


@dataclasses.dataclass(frozen=True)
class _Quantity(_Ranged):
    """A number with a unit glued to it, as one word: ``30s``, ``512MiB``."""

    units: tuple[tuple[str, float], ...] = ()
    usual: str = ""

    def parse(self, written: Any) -> float:
        """The quantity in the base unit; a bare number gets the sentence that offers a unit."""
        if isinstance(written, int | float) and not isinstance(written, bool):
            raise ValueError(f"{written} has no unit; did you mean '{written}{self.usual}'?")
        match = (
            re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", written)
            if isinstance(written, str)
            else None
        )
        if match is None:
            raise ValueError(
                f"{_shown(written)} is not {self.noun}; write it like '30{self.usual}'"
            )
        factor = dict(self.units).get(match[2])
        if factor is None:
            known = ", ".join(unit for unit, _ in self.units)
            raise ValueError(
                f"{_shown(written)} has the unknown unit '{match[2]}'; known are {known}"
            )
        value = float(match[1]) * factor
        self._within(value, written)
        return value

    def schema(self) -> dict[str, Any]:
        """A string of a number and a unit; the range cannot be said in JSON Schema."""
        units = "|".join(unit for unit, _ in self.units)
        return {"type": "string", "pattern": rf"^\d+(\.\d+)? ?({units})$"}

    def write(self, value: Any) -> str:
        """In the largest unit that leaves a whole number."""
        if value == 0:
            return f"0{self.usual}"
        for unit, factor in sorted(self.units, key=lambda pair: -pair[1]):
            if value >= factor and value % factor == 0:
                return f"{value / factor:g}{unit}"
        return f"{value:g}{self.units[0][0]}"


@dataclasses.dataclass(frozen=True)
class Duration(_Quantity):
    """A time span with a unit, kept as seconds: ``500ms 30s 5m 5min 24h 7d``."""

    units: tuple[tuple[str, float], ...] = (
        ("s", 1.0),
        ("ms", 0.001),
        ("min", 60.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
    )
    usual: str = "s"
    noun = "a duration"


@dataclasses.dataclass(frozen=True)
class Size(_Quantity):
    """A number of bytes with a unit: ``64KiB 512MiB 1GB``."""

    units: tuple[tuple[str, float], ...] = (
        ("B", 1),
        ("kB", 1e3),
        ("KiB", 1024),
        ("MB", 1e6),
        ("MiB", 1024**2),
        ("GB", 1e9),
        ("GiB", 1024**3),
    )
    usual: str = "MiB"
    noun = "a size"

    def parse(self, written: Any) -> int:
        """Whole bytes."""
        return int(super().parse(written))


@dataclasses.dataclass(frozen=True)
class Labels(Kind):
    """A flat mapping of names to texts, numbers or switches."""

    noun = "a mapping of names to values"

    def parse(self, written: Any) -> dict[str, Any]:
        """The mapping; nested ones are refused, so that a server can index every label."""
        if not isinstance(written, dict):
            raise ValueError(f"{_shown(written)} is no mapping; write it like {{site: lyon}}")
        for key, value in written.items():
            if not isinstance(key, str) or not isinstance(value, str | int | float | bool):
                raise ValueError(
                    f"the label {_shown(key)} must be a name with a text, number or switch"
                )
        return written

    def schema(self) -> dict[str, Any]:
        """An object of scalars."""
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}

    def write(self, value: Any) -> str:
        """As an inline YAML mapping."""
        return "{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}"


@dataclasses.dataclass(frozen=True)
class AnyOf(Kind):
    """Several ways to write one setting; the first that takes the value gives it its meaning."""

    kinds: tuple[Kind, ...]

    @property
    def noun(self) -> str:  # type: ignore[override]  # a plain text in the leaves, made up here
        """All the nouns."""
        return " or ".join(kind.noun for kind in self.kinds)

    def parse(self, written: Any) -> Any:
        """What the first fitting kind makes of it; the last kind's sentence where none fits."""
        for kind in self.kinds[:-1]:
            try:
                return kind.parse(written)
            except ValueError:
                continue
        return self.kinds[-1].parse(written)

    def schema(self) -> dict[str, Any]:
        """Any of the schemas."""
        return {"anyOf": [kind.schema() for kind in self.kinds]}

    def limits(self) -> str:
        """All the limits."""
        return "; ".join(filter(None, (kind.limits() for kind in self.kinds)))


@dataclasses.dataclass(frozen=True)
class Option:
    """One declared setting: its key, kind, default and meaning."""

    #: the dataclass field, with its unit: ``interval_s``
    name: str
    #: what people write: ``interval``
    key: str
    kind: Kind
    #: the value when it is not written, or `Required`
    default: Any
    #: one sentence for the reference page
    help: str


def option(
    kind: Kind,
    default: Any = Required,
    *,
    help: str,  # noqa: A002  # the word every option parser uses for it
    fresh: Callable[[], Any] | None = None,
) -> Any:
    """Declare one setting as a dataclass field.

    Args:
        kind: how it is written and checked.
        default: the value when it is not written, as ``kind.parse`` would return it.
        help: one sentence: what it does, and when to change it.
        fresh: makes the default anew each time, for defaults that can change (a dict).
    """
    metadata = {_KEY: (kind, help)}
    if fresh is not None:
        return dataclasses.field(default_factory=fresh, metadata=metadata)
    if default is Required:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def options_of(section: type) -> Sequence[Option]:
    """The settings a dataclass declares, in order; fields not made by `option` are passed over."""
    return [_declared(field) for field in dataclasses.fields(section) if _KEY in field.metadata]


def _declared(field: dataclasses.Field[Any]) -> Option:
    kind, meaning = field.metadata[_KEY]
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    elif default is dataclasses.MISSING:
        default = Required
    return Option(field.name, _key(field.name, kind), kind, default, meaning)


def _key(name: str, kind: Kind) -> str:
    """The written key: the unit stands in the value there, so not in the name."""
    kinds = kind.kinds if isinstance(kind, AnyOf) else (kind,)
    if any(isinstance(k, Duration) for k in kinds):
        return name.removesuffix("_s")
    return name.removesuffix("_bytes") if any(isinstance(k, Size) for k in kinds) else name


def _shown(written: Any) -> str:
    """What was written, quoted, and cut where it is long."""
    text = f"'{written}'" if isinstance(written, str) else repr(written)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 4]}...{text[-1]}"
