"""Reading one YAML file: YAML 1.2's scalars, places, and a sentence for whatever cannot be read."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import document
from edge_agent.config.places import dotted


def _read(folder: Path, content: str | bytes) -> document.Document:
    file = folder / "agent.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return document.read(file)


def _problems(folder: Path, content: str | bytes) -> list[str]:
    """The problems, without the folder's name."""
    found = _read(folder, content).problems
    return [str(problem).replace(f"{folder}/", "") for problem in found]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"),
        ("12:30:00", "12:30:00"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("1_000", "1_000"),
        ("010", "010"),
        ("-010", "-010"),
        ("00.5", "00.5"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("0", 0),
        ("-5", -5),
        ("+5", 5),
        ("0x76", 118),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("5e-1", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.5", -0.5),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("''", ""),
    ],
)
def test_scalar_follows_the_core_schema(tmp_path: Path, written: str, value: object):
    """YAML 1.2's core schema, but a number with a leading zero stays a text."""
    read = _read(tmp_path, f"key: {written}\n")
    assert read.problems == []
    assert read.data is not None
    assert (type(read.data["key"]), read.data["key"]) == (type(value), value)


@pytest.mark.fault(
    "configuration",
    "empty",
    "a list",
    "aliases",
    "5000 brackets",
    "5000-digit integer",
    "wrong encoding",
    how="each is loaded",
    part="the loader",
)
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "agent.yaml: is empty; device, upload and sensors are expected"),
        ("# nothing\n", "agent.yaml: is empty; device, upload and sensors are expected"),
        (
            "- a\n",
            "agent.yaml:1:1: begins with no key; write it like 'log: {level: info}'",
        ),
        ("device:\n\tid: x\n", "agent.yaml:2:1: a tab cannot indent in YAML; use spaces"),
        ("id: @x\n", "agent.yaml:1:5: a value cannot begin with '@'; put it in quotes"),
        ("id: a: b\n", "agent.yaml:1:6: a ': ' inside a value, or a wrong indentation"),
        ("a: 1\na: 2\n", "agent.yaml:2:1: a: is given twice; the first is in line 1"),
        ("a: &x 1\nb: *x\n", "agent.yaml:1:4: the anchor or alias 'x' is not supported"),
        ("a: !x/y z\n", "agent.yaml:1:4: a: the tag !x/y is not supported; leave it out"),
        ("a: !!set {b}\n", "agent.yaml:1:4: the tag !!set is not supported"),
        ("a: !!int x\n", "agent.yaml:1:4: a: the tag !!int is not supported; leave it out"),
        ("a: .nan\n", "agent.yaml:1:4: a: .nan is not a finite number"),
        ("a: -.Inf\n", "agent.yaml:1:4: a: -.Inf is not a finite number"),
        ("a: 1e999\n", "agent.yaml:1:4: a: 1e999 is not a finite number"),
        ("a: " + "9" * 5000, "agent.yaml:1:4: a: a number of 5000 characters is too long"),
        ("a: " + "[" * 5000, "agent.yaml:1:35: is nested more than 32 deep"),
        (
            "a: 5%\nb: !<%ed%a0%80> 1\n",
            "agent.yaml:2:6: an escape stands for no character; leave it out",
        ),
        ("? [a, b]\n: 1\n", "agent.yaml:1:3: a key is one word, not a list or mapping"),
        (b"a: 1\nid: caf\xe9\n", "agent.yaml:2:8: is not written in UTF-8; save it as UTF-8"),
        ("a: 1\n".encode("utf-16"), "agent.yaml:1:1: is not written in UTF-8; save it as UTF-8"),
        ("a: b\0\n", "agent.yaml:1:5: the character U+0000 is not allowed in YAML"),
        ("#" * 262_145, "agent.yaml: is larger than 256 KiB"),
    ],
)
def test_document_with_a_mistake_says_where_and_what(
    tmp_path: Path, content: str | bytes, problem: str
):
    """One sentence for each way to write a file that cannot be used, never a traceback."""
    assert _problems(tmp_path, content) == [problem]


