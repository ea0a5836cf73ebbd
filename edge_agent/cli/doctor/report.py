"""How ``doctor`` tells what it finds: line by line as it comes, or as one JSON object."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator

from edge_agent.cli.doctor.findings import FAIL, LEVELS, OK, WARN, Finding
from edge_agent.cli.status.text import BAD, GOOD, ODD, painted
from edge_agent.cli.table import printable

#: Longer than any look may take: a request of 30 s that is tried twice, and a certificate.
SILENCE_S = 80.0
_TOPIC_WIDTH = 13
_COLOURS = {OK: GOOD, WARN: ODD, FAIL: BAD}


class Report:
    """What was found so far, and told."""

    def __init__(self, *, as_json: bool, colours: bool) -> None:
        """Tell nothing yet.

        Args:
            as_json: one object at the end, and no lines.
            colours: whether to paint the levels.
        """
        self.findings: list[Finding] = []
        self._as_json = as_json
        self._colours = colours

    def tell(self, finding: Finding) -> None:
        """Take note of it, and print its lines."""
        self.findings.append(finding)
        if not self._as_json:
            sys.stdout.writelines(f"{line}\n" for line in self._lines(finding))
            sys.stdout.flush()

    def end(self) -> int:
        """Sum up; returns the exit code."""
        counts = {level: sum(one.level == level for one in self.findings) for level in LEVELS}
        if self._as_json:
            told = [dataclasses.asdict(one) | {"mend": one.mend or None} for one in self.findings]
            sys.stdout.write(json.dumps({"version": 1, "findings": told} | counts) + "\n")
        else:
            sys.stdout.write(", ".join(f"{n} {level}" for level, n in counts.items() if n) + "\n")
        sys.stdout.flush()
        return int(counts[FAIL] > 0)

    def _lines(self, finding: Finding) -> Iterator[str]:
        level = f"{finding.level:<5}"
        level = painted(level, _COLOURS[finding.level]) if self._colours else level
        yield f"{level} {finding.topic:<{_TOPIC_WIDTH}} {printable(finding.says)}"
        if finding.mend:
            yield f"{'':<5} {'':<{_TOPIC_WIDTH}} mend: {printable(finding.mend)}"


class Patience:
    """Ends the process where a look does not come back.

    A call that waits for a dead disk cannot be interrupted, and a thread that is in one keeps its
    process: so it is the process that ends, and says after what it got stuck.
    """

    def __init__(
        self, report: Report, silence_s: float, end: Callable[[int], object] = os._exit
    ) -> None:
        """Begin to wait.

        Args:
            report: what was found until then.
            silence_s: seconds that may pass without a finding.
            end: ends the process with an exit code.
        """
        self._report = report
        self._silence_s = silence_s
        self._end = end
        self._news = threading.Event()
        self._over = False
        threading.Thread(target=self._wait, name="patience", daemon=True).start()

    def renew(self) -> None:
        """Something was found."""
        self._news.set()

    def stop(self) -> None:
        """All was looked at."""
        self._over = True
        self._news.set()

    def _wait(self) -> None:
        while self._news.wait(self._silence_s):
            if self._over:
                return
            self._news.clear()
        code = 1
        try:
            self._report.tell(stuck(self._report.findings, self._silence_s))
            code = self._report.end()
        finally:
            # Also where nobody reads any more.
            self._end(code)


def stuck(findings: list[Finding], silence_s: float) -> Finding:
    """What there is to say where nothing more comes."""
    after = f" after {findings[-1].topic!r}" if findings else ""
    says = f"nothing more came{after} in {silence_s:.0f} s: a disk, a network drive or a bus hangs"
    return Finding("doctor", FAIL, says, "`sudo dmesg | tail -n 30` may name it; then reboot")
