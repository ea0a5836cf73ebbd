"""A plugin of pytest: what the tests of faults came to goes into a file beside the page.

A run replaces what is known of the tests that it ran whole, and leaves the others as they were.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from faults import page


class Recorder:
    """Gathers outcomes, durations and what was measured."""

    def __init__(self) -> None:
        self._cases: Counter[str] = Counter()
        self._results: dict[str, list[page.Case]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Before anything is deselected: how many cases each test has."""
        faults = (item for item in items if item.get_closest_marker("fault"))
        self._cases.update(page.name_of(item.nodeid)[0] for item in faults)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "fault" not in report.keywords or (report.when != "call" and report.passed):
            return
        name, case = page.name_of(report.nodeid)
        measured = [str(value) for key, value in report.user_properties if key == "measured"]
        self._results.setdefault(name, []).append(
            page.Case(case, report.outcome, round(report.duration, 1), measured)
        )

    def pytest_sessionfinish(self) -> None:
        known, today = page.load(), dt.datetime.now(tz=dt.UTC).date().isoformat()
        for name, cases in self._results.items():
            if len({case.case for case in cases}) == self._cases[name]:
                known[name] = page.Result(today, cases)
        page.save(known)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder())
