"""How a setting is declared: the words configuration and drivers share.

A section of the configuration, or a driver's options, is a frozen dataclass whose fields are made
with `option`. That is the one declaration: the checker, the JSON Schema and the reference page are
read from it.

Where settings must agree with each other, the dataclass has a method ``conflicts()`` that yields a
`Conflict` for each thing that does not fit. It is asked about values that are right alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from edge_agent.kinds import (
    AnyOf,
    Choice,
    Duration,
    Flag,
    Kind,
    Labels,
    Number,
    Size,
    Step,
    Text,
    Whole,
)

__all__ = [
    "AnyOf",
    "Choice",
    "Conflict",
    "Duration",
    "Flag",
    "Kind",
    "Labels",
    "Number",
    "Option",
    "Required",
    "Size",
    "Step",
    "Text",
    "Whole",
    "option",
    "options_of",
]

#: The written keys that do not fit each other, the one to blame first, and what is wrong with it.
Conflict = tuple[tuple[str, ...], str]

_KEY = "edge_agent.option"


class Required:
    """The default of an option that has none."""


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
    key: str = "",
) -> Any:
    """Declare one setting as a dataclass field.

    Args:
        kind: how it is written and checked; a ``secret`` one stays out of the ``repr``.
        default: the value when it is not written, as ``kind.parse`` would return it.
        help: one sentence: what it does, and when to change it.
        fresh: makes the default anew each time, for defaults that can change (a dict).
        key: what people write, where it is not the field's name without its unit.
    """
    metadata = {_KEY: (kind, help, key)}
    shown = not kind.secret
    if fresh is not None:
        return dataclasses.field(default_factory=fresh, metadata=metadata, repr=shown)
    if default is Required:
        return dataclasses.field(metadata=metadata, repr=shown)
    return dataclasses.field(default=default, metadata=metadata, repr=shown)


def options_of(section: type) -> Sequence[Option]:
    """The settings a dataclass declares, in order; fields not made by `option` are passed over."""
    return [_declared(field) for field in dataclasses.fields(section) if _KEY in field.metadata]


def _declared(field: dataclasses.Field[Any]) -> Option:
    kind, meaning, key = field.metadata[_KEY]
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    elif default is dataclasses.MISSING:
        default = Required
    # The unit stands in the written value, so not in the written key.
    key = key or field.name.removesuffix(kind.suffix)
    return Option(field.name, key, kind, default, meaning)
