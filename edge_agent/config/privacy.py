"""What of a reading is kept from the disk and the wire: the declaration, and its kinds of value."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import voluptuous as vol

from edge_agent.config.secret_kinds import SecretFile
from edge_agent.config.shape import did_you_mean, or_empty
from edge_agent.kinds import Expanded, Kind, Text, Whole
from edge_agent.options import Conflict, option
from edge_agent.processing.kinds import Several

#: Without these a server could not tell which reading it has, of when, and how good its time is.
_UNTOUCHED = ("sensor_name", "timestamp", "metadata.clock")
#: Decimal places; a float has no more than 15 that count (IEEE 754), negative ones round to tens.
_DIGITS = Whole(-9, 15)


@dataclasses.dataclass(frozen=True)
class Field(Kind):
    """The path of one field of a reading: ``metadata.NAME``, or one of the ``others``."""

    #: what is done to it: ``dropped``
    done: str
    #: fields besides those of the metadata that this can be done to
    others: tuple[str, ...] = ()
    noun = "a field"

    def parse(self, written: Any) -> str:
        """The path as it was written."""
        path = Text().parse(written)
        # What stands in the environment may be a secret, so it must not reach a message.
        shown = written.written if isinstance(written, Expanded) else path
        root, _, name = path.partition(".")
        if path in (*_UNTOUCHED, "value", "unit") and path not in self.others:
            raise ValueError(f"'{shown}' cannot be {self.done}; what can is {self.limits()}")
        if path not in self.others and (root != "metadata" or not name):
            raise ValueError(
                f"'{shown}' is no field{_near(shown)}; what can be {self.done} is {self.limits()}"
            )
        return path

    def schema(self) -> dict[str, Any]:
        """A string that begins as a field does, or one from the environment."""
        ways = "|".join((*self.others, r"metadata\.(?!clock$).+"))
        path = {"type": "string", "pattern": f"^(?:{ways})$"}
        return {"anyOf": [path, {"$ref": "#/$defs/environment"}]}

    def limits(self) -> str:
        """Which fields."""
        return " or ".join((*self.others, "metadata.NAME"))


@dataclasses.dataclass(frozen=True)
class Rounding(Kind):
    """Fields, and the decimal places that their numbers keep."""

    field: Field
    noun = "a mapping of fields to decimal places"

    def parse(self, written: Any) -> dict[str, int]:
        """The decimal places by path; every wrong one is told, each with its place."""
        if not isinstance(written, dict):
            raise ValueError("is no mapping; write it like {metadata.lat: 2}")
        values, errors = {}, []
        for path, digits in written.items():
            if digits is None:
                continue
            try:
                values[self.field.parse(path)] = _DIGITS.parse(digits)
            except ValueError as error:
                errors.append(vol.Invalid(str(error), [path]))
        if errors:
            raise vol.MultipleInvalid(errors)
        return values

    def schema(self) -> dict[str, Any]:
        """An object of such fields."""
        names = {"propertyNames": self.field.schema()}
        return {"type": "object", **names, "additionalProperties": or_empty(_DIGITS)}

    def write(self, value: Any) -> str:
        """As an inline YAML mapping."""
        return "{" + ", ".join(f"{path}: {digits}" for path, digits in value.items()) + "}"

    def limits(self) -> str:
        """Which fields, and how many places."""
        return f"{self.field.limits()}, {_DIGITS.limits()}"


@dataclasses.dataclass(frozen=True)
class Privacy:
    """What of a reading never reaches the disk as it was read; a field stands in one list only."""

    drop: tuple[str, ...] = option(
        Several(Field("dropped", ("unit",))), (), help="Fields that are taken out of every reading."
    )
    hash: tuple[str, ...] = option(
        Several(Field("hashed")),
        (),
        help="Fields replaced by their HMAC-SHA-256 under the key, as 64 hexadecimal digits; "
        "dropped while there is no key.",
    )
    round: Mapping[str, int] = option(
        Rounding(Field("rounded")),
        help="Numbers are rounded to that many decimal places; what is no number stays as it is.",
        fresh=dict,
    )
    key_file: str | None = option(
        SecretFile(),
        None,
        help="The file with the key for hash, at least 16 bytes; share one for a fleet. Absent: "
        "privacy.key beside the queue's file, made at first need.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        """One field, one fate."""
        earlier: dict[str, str] = {}
        lengths: set[int] = set()
        for key, paths in (("drop", self.drop), ("hash", self.hash), ("round", self.round)):
            for path in paths:
                above = (path[:end] for end in sorted(lengths) if path[end : end + 1] in ("", "."))
                other = next((name for name in above if name in earlier), None)
                if other:
                    yield (key,), f"names {path}, but {earlier[other]} names {other}; keep one"
                earlier.setdefault(path, key)
                lengths.add(len(path))


def _near(path: str) -> str:
    """The field that may be meant, as a question: one of a reading, or a label without its root."""
    root, _, name = path.partition(".")
    if root == "metadata":
        return ""
    return did_you_mean(path, (f"metadata.{name or root}", "unit", "value"))
