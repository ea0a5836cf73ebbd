"""`doctor`: how its findings are told, and that it ends."""

from __future__ import annotations

import json
import threading

import pytest

from edge_agent.cli.doctor.findings import FAIL, OK, WARN, Finding
from edge_agent.cli.doctor.report import Patience, Report

WELL = Finding("clock", OK, "right")
ILL = Finding("dns", FAIL, "no\x1bname", "`ip route`")


def test_report_tells_each_finding_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees what is looked at, and no control character of a server's."""
    report = Report(as_json=False, colours=False)
    report.tell(WELL)
    assert capsys.readouterr().out == "ok    clock         right\n"
    report.tell(ILL)
    first, mend = capsys.readouterr().out.splitlines()
    assert "\x1b" not in first
    assert mend.split(maxsplit=1) == ["mend:", "`ip route`"]
    assert report.end() == 1
    assert capsys.readouterr().out == "1 ok, 1 fail\n"


def test_report_for_programs_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing before it; a warning is no failure."""
    report = Report(as_json=True, colours=False)
    report.tell(WELL)
    report.tell(Finding("clock", WARN, "w", "m"))
    assert capsys.readouterr().out == ""
    assert report.end() == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["mend"] for one in told["findings"]] == [None, "m"]
    assert (told["ok"], told["warn"], told["fail"]) == (1, 1, 0)


def test_patience_ends_the_process_where_nothing_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """With what was found until then, and after what it got stuck."""
    report, ended = Report(as_json=False, colours=False), threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    report.tell(WELL)
    Patience(report, 0.0, end)
    assert ended.wait(60)
    assert codes == [1]
    assert "fail  doctor        nothing more came after 'clock' in 0 s" in capsys.readouterr().out


def test_patience_lets_go_of_who_has_looked_at_all() -> None:
    """It is renewed by each finding, and ends with the last one."""
    report, codes = Report(as_json=True, colours=False), []
    patience = Patience(report, 3600.0, codes.append)
    patience.renew()
    patience.stop()
    (watching,) = [one for one in threading.enumerate() if one.name == "patience"]
    watching.join(60)
    assert not watching.is_alive()
    assert (codes, report.findings) == ([], [])
