"""One YAML file, read into plain data and the places where it all stands.

Scalars follow YAML 1.2's core schema: ``12:30``, ``no`` and ``on`` are texts, ``0x76`` and ``1e3``
numbers. Two exceptions: a number with a leading zero stays a text (a house number, an id), and
infinities and NaN are refused. Source: YAML 1.2.2, section 10.3.2.

What a configuration never needs is refused, because it hides mistakes or costs memory: aliases,
tags, duplicate keys, more than `MOST_BYTES`, deeper nesting than `DEEPEST`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml

from edge_agent.config.places import Path, Place, Problem, Spot, dotted

MOST_BYTES = 256 * 1024
DEEPEST = 32
#: Longer numbers are typing errors, and Python refuses to read very long ones.
_LONGEST_NUMBER = 40

_TAG = "tag:yaml.org,2002:"
_TEXT = f"{_TAG}str"
#: Core-schema tags: the pattern of the plain scalar, and what it means.
_SCALARS: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    f"{_TAG}null": (re.compile(r"null|Null|NULL|~|"), lambda _: None),
    f"{_TAG}bool": (
        re.compile(r"true|True|TRUE|false|False|FALSE"),
        lambda text: text.lower() == "true",
    ),
    f"{_TAG}int": (
        re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+"),
        lambda text: int(text, 0),
    ),
    f"{_TAG}float": (
        re.compile(
            r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        # Python writes infinities and NaN without the dot.
        lambda text: float(text if text[-1] in "0123456789." else text.replace(".", "")),
    ),
}
#: Characters that YAML does not allow. Source: YAML 1.2.2, section 5.1.
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: How an escape begins, and a directive.
_ESCAPE = re.compile(r"[%\\]")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C or Python
    """PyYAML's parser with the scalars of YAML 1.2 instead of 1.1."""


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not take for a text."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Written out each time: the loader refuses aliases."""
        return True


_Loader.yaml_implicit_resolvers = {}
_Dumper.yaml_implicit_resolvers = {}
for _tag, (_pattern, _) in _SCALARS.items():
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(_tag, _whole, None)
    _Dumper.add_implicit_resolver(_tag, _whole, None)


@dataclasses.dataclass
class Document:
    """What stands in a file. Without ``data`` where it could not be read at all."""

    file: FilePath
    data: dict[str, Any] | None = None
    places: dict[Path, Spot] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)


def read(
    file: FilePath,
    order: int = 0,
    *,
    expected: str = "device, upload and sensors are",
    example: str = "log: {level: info}",
) -> Document:
    """Read one file; every mistake ends up in the document's ``problems``, none is raised.

    Args:
        file: the path, printed as it is given.
        order: the file's position among those read, for the order of problems.
        expected: what an empty file lacks.
        example: a line that may stand in such a file.
    """
    document = Document(file)
    reader = _Reader(document, order, expected, example)
    try:
        document.data = reader.read()
    except _Unusable as unusable:
        document.problems.append(Problem(unusable.place, "", unusable.sentence))
    return document


def unreadable(error: OSError) -> str:
    """Why a file or directory gave nothing, and what to do where that is known."""
    do = "; use sudo" if isinstance(error, PermissionError) else ""
    return f"cannot be read: {error.strerror}{do}"


