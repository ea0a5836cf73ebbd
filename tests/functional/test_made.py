"""What the package's build makes from the declarations: pages, completion, bill of materials."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge_agent.cli.main import main
from edge_agent.config.reference import chapters

TREE = Path(__file__).parents[2]
TEXT = {"type": "string", "minLength": 1}
#: What CycloneDX 1.6 requires of the parts that ours has (bom-1.6.schema.json), no more allowed.
COMPONENT = {
    "type": "object",
    "required": ["type", "name"],
    "additionalProperties": False,
    "properties": {
        "type": {"enum": ["application", "library", "platform"]},
        "bom-ref": TEXT,
        "name": TEXT,
        "version": {**TEXT, "maxLength": 1024},
        "scope": {"enum": ["required", "optional", "excluded"]},
        "purl": {"type": "string", "pattern": "^pkg:[a-z]+/[^@]+(@.+)?$"},
        "licenses": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["license"],
                "properties": {"license": {"type": "object", "required": ["id"]}},
            },
        },
        "properties": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"name": TEXT, "value": TEXT},
            },
        },
    },
}
BILL = {
    "type": "object",
    "required": ["bomFormat", "specVersion"],
    "additionalProperties": False,
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {
            "type": "string",
            "pattern": "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        },
        "version": {"type": "integer", "minimum": 1},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                "component": COMPONENT,
            },
        },
        "components": {"type": "array", "uniqueItems": True, "items": COMPONENT},
        "dependencies": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["ref"],
                "properties": {"ref": TEXT, "dependsOn": {"type": "array", "uniqueItems": True}},
            },
        },
    },
}


def made(script: str, *arguments: str) -> str:
    """What one of the scripts prints."""
    command = [sys.executable, str(TREE / "scripts" / script), *arguments]
    environ = {"PYTHONPATH": str(TREE), "SOURCE_DATE_EPOCH": "1717000000", "LC_ALL": "C"}
    ended = subprocess.run(command, capture_output=True, check=True, text=True, env=environ)
    assert ended.stderr == ""
    return ended.stdout


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """The bill of materials."""
    read: dict[str, Any] = json.loads(made("sbom.py"))
    return read


def test_bill_has_what_cyclonedx_requires(bill: dict[str, Any]) -> None:
    """Fields, their forms, and references that lead somewhere."""
    jsonschema.validate(bill, BILL)
    parts = [bill["metadata"]["component"], *bill["components"]]
    refs = [part["bom-ref"] for part in parts]
    assert len(set(refs)) == len(refs)
    assert [entry["ref"] for entry in bill["dependencies"]] == refs
    assert bill["dependencies"][0]["dependsOn"] == refs[1:]


def test_bill_names_every_library_with_licence_and_bounds(bill: dict[str, Any]) -> None:
    """All that pyproject.toml declares, as it declares it."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    told = {
        part["name"] + part["properties"][0]["value"]
        for part in bill["components"]
        if part["licenses"][0]["license"]["id"] and "scope" in part
    }
    extras = project["optional-dependencies"]["gpio"]
    assert told == {*project["dependencies"], *extras}


def test_bill_of_the_same_source_is_the_same(bill: dict[str, Any]) -> None:
    """The package is to be the same bits."""
    assert json.loads(made("sbom.py")) == bill


def test_pages_tell_every_command_option_and_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `--help` says of a command stands in pyvorin-agent(1), each key in the other."""
    made("manpages.py", str(tmp_path))
    page = (tmp_path / "pyvorin-agent.1").read_text().replace("\\-", "-")
    with pytest.raises(SystemExit):
        main(["receive", "--help"])
    options = {word.strip(",") for word in capsys.readouterr().out.split() if word[:2] == "--"}
    assert [option for option in options - {"--help"} if f"\\fB{option}\\fR" not in page] == []
    assert '.SS "sensors read"' in page
    assert "\nExample: \\fBpyvorin-agent sensors read temp.cold_chain\\fR\n" in page
    keys = (tmp_path / "pyvorin-agent.yaml.5").read_text().replace("\\-", "-")
    wanted = [row.key for chapter in chapters() for row in chapter.rows]
    assert len(wanted) > 100
    assert [key for key in wanted if f"\\fB{key}\\fR" not in keys] == []
