"""Collects what is wrong with a configuration, each with its place."""

from __future__ import annotations

import dataclasses
from typing import Any

import voluptuous as vol

from edge_agent.config.places import Path, Place, Problem, Spot, dotted
from edge_agent.config.shape import MOST_ERRORS, UnknownKey


@dataclasses.dataclass
class Findings:
    """The problems found so far in ``data``, of which each part stands at one of ``places``."""

    data: dict[str, Any]
    places: dict[Path, Spot]
    problems: list[Problem]

    @property
    def enough(self) -> bool:
        """Whether there is no use in looking for more."""
        return len(self.problems) > MOST_ERRORS

    def complain(self, path: Path, sentence: str) -> None:
        """Take note of a wrong value; where it was not written, its mapping is the place."""
        self.problems.append(Problem(self._spot(path).value, dotted(path, self.data), sentence))

    def report(self, invalid: vol.MultipleInvalid, path: Path = ()) -> None:
        """Take note of every error of voluptuous in what stands at ``path``."""
        for error in invalid.errors:
            inside = (*path, *map(_step, error.path))
            if isinstance(error, UnknownKey):
                place, key = self._spot(inside).key, dotted(inside, self.data)
                self.problems.append(Problem(place, key, error.msg))
            else:
                self.complain(inside, error.msg)

    def where(self, path: Path) -> Place:
        """Where the value stands."""
        return self._spot(path).value

    def _spot(self, path: Path) -> Spot:
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def _step(step: object) -> str | int:
    """A step of voluptuous' path; what is not a list position is a key, or stands for one."""
    return step if isinstance(step, int) else str(step)