@pytest.mark.parametrize("escape", [r"\U00110000", r"\UFFFFFFFF"])
def test_document_with_an_escape_beyond_unicode_says_where_also_without_libyaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, escape: str
):
    """PyYAML's own parser lets Python complain of it."""

    class Pure(yaml.SafeLoader):
        yaml_implicit_resolvers = document._Loader.yaml_implicit_resolvers

    monkeypatch.setattr(document, "_Loader", Pure)
    (problem,) = _problems(tmp_path, f'a: 1\nb: "{escape}"\n')
    assert problem == "agent.yaml:2:5: an escape stands for no character; leave it out"


def test_document_unclosed_says_where_it_begins(tmp_path: Path):
    """The parser notices at the end; the mistake is where the bracket opens."""
    (problem,) = _problems(tmp_path, "a: 1\nb: [1, 2\nc: 3\n")
    assert problem.startswith("agent.yaml:3:2: is no YAML: ")
    assert problem.endswith("(it begins in line 2)")


def test_problem_with_a_line_break_in_a_key_stays_one_line(tmp_path: Path):
    """What was written cannot pass for another problem."""
    (problem,) = _problems(tmp_path, '"a\\nagent.yaml:9:9: b": 1\n"a\\nagent.yaml:9:9: b": 2\n')
    assert problem == (
        "agent.yaml:2:1: a\\nagent.yaml:9:9: b: is given twice; the first is in line 1"
    )


def test_document_of_two_documents_is_refused(tmp_path: Path):
    """The second would be silently ignored otherwise."""
    (problem,) = _problems(tmp_path, "a: 1\n---\nb: 2\n")
    assert "another document" in problem


@pytest.mark.fault(
    "configuration", "unreadable", how="the file is missing, or a directory", part="the loader"
)
def test_document_missing_or_a_directory_says_so(tmp_path: Path):
    """The operating system's own words, in one line."""
    missing, directory = document.read(tmp_path / "x.yaml"), document.read(tmp_path)
    assert str(missing.problems[0]) == (
        f"{tmp_path}/x.yaml: cannot be read: No such file or directory"
    )
    assert str(directory.problems[0]) == f"{tmp_path}: cannot be read: Is a directory"
    assert missing.data is directory.data is None


def test_document_knows_the_place_of_each_key_and_value(tmp_path: Path):
    """Lines and columns count from 1; a list's item is its own key."""
    read = _read(tmp_path, "\ufeffupload:\n  timeout: 5s\nsensors:\n  - name: a\n")
    spots = {dotted(path, read.data): spot for path, spot in read.places.items()}
    assert (spots["upload.timeout"].key.line, spots["upload.timeout"].key.column) == (2, 3)
    assert (spots["upload.timeout"].value.line, spots["upload.timeout"].value.column) == (2, 12)
    assert (spots["sensors.a"].key.line, spots["sensors.a"].key.column) == (4, 5)


def _is_assigned(character: str) -> bool:
    """Whether it is no control, surrogate, private or unassigned character."""
    # Hypothesis of Debian bookworm has another name for its own way to say this.
    return unicodedata.category(character) not in {"Cs", "Cc", "Cn", "Co"}


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(-1e6, 1e6)
    | st.text(st.characters().filter(_is_assigned))
    | st.sampled_from(["no", "1e3", "0x1f", "0o7", "010", ".5", "null", "12:30", "${A}", "- x"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc-#: ", min_size=1), inner),
    max_leaves=10,
)


@given(data=st.dictionaries(st.text("xyz", min_size=1), _PLAIN, min_size=1))
def test_dump_read_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
):
    """What is kept as last good means the same when it is read again."""
    read = _read(tmp_path_factory.getbasetemp(), document.dump(data))
    assert read.problems == []
    assert read.data == data
