"""The configuration as JSON Schema (draft 2020-12), for editors that complete and underline.

It accepts whatever the checker accepts. It cannot refuse all that the checker refuses: ranges of
durations and sizes, what does not fit together, and the environment are beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edge_agent.config.channels import SensorCommon, Shaping
from edge_agent.config.model import Config
from edge_agent.config.sensors import REGISTRY, Drivers, sections_of
from edge_agent.config.shape import Section, properties
from edge_agent.options import Option, options_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ENVIRONMENT = {
    "type": "string",
    "pattern": r"\$",
    "description": "A text with ${NAME} from the environment in it; $$ is a dollar.",
}


def json_schema(drivers: Drivers = REGISTRY) -> dict[str, Any]:
    """The schema of agent.yaml, with the options of every sensor type there is.

    Args:
        drivers: where sensor types come from.
    """
    shared = properties(options_of(Shaping))["properties"]
    whole = Section(Config).schema()
    whole["properties"]["sensors"]["anyOf"] = [
        {"type": "array", "items": {"$ref": "#/$defs/sensor"}},
        {"type": "null"},
    ]
    return {
        "$schema": _DIALECT,
        "title": "Pyvorin edge agent",
        **whole,
        "$defs": {
            "environment": _ENVIRONMENT,
            **shared,
            "sensor": _referring(_sensor(drivers), shared),
        },
    }


def _referring(schema: Any, shared: Mapping[str, Any]) -> Any:
    """The schema, with a reference in place of each part that is one of those shared."""
    for name, part in shared.items():
        if schema == part:
            return {"$ref": f"#/$defs/{name}"}
    if isinstance(schema, dict):
        return {key: _referring(inner, shared) for key, inner in schema.items()}
    return [_referring(inner, shared) for inner in schema] if isinstance(schema, list) else schema


def _sensor(drivers: Drivers) -> dict[str, Any]:
    """What all sensors have, and for each type what its driver adds; nothing else."""
    sensor = properties(options_of(SensorCommon))
    # What a channel may have is said by each type.
    del sensor["properties"]["channels"]
    sensor["properties"]["type"] = {"enum": list(drivers.type_names())}
    sensor["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": properties(_added(drivers, name)),
        }
        for name in drivers.type_names()
    ]
    return sensor | {"unevaluatedProperties": False}


def _added(drivers: Drivers, name: str) -> Iterator[Option]:
    """The options of a type's driver, and its channels."""
    common, options = sections_of(drivers.find(name))
    yield from (option for option in options_of(common) if option.key == "channels")
    yield from (option for option in options_of(options) if option.key != "channels")
