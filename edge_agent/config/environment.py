"""``${NAME}`` in a text stands for a value of the environment; ``$$`` is a dollar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.config.places import Path
from edge_agent.kinds import Expanded

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")


def expand(
    data: Any, environ: Mapping[str, str], complain: Callable[[Path, str], None], path: Path = ()
) -> Any:
    """A copy of the data with every text expanded; keys stay as they are.

    Args:
        data: what YAML made of the files.
        environ: the environment, by name.
        complain: told the path and a sentence for each name that is not set; such a text
            becomes None.
        path: where ``data`` stands.
    """
    if isinstance(data, dict):
        return {k: expand(v, environ, complain, (*path, k)) for k, v in data.items()}
    if isinstance(data, list):
        return [expand(v, environ, complain, (*path, i)) for i, v in enumerate(data)]
    if not isinstance(data, str) or "$" not in data:
        return data

    wrong = [found for found in _REFERENCE.finditer(data) if not _is_known(found, environ)]
    for found in wrong:
        complain(path, _missing(found))
    # Absent rather than half expanded: one mistake, one complaint.
    return None if wrong else Expanded(_REFERENCE.sub(lambda m: _value(m, environ), data), data)


def _is_known(found: re.Match[str], environ: Mapping[str, str]) -> bool:
    return found[0] == "$$" or (bool(found[2]) and found[1] in environ)


def _value(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return "$" if found[0] == "$$" else environ[found[1]]


def _missing(found: re.Match[str]) -> str:
    if not found[2]:
        return f"'{found[0]}' has no closing brace; write $$ where a dollar is meant"
    return (
        f"the environment has no {found[1]}; set it in /etc/default/pyvorin-agent, "
        "or write $$ where a dollar is meant"
    )
