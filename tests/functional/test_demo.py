"""`pyvorin-agent demo`: the whole job, as a newcomer starts it."""

from __future__ import annotations

from fakes.processes import command


def test_demo_with_an_outage_ends_with_a_ledger_that_closes() -> None:
    """Real readings, a receiver that is killed, and not one reading lost or doubled."""
    ended = command("demo", "--seconds", "6", "--outage", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "receiver KILLED" in ended.stdout
    assert "reading machine.memory_used" in ended.stdout
    assert "reading temp.cold_chain" in ended.stdout
    *_, lost, duplicates, verdict = ended.stdout.splitlines()
    assert lost.split() == ["lost", "0"]
    assert duplicates.split()[:2] == ["duplicates", "0"]
    assert verdict == "The ledger closes."


def test_demo_with_an_outage_as_long_as_itself_is_refused() -> None:
    """There would be nothing to see."""
    ended = command("demo", "--seconds", "5", "--outage", "5")
    assert ended.returncode == 2
    assert ended.stderr == "pyvorin-agent: --outage 5 must be shorter than --seconds 5\n"
