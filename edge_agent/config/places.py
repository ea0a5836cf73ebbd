"""Where something stands in a file, and how a problem there is printed."""

from __future__ import annotations

import dataclasses

#: The keys and list positions that lead to a value.
Path = tuple[str | int, ...]
#: As long as a sensor's name may be.
_LONGEST_WORD = 100


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file; line and column count from 1, and are 0 where the whole file is meant."""

    #: position of the file in the order of reading, so that places sort as people read
    order: int
    file: str = dataclasses.field(compare=False)
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    """Where a key and its value stand; in a list the two are one."""

    key: Place
    value: Place


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    #: dotted path of keys; empty where the file as a whole is meant
    key: str
    sentence: str

    def __str__(self) -> str:
        line = ": ".join(filter(None, (str(self.place), self.key, self.sentence)))
        # A line break in what was written must not look like another problem.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def dotted(path: Path, data: object = None) -> str:
    """The path as people write it: ``upload.tls.ca_file``, ``sensors[3].name``.

    Args:
        path: keys and list positions.
        data: what the path leads through; list items that have a ``name`` are called by it.
    """
    words: list[str] = []
    for step in path:
        data = _inside(data, step)
        if isinstance(step, str):
            words.append(_cut(step))
        elif isinstance(data, dict) and isinstance(data.get("name"), str):
            words.append(_cut(data["name"]))
        else:
            words[-1:] = [f"{words[-1] if words else ''}[{step}]"]
    return ".".join(words)


def _cut(word: str) -> str:
    """A key or a name; of one that is far too long, all of the problems inside would repeat it."""
    return word if len(word) <= _LONGEST_WORD else f"{word[: _LONGEST_WORD - 3]}..."


def _inside(data: object, step: str | int) -> object:
    """One step down, or None where there is nothing."""
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return None
