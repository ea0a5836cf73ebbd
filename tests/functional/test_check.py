"""``check`` and ``config`` as people and systemd run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edge_agent.config.reference import markdown
from edge_agent.config.schema import json_schema

GOOD = (
    "upload: {endpoint: 'https://api.example.com/in?key=x'}\nsensors: [{name: a, type: system}]\n"
)
BAD = "upload:\n  intervall: 5s\nqueue: {ttl: 5}\n"


def _agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _check(folder: Path, text: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code and both outputs, without the folder's name."""
    file = folder / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    ran = _agent("check", "--config", str(file), *arguments)
    out, err = (said.replace(f"{folder}/", "") for said in (ran.stdout, ran.stderr))
    return ran.returncode, out, err


def test_check_of_a_good_file_prints_one_line(tmp_path: Path):
    """What it would do, in a few words, without what may be a key in the URL."""
    line = "agent.yaml: 1 sensor, upload to https://api.example.com/…, no problems\n"
    assert _check(tmp_path, GOOD) == (0, line, "")


def test_check_without_an_endpoint_says_store_only(tmp_path: Path):
    """Nothing is sent, and that is no mistake."""
    assert _check(tmp_path, "log:\n") == (0, "agent.yaml: 0 sensors, store only, no problems\n", "")


def test_check_quiet_of_a_good_file_prints_nothing(tmp_path: Path):
    """A reload that works has nothing to say."""
    assert _check(tmp_path, GOOD, "--quiet") == (0, "", "")


def test_check_of_a_bad_file_prints_every_problem(tmp_path: Path):
    """On stdout; quiet, on stderr, where systemd shows them."""
    problems = (
        "agent.yaml:2:3: upload.intervall: is unknown (did you mean 'interval'?)\n"
        "agent.yaml:3:14: queue.ttl: 5 has no unit; did you mean '5s'?\n"
    )
    assert _check(tmp_path, BAD) == (1, problems, "")
    assert _check(tmp_path, BAD, "--quiet") == (1, "", problems)


def test_config_schema_and_reference_are_printed():
    """What editors and people get is what the declaration makes."""
    schema, reference = _agent("config", "schema"), _agent("config", "reference")
    assert (schema.returncode, reference.returncode) == (0, 0)
    assert json.loads(schema.stdout) == json_schema()
    assert reference.stdout == markdown()