def dump(data: dict[str, Any]) -> str:
    """YAML that `read` takes back as the same data."""
    # PyYAML's stubs do not know that the dumper may be a subclass with its own resolvers.
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class _Unusable(Exception):
    """Nothing of the file can be used."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place
        self.sentence = sentence


class _Reader:
    """Fills one `Document`."""

    def __init__(self, document: Document, order: int, expected: str, example: str) -> None:
        self._document = document
        self._expected = expected
        self._example = example
        self._whole = Place(order, str(document.file))

    def read(self) -> dict[str, Any]:
        text = self._text()
        try:
            self._refuse_oddities(text)
            # The loader is a safe one: it builds nodes, and no objects at all.
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            raise self._unusable(error.problem_mark, _said(error, text)) from None
        if root is None and self._whole.order > 0:
            # A fragment in which everything is commented out adds nothing, and is no mistake.
            return {}
        if root is None:
            raise _Unusable(self._whole, f"is empty; {self._expected} expected")
        if not isinstance(root, yaml.MappingNode):
            raise self._unusable(
                root.start_mark,
                f"begins with no key; write it like '{self._example}'",
            )
        return self._mapping(root, ())

    def _text(self) -> str:
        try:
            with self._document.file.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise _Unusable(self._whole, unreadable(error)) from None
        if len(content) > MOST_BYTES:
            raise _Unusable(self._whole, f"is larger than {MOST_BYTES // 1024} KiB")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            where = self._at(content[: error.start].decode("utf-8"))
            raise _Unusable(where, "is not written in UTF-8; save it as UTF-8") from None
        if odd := _NOT_PRINTABLE.search(text):
            where = self._at(text[: odd.start()])
            raise _Unusable(where, f"the character U+{ord(odd[0]):04X} is not allowed in YAML")
        return text

    def _at(self, before: str) -> Place:
        """The place that follows this text."""
        line = before.count("\n") + 1
        return dataclasses.replace(self._whole, line=line, column=len(before) - before.rfind("\n"))

    def _refuse_oddities(self, text: str) -> None:
        """One pass over the events, before a node is built: depth could exhaust the stack."""
        depth = 0
        for event in self._events(text):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEEPEST:
                raise self._unusable(event.start_mark, f"is nested more than {DEEPEST} deep")
            if isinstance(event, yaml.CollectionStartEvent) and event.tag is not None:
                raise self._unusable(
                    event.start_mark, f"the tag {_tag_name(event.tag)} is not supported"
                )
            if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
                raise self._unusable(
                    event.start_mark, f"the anchor or alias '{event.anchor}' is not supported"
                )

    def _events(self, text: str) -> Iterator[Any]:
        """What the parser finds; of a tag's bytes and an escape's number it looks at the form only.

        (And lets Python complain. libyaml does so of tags, the parser in Python of more.)
        """
        end = 0
        events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        try:
            for event in events:
                yield event
                end = event.end_mark.index
        except (ValueError, OverflowError):
            found = _ESCAPE.search(text, end)
            where = self._at(text[: found.start() if found else end])
            raise _Unusable(where, "an escape stands for no character; leave it out") from None

    def _unusable(self, mark: Any, sentence: str) -> _Unusable:
        return _Unusable(self._place(mark) if mark else self._whole, sentence)

    def _place(self, mark: Any) -> Place:
        return dataclasses.replace(self._whole, line=mark.line + 1, column=mark.column + 1)

    def _problem(self, node: yaml.Node, path: Path, sentence: str) -> None:
        place = self._place(node.start_mark)
        self._document.problems.append(Problem(place, dotted(path), sentence))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._list(node, path)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._document.places.setdefault(path, self._spot(node, node))
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "a key is one word, not a list or mapping")
                continue
            inside = (*path, key.value)
            if key.value in mapping:
                first = self._document.places[inside].key
                self._problem(key, inside, f"is given twice; the first is in line {first.line}")
                continue
            self._document.places[inside] = self._spot(key, value)
            mapping[key.value] = self._value(value, inside)
        return mapping

    def _list(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self._document.places[*path, index] = self._spot(item, item)
            items.append(self._value(item, (*path, index)))
        return items

    def _spot(self, key: yaml.Node, value: yaml.Node) -> Spot:
        return Spot(self._place(key.start_mark), self._place(value.start_mark))

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if node.tag == _TEXT:
            return node.value
        pattern, meaning = _SCALARS.get(node.tag, (None, None))
        if pattern is None or meaning is None or not pattern.fullmatch(node.value):
            tag = _tag_name(node.tag)
            self._problem(node, path, f"the tag {tag} is not supported; leave it out")
            return None
        if len(node.value) > _LONGEST_NUMBER:
            self._problem(node, path, f"a number of {len(node.value)} characters is too long")
            return None
        value = meaning(node.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(node, path, f"{node.value} is not a finite number")
            return None
        return value


def _tag_name(tag: str) -> str:
    """As it was written."""
    return tag.replace(_TAG, "!!")


def _said(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser complains of, in a sentence for people who never heard of tokens."""
    mark, problem = error.problem_mark, error.problem or ""
    found = text[mark.index : mark.index + 1] if mark else ""
    if found == "\t":
        return "a tab cannot indent in YAML; use spaces"
    if "cannot start any token" in problem:
        return f"a value cannot begin with '{found}'; put it in quotes"
    if "mapping values are not allowed" in problem:
        return "a ': ' inside a value, or a wrong indentation"
    begun = error.context_mark
    elsewhere = begun and mark and begun.line != mark.line
    since = f" (it begins in line {begun.line + 1})" if begun and elsewhere else ""
    return f"is no YAML: {' '.join(filter(None, (error.context, problem)))}{since}"
