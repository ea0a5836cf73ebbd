"""The commands as argparse knows them, and the schemas they publish of their ``--json``."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from scripts import command_tree

#: Every command, without the groups.
LEAVES = {
    " ".join(one.words): one
    for one in command_tree.everything(command_tree.root())
    if not one.below()
}
#: What each prints with ``--json-schema``.
SCHEMAS: dict[str, Any] = {
    name: action.const
    for name, one in LEAVES.items()
    for action in one.arguments()
    if "--json-schema" in action.option_strings
}


def facts_in(printed: str, name: str) -> Any:
    """What a command printed as JSON, all of it published.

    A later version may add properties, and says so in its schema: here nothing may be that is not.
    """
    facts = json.loads(printed)
    Draft202012Validator(_closed(SCHEMAS[name])).validate(facts)
    return facts


def _closed(schema: Any) -> Any:
    """The same with no property but those that are named."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _closed(part) for name, part in schema.items()}
    return parts | {"additionalProperties": False} if "required" in schema else parts
