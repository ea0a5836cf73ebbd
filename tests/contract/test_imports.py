"""The corridor has one direction: who may import, ask and catch what, read from the source itself.

Each rule is a function from one module to sentences about what breaks it, and each has a test that
shows it can fail.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "edge_agent"

#: What a vocabulary module may import of ours: nothing, but for the two halves of the options.
VOCABULARY = {
    "types": set(),
    "errors": set(),
    "clock": set(),
    "events": set(),
    "files": set(),
    "kinds": set(),
    "options": {"kinds"},
}
ROOMS = ("sensors", "processing", "cloud_sync")
HARDWARE = {"smbus2", "gpiozero", "lgpio", "spidev", "RPi", "pigpio"}
WALL_CLOCK = {
    "time.time",
    "time.time_ns",
    "time.CLOCK_REALTIME",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
#: These read it when they are called with no more than so many arguments, else they only convert.
WALL_CLOCK_BY_DEFAULT = {"time.ctime": 0, "time.gmtime": 0, "time.localtime": 0, "time.strftime": 1}
#: The loop of each thread, and the command line's outermost frame; once in each.
CATCH_ALL = ("daemon/worker.py", "daemon/readers.py", "cli/main.py")


@dataclasses.dataclass
class Import:
    """One imported module or name."""

    #: dotted, absolute: ``edge_agent.types.Priority``
    name: str
    #: the name it has here, and what that name stands for: `import a.b` gives a name to a
    alias: str
    meaning: str
    line: int
    #: whether it stands inside a function
    lazy: bool


@dataclasses.dataclass
class Module:
    """One source file of the package."""

    #: from the package's folder: ``sensors/i2c.py``
    path: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, source: str) -> Module:
        return cls(path, ast.parse(source, path))

    @property
    def room(self) -> str:
        """``sensors``, or ``types`` for the module that stands alone."""
        return self.path.split("/")[0].removesuffix(".py")

    @functools.cached_property
    def nodes(self) -> list[tuple[ast.AST, bool]]:
        """All of it, from the outside in, and whether each stands inside a function."""
        found = []
        left: collections.deque[tuple[ast.AST, bool]] = collections.deque([(self.tree, False)])
        while left:
            node, lazy = left.popleft()
            found.append((node, lazy))
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            left.extend((child, inside) for child in ast.iter_child_nodes(node))
        return found

    @functools.cached_property
    def imports(self) -> list[Import]:
        return list(self._imports())

    def _imports(self) -> Iterator[Import]:
        for node, lazy in self.nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    top = name.name.split(".")[0]
                    alias, meaning = (name.asname, name.name) if name.asname else (top, top)
                    yield Import(name.name, alias, meaning, node.lineno, lazy)
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    full = f"{self._origin(node)}.{name.name}"
                    alias = name.asname or name.name
                    yield Import(full, alias, full, node.lineno, lazy)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        folders = ["edge_agent", *self.path.split("/")[:-1]]
        kept = folders[: len(folders) - node.level + 1]
        return ".".join([*kept, *filter(None, [node.module])])

    def ours(self) -> Iterator[tuple[str, int]]:
        """The rooms, or modules that stand alone, that it imports from, with the line."""
        for found in self.imports:
            parts = found.name.split(".")
            if parts[0] == "edge_agent" and len(parts) > 1 and not parts[1].startswith("__"):
                yield parts[1], found.line


def one_way_imports(module: Module) -> Iterator[str]:
    """Rule 1: the vocabulary imports nothing of ours; a room imports the vocabulary and itself."""
    if module.room in VOCABULARY:
        allowed = VOCABULARY[module.room]
    elif module.room in ROOMS:
        allowed = {module.room, *VOCABULARY}
    else:
        return
    for name, line in module.ours():
        if name not in allowed:
            yield f"{module.path}:{line} imports {name}"


def libraries_in_their_place(module: Module) -> Iterator[str]:
    """Rule 2: SQLite, HTTP and hardware each have one door."""
    for found in module.imports:
        library = found.name.split(".")[0]
        in_place = {
            "sqlite3": module.room in ("cloud_sync", "receiver"),
            "requests": module.path.startswith("cloud_sync/uploader"),
            **dict.fromkeys(HARDWARE, module.room == "sensors" and found.lazy),
        }
        if not in_place.get(library, True):
            yield f"{module.path}:{found.line} imports {library}"


def wall_clock_in_one_place(module: Module) -> Iterator[str]:
    """Rule 2: only clock.py reads the wall clock, by whatever name it was imported."""
    if module.path == "clock.py":
        return
    meanings = {found.alias: found.meaning for found in module.imports}
    if not any(meaning.split(".")[0] in ("time", "datetime") for meaning in meanings.values()):
        return
    for node, _ in module.nodes:
        if isinstance(node, ast.Attribute | ast.Name):
            name = _dotted(node, meanings)
            if name in WALL_CLOCK:
                yield f"{module.path}:{node.lineno} uses {name}"
        elif isinstance(node, ast.Call):
            name = _dotted(node.func, meanings)
            if len(node.args) <= WALL_CLOCK_BY_DEFAULT.get(name, -1):
                yield f"{module.path}:{node.lineno} uses {name}"


def _dotted(node: ast.expr, meanings: dict[str, str]) -> str:
    """The full name of ``node``, as far as imports tell."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, meanings)}.{node.attr}"
    return meanings.get(node.id, "") if isinstance(node, ast.Name) else ""


