"""The kernel's files, planted from a list: links lead around in circles, and reading can fail."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_agent.sensors.base import read_file


class FakeSysfs:
    """Reads the files below ``root``, as `read_file`; no plain file can fail as the kernel's do."""

    def __init__(self, root: Path, errors: Mapping[str, str] | None = None) -> None:
        """Begin.

        Args:
            root: where they are.
            errors: the errno's name by the path, without links, from the root.
        """
        self.root = root
        self.errors = dict(errors or {})
        #: what happens, once, before a file is read, by the path: a plug is pulled
        self.before: dict[str, Callable[[], object]] = {}
        #: every path that was read
        self.reads: list[str] = []

    def __call__(self, path: Path) -> bytes:
        name = os.path.relpath(os.path.realpath(path), os.path.realpath(self.root))
        self.reads.append(name)
        self.before.pop(name, lambda: None)()
        if name in self.errors:
            number = getattr(errno, self.errors[name])
            raise OSError(number, os.strerror(number), str(path))
        return read_file(path)


def plant(folder: Path, root: Path) -> FakeSysfs:
    """The tree of a case: ``tree.json`` has a text, a link or an errno by each path.

    Args:
        folder: where the case is.
        root: an empty folder, or one to be made.
    """
    tree = json.loads((folder / "tree.json").read_text(encoding="utf-8"))
    errors = {}
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case {"link": target}:
                path.symlink_to(target)
            case {"errno": error}:
                errors[name] = error
                path.touch()
            case text:
                path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return FakeSysfs(root, errors)
