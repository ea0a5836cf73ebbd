"""What may stand in a mapping: kinds made of other kinds, walked by voluptuous.

voluptuous compares keys, calls the kinds and gathers every error with its path; what it cannot know
is added here: an empty value counts as absent, an unknown key gets a suggestion, and settings that
are right alone may not fit each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import voluptuous as vol

from edge_agent.kinds import Kind
from edge_agent.options import Conflict, Option, Required, options_of
from edge_agent.processing.kinds import Several

#: More than anybody mends at once are not looked for: each costs time, and a line in the journal.
MOST_ERRORS = 1000


class UnknownKey(vol.Invalid):
    """A key that no setting has; its place is the key itself, not the value."""


@dataclasses.dataclass(frozen=True)
class Section(Kind):
    """A mapping whose keys a dataclass declares.

    `parse` raises ``voluptuous.MultipleInvalid``, which carries every error with its path.
    """

    of: type
    #: one value of this kind, written in place of the mapping, stands for all of its keys
    shorthand: Kind | None = None

    @property
    def noun(self) -> str:  # type: ignore[override]  # a plain text in most kinds, made up here
        """With the shorthand's noun, where there is one."""
        return f"{self.shorthand.noun} or a mapping" if self.shorthand else "a mapping"

    def parse(self, written: Any) -> Any:
        """The dataclass, built from what was written."""
        if self.shorthand is not None and not isinstance(written, dict):
            value = self.shorthand.parse(written)
            return self.of(**{option.name: value for option in options_of(self.of)})
        return assemble(written, self.of)[0]

    def schema(self) -> dict[str, Any]:
        """An object of the declared properties and no others."""
        mapping = properties(options_of(self.of)) | {"additionalProperties": False}
        if self.shorthand is None:
            return mapping
        return {"anyOf": [self.shorthand.schema(), mapping]}


@dataclasses.dataclass(frozen=True)
class Brief(Section):
    """A section that one value may stand for: that of its key ``short``.

    Where it has no other key, nothing but that value is written.
    """

    short: str = ""

    @property
    def noun(self) -> str:  # type: ignore[override]  # as in Section
        """With that of the value."""
        return self._value.noun + ("" if self.is_value else ", or a mapping")

    @property
    def is_value(self) -> bool:
        """Whether nothing but the value may be written."""
        return len(options_of(self.of)) == 1

    def limits(self) -> str:
        """Those of the value."""
        return self._value.limits()

    def parse(self, written: Any) -> Any:
        """The dataclass; what is wrong with a value is said of the section."""
        if isinstance(written, dict) and not self.is_value:
            return super().parse(written)
        try:
            return super().parse({self.short: written})
        except vol.MultipleInvalid as invalid:
            for error in invalid.errors:
                error.path[:] = error.path[1:]
            raise

    def schema(self) -> dict[str, Any]:
        """Of the value, or an object."""
        ways = or_empty(self._value)["anyOf"]
        return {"anyOf": ways if self.is_value else [*ways, super().schema()]}

    @property
    def _value(self) -> Kind:
        return next(option.kind for option in options_of(self.of) if option.key == self.short)


@dataclasses.dataclass(frozen=True)
class OneOf(Section):
    """A mapping of a single key; it means what is written there."""

    noun: str = "a mapping"
    #: how one is written
    example: str = ""

    def parse(self, written: Any) -> Any:
        """What the one key's kind makes of its value."""
        if not isinstance(written, dict):
            raise ValueError(f"is not {self.noun}; write it like {self.example}")
        if len(written) != 1:
            raise ValueError(
                f"has {len(written)} keys; {self.noun} has one, as in {self.example}, "
                "and the next begins with '- '"
            )
        built = super().parse(written)
        chosen = [getattr(built, option.name) for option in options_of(self.of)]
        for value in chosen:
            if value is not None:
                return value
        raise vol.Invalid("is empty; say what it is to do", list(written))

    def schema(self) -> dict[str, Any]:
        """An object of one of the declared properties."""
        return super().schema() | {"minProperties": 1, "maxProperties": 1}


@dataclasses.dataclass(frozen=True)
class Named(Kind):
    """A mapping of names that people choose to sections of one kind."""

    section: Section
    noun = "a mapping of names"

    def parse(self, written: Any) -> Any:
        """A dictionary of name to section, in the order written."""
        return _walk(vol.Schema({str: self._one}), written)

    def schema(self) -> dict[str, Any]:
        """An object whose every property is such a section."""
        return {"type": "object", "additionalProperties": or_empty(self.section)}

    def _one(self, written: Any) -> Any:
        return _said(self.section, {} if written is None else written)


@dataclasses.dataclass(frozen=True)
class Items(Kind):
    """A list; what may stand in it depends on more than a declaration can say."""

    noun = "a list"

    def parse(self, written: Any) -> list[Any]:
        """The list as it was written."""
        if not isinstance(written, list):
            raise ValueError("is no list; begin each item with '- '")
        return written

    def schema(self) -> dict[str, Any]:
        """Any list."""
        return {"type": "array"}


