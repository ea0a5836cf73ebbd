"""What ``sensors … --json`` prints, as JSON Schema (draft 2020-12); ``--json-schema`` shows it.

A later version may add properties. One that takes any away, or changes a meaning, raises
``version``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer"}


def _object(**properties: Any) -> dict[str, Any]:
    """An object with all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _said(schema: Mapping[str, Any], meaning: str) -> dict[str, Any]:
    return {**schema, "description": meaning}


def _or_null(kind: str, meaning: str) -> dict[str, Any]:
    return {"type": [kind, "null"], "description": meaning}


def _whole(title: str, **properties: Any) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": title, **_object(version={"const": 1}, **properties)}


TYPES = _whole(
    "pyvorin-agent sensors types --json",
    types=_list(
        _object(
            type=_said(_TEXT, "What `type:` in the configuration says."),
            broken=_or_null("string", "Why a plugin cannot be used; null: it can."),
            summary=_TEXT,
            wiring=_TEXT,
            channels=_list(
                _object(name=_said(_TEXT, "Empty where there is just one."), unit=_TEXT)
            ),
            options=_list(
                _object(
                    key=_said(_TEXT, "NAME stands for a channel's name."),
                    written=_said(_TEXT, "How the value is written, and its range."),
                    default=_said(_TEXT, "As it would be written; empty where there is none."),
                    required=_FLAG,
                    meaning=_TEXT,
                )
            ),
        )
    ),
)

READ = _whole(
    "pyvorin-agent sensors read --json",
    running=_said(_FLAG, "Whether these are a running agent's last readings."),
    sensors=_list(
        _object(
            name=_TEXT,
            readings=_list(
                _object(
                    sensor_name=_TEXT,
                    timestamp=_said({"type": "number"}, "Unix seconds."),
                    age_s=_said({"type": "number"}, "How long ago that was."),
                    value={"type": ["number", "boolean", "string"]},
                    unit=_TEXT,
                    metadata={"type": "object"},
                )
            ),
            faults=_said(
                {"type": "object", "additionalProperties": _TEXT},
                "What is wrong, by the sensor's or a channel's name; empty: nothing.",
            ),
        )
    ),
)

SCAN = _whole(
    "pyvorin-agent sensors scan --json",
    buses=_list(
        _object(
            bus=_said({"type": ["integer", "string"]}, "As `bus:` in the configuration says it."),
            label=_said(_TEXT, "What the kernel calls it."),
            searched=_said(_FLAG, "Whether its addresses were asked."),
            error=_or_null("string", "Why the search did not come to its end."),
            chips=_list(
                _object(
                    address=_COUNT,
                    asked=_said(_FLAG, "False: it was left alone."),
                    driver=_or_null("string", "The kernel driver that owns it."),
                    through=_or_null("string", "The sensor type that reads it through the kernel."),
                    sensor=_or_null("string", "The configured sensor that it belongs to."),
                    types=_said(_list(_TEXT), "The sensor types at home there, likeliest first."),
                )
            ),
        )
    ),
    kernel=_list(
        _object(
            type=_TEXT,
            options=_said({"type": "object"}, "What else the configuration has to say."),
            what=_TEXT,
            sensor=_or_null("string", "The configured sensor that reads it."),
        )
    ),
)
