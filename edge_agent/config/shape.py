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
        return _said(self.section.parse, {} if written is None else written)


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
    if any(way.get("type") == "string" or "enum" in way for way in ways):
        ways.append({"$ref": "#/$defs/environment"})
    return {"anyOf": ways}


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
            right[option.key] = _said(option.kind.parse, written)
        elif option.default is Required:
            raise vol.Invalid("is empty, and has no default")

    return kept


def _said(parse: Callable[[Any], Any], written: Any) -> Any:
    """What a kind makes of it; voluptuous would put a sentence of its own in place of its error."""
    try:
        return parse(written)
    except ValueError as error:
        raise vol.Invalid(str(error)) from None


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