def assemble(written: Any, *sections: type, others: bool = False) -> list[Any]:
    """One instance of each of the ``sections``, whose keys stand side by side in one mapping.

    Args:
        written: what YAML made of the mapping.
        sections: dataclasses made with `option`; a key that two declare alike is given to both.
        others: whether keys that none of them declares are let pass.

    Raises:
        voluptuous.MultipleInvalid: every error, with its path; also values that are right alone
            and do not fit each other, as the section's ``conflicts`` says.
    """
    declared = {option.key: option for section in sections for option in options_of(section)}
    right: dict[str, Any] = {}
    schema = vol.Schema(
        {_marked(option): _kept(option, right) for option in declared.values()},
        extra=vol.ALLOW_EXTRA if others else vol.PREVENT_EXTRA,
    )
    errors: list[vol.Invalid] = []
    try:
        _walk(schema, written, declared)
    except vol.MultipleInvalid as invalid:
        errors.extend(invalid.errors)
    wrong = {str(step) for error in errors for step in error.path[:1]}
    built = [_built(section, right) for section in sections]
    for instance in built:
        errors.extend(_conflicts(instance, wrong))
    if errors:
        raise vol.MultipleInvalid(errors)
    return built


def properties(options: Iterable[Option]) -> dict[str, Any]:
    """The JSON Schema of a mapping with these settings, open to others."""
    options = list(options)
    required = [option.key for option in options if option.default is Required]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {o.key: or_empty(o.kind) | {"description": o.help} for o in options},
    }
    return schema | ({"required": required} if required else {})


def or_empty(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of a setting: of its kind, or empty, or a text from the environment."""
    schema = kind.schema()
    ways = [*schema.get("anyOf", [schema]), {"type": "null"}]
    if isinstance(kind, Several):
        ways[0] = ways[0] | {"items": or_empty(kind.of)}
    if any(way.get("type") == "string" or "enum" in way for way in ways):
        ways.append({"$ref": "#/$defs/environment"})
    return {"anyOf": ways}


def inside(kind: Kind) -> tuple[str, type] | None:
    """What leads to the keys that stand in a setting, and the dataclass that declares them."""
    if isinstance(kind, Several) and (found := inside(kind.of)):
        return f"[]{found[0]}", found[1]
    if isinstance(kind, Named):
        return ".NAME.", kind.section.of
    if isinstance(kind, Section) and not (isinstance(kind, Brief) and kind.is_value):
        return ".", kind.of
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` with the nearest of the known words, or nothing."""
    # Only a mistake needs it, so a good configuration does not pay for the import.
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _marked(option: Option) -> vol.Marker:
    return vol.Required(option.key) if option.default is Required else vol.Optional(option.key)


def _kept(option: Option, right: dict[str, Any]) -> Callable[[Any], None]:
    """Parses a value as voluptuous calls it, and keeps what is right under the option's key.

    (voluptuous gives back nothing of a mapping in which one value is wrong.)
    """

    def kept(written: Any) -> None:
        if written is not None:
            right[option.key] = _said(option.kind, written)
        elif option.default is Required:
            raise vol.Invalid("is empty, and has no default")

    return kept


def _said(kind: Kind, written: Any) -> Any:
    """What a kind makes of it; voluptuous would put a sentence of its own in place of its error."""
    try:
        return _each(kind, written) if isinstance(kind, Several) else kind.parse(written)
    except ValueError as error:
        raise vol.Invalid(str(error)) from None


def _each(kind: Several, written: Any) -> tuple[Any, ...]:
    """What a list's kind makes of each item, or every error of every item, with its path."""
    items = kind.items(written)
    right: list[Any] = []
    errors: list[vol.Invalid] = []
    for index, item in enumerate(items):
        if len(errors) > MOST_ERRORS:
            break
        try:
            right.append(_said(kind.of, item))
        except vol.Invalid as invalid:
            # One that stands alone has no place in a list.
            invalid.prepend([index] if items is written else [])
            errors.extend(getattr(invalid, "errors", [invalid]))
    if errors:
        raise vol.MultipleInvalid(errors)
    return tuple(right)


def _built(section: type, values: Mapping[str, Any]) -> Any:
    """The dataclass; what is absent takes its default; None where that is not possible."""
    options = options_of(section)
    if any(option.default is Required and option.key not in values for option in options):
        return None
    return section(**{o.name: values[o.key] for o in options if o.key in values})


def _conflicts(built: Any, wrong: set[str]) -> Iterator[vol.Invalid]:
    """What does not fit together, among values that are right alone."""
    conflicts: Callable[[], Iterable[Conflict]] = getattr(built, "conflicts", tuple)
    for keys, sentence in conflicts():
        if not wrong.intersection(keys):
            yield vol.Invalid(sentence, [keys[0]])


def _walk(schema: vol.Schema, written: Any, declared: dict[str, Option] | None = None) -> Any:
    """What voluptuous makes of it; what it says of this mapping's own keys, said better."""
    try:
        return schema(written)
    except vol.MultipleInvalid as invalid:
        errors = [_explained(error, declared or {}) for error in invalid.errors]
        raise vol.MultipleInvalid(errors) from None


def _explained(error: vol.Invalid, declared: dict[str, Option]) -> vol.Invalid:
    if isinstance(error, vol.DictInvalid) and not error.path:
        return vol.Invalid("is no mapping of keys to values", [])
    if len(error.path) != 1:
        return error
    key = str(error.path[0])
    if isinstance(error, vol.RequiredFieldInvalid):
        return vol.Invalid("is missing, and has no default", [key])
    if declared and key not in declared:
        return UnknownKey(f"is unknown{did_you_mean(key, declared)}", [key])
    return error
