"""The page of the faults: made from the table, the tests' markers and what the tests came to.

``python tests/faults/page.py`` makes it anew, from what is known; `scripts/test-faults` finds out.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from faults.table import ROWS, Row  # noqa: E402  # as a script, it is found just now

PAGE = TESTS / "faults" / "README.md"
RESULTS = TESTS / "faults" / "results.json"
HEAD = """# Faults, and how each is shown

Made by `scripts/test-faults` from the tests' own results; a unit test finds what is changed by
hand. An item is **shown** when a test of it has passed, **in part** where the whole agent in a
process of its own is asked for (★) and only a part of it was put to the test, else **open**.
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """A case of a test, as it went."""

    case: str
    outcome: str
    seconds: float
    measured: list[str]


@dataclasses.dataclass(frozen=True)
class Result:
    """All cases of a test, on that day."""

    date: str
    cases: list[Case]

    @property
    def has_passed(self) -> bool:
        return bool(self.cases) and all(case.outcome == "passed" for case in self.cases)


@dataclasses.dataclass(frozen=True)
class Mark:
    """That a test shows items of a row."""

    test: str
    row: str
    items: tuple[str, ...]
    #: how the fault is made
    how: str
    #: what was put to the test, where it is not the whole agent in a process of its own
    part: str = ""


def name_of(nodeid: str) -> tuple[str, str]:
    """A test's file and function, and the case."""
    name, _, case = nodeid.partition("[")
    return name.removesuffix("::runTest").removeprefix("tests/"), case.removesuffix("]")


def load() -> dict[str, Result]:
    """What is known of each test."""
    found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    return {
        name: Result(result["date"], [Case(**case) for case in result["cases"]])
        for name, result in found.items()
    }


def save(results: dict[str, Result]) -> None:
    """Keep what is known of the tests that there still are."""
    there = {mark.test for mark in marks()}
    kept = {name: dataclasses.asdict(results[name]) for name in sorted(results) if name in there}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


def marks() -> list[Mark]:
    """Every marker ``fault`` of every test, in the order of the files."""
    files = sorted(file for file in TESTS.glob("*/test_*.py"))
    return [mark for file in files for mark in _marks_of(file)]


def _marks_of(file: Path) -> Iterator[Mark]:
    name = str(file.relative_to(TESTS))
    for node in ast.parse(file.read_text("utf-8")).body:
        calls: Sequence[ast.expr] = []
        if isinstance(node, ast.FunctionDef):
            test, calls = node.name, node.decorator_list
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            # A state machine of hypothesis: TestName = pytest.mark.fault(...)(Machine.TestCase).
            test, calls = ast.unparse(node.targets[0]), [node.value.func]
        for call in calls:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
                row, *items = map(ast.literal_eval, call.args)
                named = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
                yield Mark(f"{name}::{test}", row, tuple(items), **named)


def state(item: str, row: Row, found: Sequence[Mark], results: dict[str, Result]) -> str:
    """How far an item is shown."""
    shown = [mark for mark in found if item in mark.items and _has_passed(mark, results)]
    if not shown:
        return "open"
    return "in part" if row.is_whole and all(mark.part for mark in shown) else "shown"


def _has_passed(mark: Mark, results: dict[str, Result]) -> bool:
    return mark.test in results and results[mark.test].has_passed


def render(results: dict[str, Result]) -> str:
    """The page."""
    found = marks()
    sections, states = [], {}
    for row in ROWS:
        of_row = [mark for mark in found if mark.row == row.key]
        states[row] = {item: state(item, row, of_row, results) for item in row.items}
        sections.append("\n".join(_section(row, states[row], of_row, results)))
    return "\n".join([HEAD, *_summary(states), *sections])


def _summary(states: dict[Row, dict[str, str]]) -> Iterator[str]:
    whole = sum(set(items.values()) == {"shown"} for items in states.values())
    every = [state for items in states.values() for state in items.values()]
    yield (
        f"**{whole} of {len(states)} rows are shown whole; of {len(every)} items "
        f"{every.count('shown')} are shown, {every.count('in part')} in part, "
        f"{every.count('open')} open.**\n"
    )
    for row, items in states.items():
        for word in ("open", "in part"):
            which = ", ".join(item for item, state in items.items() if state == word)
            if which:
                yield f"- {row.fault}: {word}: {which}"
    yield ""


def _section(
    row: Row, states: dict[str, str], found: Sequence[Mark], results: dict[str, Result]
) -> Iterator[str]:
    yield f"## {row.fault}{' ★' if row.is_whole else ''}\n"
    yield f"Required: {row.required}\n"
    yield from ("| Fault | State |", "|---|---|")
    yield from (f"| {item} | {word} |" for item, word in states.items())
    if found:
        yield from ("", "| Test | Shows | How it is made | Measured |", "|---|---|---|---|")
    for mark in found:
        how = f"{mark.how} ({mark.part})" if mark.part else mark.how
        cells = [f"`{mark.test}`", ", ".join(mark.items), how, _measured(mark, results)]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _measured(mark: Mark, results: dict[str, Result]) -> str:
    """What the test came to, and what its cases measured."""
    if mark.test not in results:
        return "was not run"
    result = results[mark.test]
    passed = sum(case.outcome == "passed" for case in result.cases)
    took_s = sum(case.seconds for case in result.cases)
    told = [f"{case.case}: {m}" if case.case else m for case in result.cases for m in case.measured]
    return "; ".join(
        [f"{result.date}: {passed} of {len(result.cases)} passed in {took_s:.1f} s", *told]
    )


if __name__ == "__main__":
    PAGE.write_text(render(load()), "utf-8")
