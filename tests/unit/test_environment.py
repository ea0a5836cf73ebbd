"""The names that a configuration may use: the environment's, and for the service's its file's."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.cli import environment

FILE = """
# a comment
; another
KEY=plain
SPACED =  two words\t
QUOTED="in quotes" \nSINGLE='it is "so"'
EMPTY=
HALF="open
no assignment
=nobody
EQUAL=a=b
"""


def test_environment_file_is_read_as_systemd_does() -> None:
    """Comments, white space, quotes; what is no assignment is passed over."""
    assert dict(environment.parsed(FILE)) == {
        "KEY": "plain",
        "SPACED": "two words",
        "QUOTED": "in quotes",
        "SINGLE": 'it is "so"',
        "EMPTY": "",
        "HALF": '"open',
        "EQUAL": "a=b",
    }


def test_environment_of_the_services_configuration_has_its_files_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go before those of a shell, or of the service's start; another file has none of them."""
    ours, file = tmp_path / "agent.yaml", tmp_path / "default"
    monkeypatch.setattr(environment, "CONFIG_FILE", ours)
    monkeypatch.setattr(environment, "ENVIRONMENT_FILE", file)
    monkeypatch.setenv("SITE", "of the start")
    assert environment.environment_of(ours)["SITE"] == "of the start"
    file.write_text("SITE=fresh\n")
    assert environment.environment_of(ours)["SITE"] == "fresh"
    assert environment.environment_of(tmp_path / "other.yaml")["SITE"] == "of the start"
    file.write_bytes(b"SITE=\xff\n")
    assert environment.environment_of(ours)["SITE"] == "of the start"
