"""The few words with which the commands' JSON Schemas are written (draft 2020-12).

A later version of a command may add properties. One that takes any away, or changes a meaning,
raises ``version``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
COUNT = {"type": "integer"}
NUMBER = {"type": "number"}


def object_of(**properties: Any) -> dict[str, Any]:
    """An object with all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def by_name(values: Any, meaning: str) -> dict[str, Any]:
    """An object whose keys are names, of sensors or others."""
    return {"type": "object", "additionalProperties": values, "description": meaning}


def list_of(items: Any) -> dict[str, Any]:
    """An array of these."""
    return {"type": "array", "items": items}


def said(schema: Mapping[str, Any], meaning: str) -> dict[str, Any]:
    """The same with a description."""
    return {**schema, "description": meaning}


def or_null(kind: str, meaning: str) -> dict[str, Any]:
    """A type, or null where there is nothing."""
    return {"type": [kind, "null"], "description": meaning}


def either(title: str, *lines: Any) -> dict[str, Any]:
    """What each line is that a command prints: one of these objects."""
    versioned = [line | object_of(version={"const": 1}, **line["properties"]) for line in lines]
    return {"$schema": _DIALECT, "title": title, "anyOf": versioned}


def whole(title: str, **properties: Any) -> dict[str, Any]:
    """All of what a command prints."""
    return {"$schema": _DIALECT, "title": title, **object_of(version={"const": 1}, **properties)}
