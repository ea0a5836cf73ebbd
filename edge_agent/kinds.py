"""The kinds of value a setting can have: how each is written, checked and described.

Nothing here knows YAML, files or where a setting stands. A kind takes what was written and gives
back the value it means, or says in one sentence what is wrong and what would be right.
"""

from __future__ import annotations

import abc
import dataclasses
import math
import re
from decimal import Decimal
from typing import Any, Self

_LONGEST_SHOWN = 60
#: What a label may be, in the words of JSON Schema; an empty one counts as absent.
_SCALARS = ("string", "number", "boolean", "null")


class Expanded(str):
    """A text with the environment's values in it; a message shows it as it was ``written``.

    What stands in the environment may be a secret, so it must not reach a message.
    """

    __slots__ = ("written",)

    written: str

    def __new__(cls, value: str, written: str) -> Self:
        """``value`` is what it means, ``written`` what stands in the file: ``${NAME}``."""
        text = super().__new__(cls, value)
        text.written = written
        return text


class Kind(abc.ABC):
    """One kind of value: how people write it, what it becomes, what a schema says of it."""

    #: what a person would call it: "a duration"
    noun: str
    #: the unit that ends the attribute's name but not the written key, where the value carries it
    suffix: str = ""
    #: whether the value must stay out of every message and ``repr``
    secret: bool = False

    @abc.abstractmethod
    def parse(self, written: Any) -> Any:
        """The value meant by what was written.

        Args:
            written: what YAML made of it: bool, int, float, str, list or dict.

        Raises:
            ValueError: a sentence that says what is wrong and what would be right.
        """

    @abc.abstractmethod
    def schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of what may be written."""

    def write(self, value: Any) -> str:
        """How a person would write ``value`` in YAML; ``parse`` takes it back."""
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
        return str(written)

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
    noun = "a word"

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
class Step(Kind):
    """One of a few numbers in ``unit``, where the hardware knows no others."""

    steps: tuple[float, ...]
    unit: str = ""
    hexadecimal: bool = False
    noun = "a number"

    def parse(self, written: Any) -> float:
        """The number exactly as declared; 5 and 5.0 are the same one."""
        if isinstance(written, bool) or written not in self.steps:
            show = self.write if self.hexadecimal and type(written) is int else _shown
            raise ValueError(f"{show(written)} is not one of {self.limits()}")
        return self.steps[self.steps.index(written)]

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.steps)}

    def write(self, value: Any) -> str:
        """Decimal, or hexadecimal where that is the custom; the unit is the key's."""
        return f"0x{int(value):02x}" if self.hexadecimal else _decimal(value)

    def limits(self) -> str:
        """The numbers, with their unit."""
        return " · ".join(map(self.write, self.steps)) + f" {self.unit}".rstrip()


@dataclasses.dataclass(frozen=True)
class _Ranged(Kind):
    """A number within limits, both ends allowed."""

    least: float | None = None
    most: float | None = None

    def _within(self, value: float, shown: str) -> None:
        if self.least is not None and value < self.least:
            raise ValueError(f"{shown} is less than {self.write(self.least)}, the least allowed")
        if self.most is not None and value > self.most:
            raise ValueError(f"{shown} is more than {self.write(self.most)}, the most allowed")

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
        """The number; text, fractions and switches are refused, 1e3 is a thousand."""
        if isinstance(written, bool) or not isinstance(written, int | float) or written % 1 != 0:
            raise ValueError(f"{_shown(written)} is no whole number")
        value = int(written)
        self._within(value, self.write(value))
        return value

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
        if not math.isfinite(written):
            raise ValueError(f"{written} is not a finite number")
        self._within(written, str(written))
        return float(written)

    def schema(self) -> dict[str, Any]:
        """A number with its bounds."""
        return {"type": "number"} | self._bounds()

    def write(self, value: Any) -> str:
        """Shortest decimal form; the unit is the key's, not the value's."""
        return _decimal(value)

    def limits(self) -> str:
        """The range, with its unit."""
        return f"{super().limits()} {self.unit}".strip()


@dataclasses.dataclass(frozen=True)
class _Quantity(_Ranged):
    """A number with a unit glued to it, as one word: ``30s``, ``512MiB``."""

    units: tuple[tuple[str, float], ...] = ()
    usual: str = ""

    def parse(self, written: Any) -> float:
        """The quantity in the base unit; a bare number gets the sentence that offers a unit."""
        if isinstance(written, int | float) and not isinstance(written, bool):
            raise ValueError(f"{written} has no unit; did you mean '{written}{self.usual}'?")
        text = written if isinstance(written, str) else ""
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([A-Za-z]+)", text)
        if match is None:
            raise ValueError(
                f"{_shown(written)} is not {self.noun}; write it like '30{self.usual}'"
            )
        factor = dict(self.units).get(match[2])
        if factor is None:
            known = ", ".join(unit for unit, _ in self.units)
            raise ValueError(f"{_shown(written)} has an unknown unit; known are {known}")
        value = float(match[1]) * factor
        self._within(value, _shown(written))
        return value

    def schema(self) -> dict[str, Any]:
        """A string of a number and a unit; the range cannot be said in JSON Schema."""
        units = "|".join(unit for unit, _ in self.units)
        return {"type": "string", "pattern": rf"^[0-9]{{1,15}}(\.[0-9]{{1,15}})? ?({units})$"}

    def write(self, value: Any) -> str:
        """In the largest unit that leaves a whole number."""
        if value == 0:
            return f"0{self.usual}"
        for unit, factor in sorted(self.units, key=lambda pair: -pair[1]):
            count = value // factor
            # Floats: 0.5 s is 500 ms only if the way back arrives at exactly 0.5.
            for whole in (count, count + 1):
                if whole * factor == value:
                    return f"{whole:.0f}{unit}"
        return f"{_decimal(value)}{self.units[0][0]}"


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
    suffix = "_s"


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
    suffix = "_bytes"

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
        given = {key: value for key, value in written.items() if value is not None}
        for key, value in given.items():
            if not isinstance(value, str | int | float | bool):
                raise ValueError(f"the label '{key}' must be a text, a number or a switch")
        return {k: str(v) if isinstance(v, str) else v for k, v in given.items()}

    def schema(self) -> dict[str, Any]:
        """An object of scalars."""
        return {"type": "object", "additionalProperties": {"type": list(_SCALARS)}}

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

    @property
    def suffix(self) -> str:  # type: ignore[override]  # as noun
        """The suffix of the kind that has one."""
        return "".join(kind.suffix for kind in self.kinds)

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


def _decimal(value: float) -> str:
    """Every digit that matters and no exponent: the way back arrives at the same float."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(written: Any) -> str:
    """What was written, quoted, and cut where it is long."""
    if isinstance(written, Expanded):
        written = written.written
    text = f"'{written}'" if isinstance(written, str) else repr(written)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 4]}...{text[-1]}"