def catch_all_in_three_places(module: Module) -> Iterator[str]:
    """Rule 4: what is not expected is caught where a thread or the command would end, once each.

    Cleaning up after ``except BaseException`` and raising it again catches nothing.
    """
    places = [line for node, _ in module.nodes for line in _catches_all(node)]
    for line in places[1 if module.path in CATCH_ALL else 0 :]:
        yield f"{module.path}:{line} catches every exception"


def _catches_all(node: ast.AST) -> Iterator[int]:
    if isinstance(node, ast.ExceptHandler):
        if node.type is None or (_names_all(node.type) and not _cleans_up(node)):
            yield node.lineno
    elif isinstance(node, ast.Call) and _last_name(node.func) == "suppress":
        yield from (node.lineno for caught in node.args if _names_all(caught))


def _last_name(node: ast.expr) -> str:
    """``suppress`` of both ``suppress`` and ``contextlib.suppress``."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _cleans_up(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return (
        raises_again and handler.type is not None and ast.unparse(handler.type) == "BaseException"
    )


def _names_all(caught: ast.expr) -> bool:
    named = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(ast.unparse(one) in ("Exception", "BaseException") for one in named)


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    one_way_imports,
    libraries_in_their_place,
    wall_clock_in_one_place,
    catch_all_in_three_places,
)


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return [
        Module.parse(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_the_rule(rule: Rule, package: list[Module]) -> None:
    """Every file of it."""
    assert [broken for module in package for broken in rule(module)] == []


def test_package_is_seen_whole(package: list[Module]) -> None:
    """A checker that finds no file would be content with everything."""
    assert {*(f"{name}.py" for name in VOCABULARY), "sensors/i2c.py"} <= {m.path for m in package}


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (one_way_imports, "types.py", "from edge_agent.errors import SensorError"),
        (one_way_imports, "kinds.py", "import edge_agent.options"),
        (one_way_imports, "sensors/i2c.py", "from edge_agent.cloud_sync.queue import x"),
        (one_way_imports, "sensors/i2c.py", "from edge_agent import config"),
        (one_way_imports, "sensors/chips/x.py", "from ...processing import filters"),
        (one_way_imports, "cloud_sync/queue.py", "def f():\n    import edge_agent.daemon.poller"),
        (one_way_imports, "processing/pipeline.py", "from ..cli import main"),
        (libraries_in_their_place, "cli/queue.py", "import sqlite3"),
        (libraries_in_their_place, "daemon/flusher.py", "from requests import Session"),
        (libraries_in_their_place, "cloud_sync/queue.py", "import requests.adapters"),
        (libraries_in_their_place, "sensors/i2c.py", "import smbus2"),
        (libraries_in_their_place, "sensors/gpio.py", "try:\n    import gpiozero\nfinally: pass"),
        (libraries_in_their_place, "cli/scan.py", "def f():\n    from smbus2 import SMBus"),
        (wall_clock_in_one_place, "daemon/poller.py", "import time\nnow = time.time()"),
        (wall_clock_in_one_place, "daemon/poller.py", "import time as t\nclock = t.time_ns"),
        (wall_clock_in_one_place, "cli/status.py", "from time import time as now\nnow()"),
        (wall_clock_in_one_place, "cli/status.py", "import datetime\ndatetime.datetime.now()"),
        (wall_clock_in_one_place, "cli/status.py", "from datetime import datetime\ndatetime.now()"),
        (wall_clock_in_one_place, "cli/status.py", "import time\ntime.strftime('%F')"),
        (wall_clock_in_one_place, "cli/status.py", "from time import gmtime\ngmtime()"),
        (wall_clock_in_one_place, "x.py", "import time\ntime.clock_gettime(time.CLOCK_REALTIME)"),
        (wall_clock_in_one_place, "sensors/x.py", "from datetime import date as d\nd.today()"),
        (catch_all_in_three_places, "sensors/i2c.py", "try: f()\nexcept Exception: pass"),
        (catch_all_in_three_places, "sensors/i2c.py", "try: f()\nexcept: pass"),
        (catch_all_in_three_places, "cli/run.py", "try: f()\nexcept (OSError, Exception): pass"),
        (catch_all_in_three_places, "cli/run.py", "try: f()\nexcept Exception: raise"),
        (catch_all_in_three_places, "cli/run.py", "try: f()\nexcept BaseException: g()"),
        (catch_all_in_three_places, "cli/run.py", "with contextlib.suppress(Exception): f()"),
        (
            catch_all_in_three_places,
            "cli/main.py",
            "try: f()\nexcept Exception: pass\ntry: f()\nexcept BaseException: pass",
        ),
    ],
)
def test_rule_finds_what_breaks_it(rule: Rule, path: str, source: str) -> None:
    """Each of them once, with its file."""
    (broken,) = rule(Module.parse(path, source))

    assert broken.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("options.py", "from edge_agent.kinds import Kind"),
        (
            "cloud_sync/uploader.py",
            "import requests, edge_agent\nfrom edge_agent import __version__",
        ),
        ("cloud_sync/store.py", "import sqlite3\nfrom edge_agent.types import Priority"),
        ("receiver/store.py", "import sqlite3"),
        ("config/model.py", "from edge_agent.sensors import registry"),
        ("sensors/i2c.py", "import time\nfrom . import base\ndef f():\n    import smbus2"),
        (
            "sensors/x.py",
            "import time\ntime.monotonic()\nfrom datetime import datetime as d\nd(1, 1, 1)",
        ),
        ("clock.py", "import time\ntime.time()"),
        ("cli/main.py", "try: f()\nexcept Exception: pass"),
        ("cloud_sync/store.py", "try: f()\nexcept BaseException:\n    undo()\n    raise"),
        ("cloud_sync/queue.py", "import time\ntime.strftime('%F', time.gmtime(1.0))"),
        ("daemon/health.py", "self.time()\nreading.now()\ntry: f()\nexcept OSError: pass"),
    ],
)
def test_rules_let_pass_what_is_allowed(path: str, source: str) -> None:
    """A checker that cries wolf is switched off."""
    module = Module.parse(path, source)

    assert [broken for rule in RULES for broken in rule(module)] == []
