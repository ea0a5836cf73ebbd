"""Several files as one: mappings merge, sensors append, and nothing is silently overruled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from edge_agent.config.document import Document
from edge_agent.config.places import Path, Problem, Spot, dotted

_SENSORS = "sensors"


@dataclasses.dataclass
class Merged:
    """What the files say together, where each part stands, and what was given twice."""

    data: dict[str, Any] = dataclasses.field(default_factory=dict)
    places: dict[Path, Spot] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def add(self, document: Document) -> None:
        """Lay one more file over it; the data of a file without any is empty."""
        addition = document.data or {}
        already = self.data.get(_SENSORS)
        shift = len(already) if isinstance(already, list) else 0
        spots = {_shifted(path, shift): spot for path, spot in document.places.items()}
        self._lay(self.data, addition, (), spots)
        self.places = spots | self.places

    def _lay(
        self, below: dict[str, Any], above: dict[str, Any], path: Path, spots: dict[Path, Spot]
    ) -> None:
        for key, value in above.items():
            inside = (*path, key)
            present = below.get(key)
            if present is None:
                below[key] = value
                # An empty value counts as absent, so the place that counts is the new one.
                self.places.pop(inside, None)
            elif isinstance(present, dict) and isinstance(value, dict):
                self._lay(present, value, inside, spots)
            elif inside == (_SENSORS,) and isinstance(present, list) and isinstance(value, list):
                present.extend(value)
            elif value is not None:
                sentence = f"is given twice; the first is at {self.places[inside].key}"
                self.problems.append(Problem(spots[inside].key, dotted(inside), sentence))


def merge(documents: Sequence[Document]) -> Merged:
    """The documents as one, in the order given; their own problems come along."""
    merged = Merged()
    for document in documents:
        merged.problems.extend(document.problems)
        merged.add(document)
    return merged


def _shifted(path: Path, shift: int) -> Path:
    """The path after the sensors of earlier files took the first positions."""
    if len(path) > 1 and path[0] == _SENSORS and isinstance(path[1], int):
        return (_SENSORS, path[1] + shift, *path[2:])
    return path
