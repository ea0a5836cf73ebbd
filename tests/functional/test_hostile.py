"""Whatever bytes come: as a configuration, as a server's answer, as a file for `queue send`."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes import hostile
from fakes.processes import command
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from edge_agent.config.schema import json_schema
from edge_agent.receiver import Receiver

CASES = Path(__file__).parents[1] / "testcases"
ONCE = sorted(file for file in (CASES / "fuzz").rglob("*") if file.is_file())
SHIPPED = sorted((CASES.parents[1] / "config").rglob("*.yaml"))


def tried(target: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hostile.TARGETS[target](content, Path(folder))


@pytest.mark.parametrize("case", ONCE, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_input_that_once_broke_a_promise_breaks_none(case: Path) -> None:
    """Each was found by `scripts/fuzz`, or as one of its kind."""
    tried(case.parent.name, case.read_bytes())


@st.composite
def spoilt(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Something whole, in which a piece was replaced by another, or by any bytes."""
    content = draw(whole)
    start, end, at = sorted(draw(st.integers(0, len(content))) for _ in range(3))
    return content[:start] + draw(st.just(content[end:at]) | st.binary(max_size=9)) + content[end:]


@dataclasses.dataclass
class Part:
    """A part of the configuration's JSON Schema; too long to be shown with every example."""

    schema: Mapping[str, Any] = dataclasses.field(repr=False)


_WHOLE = json_schema()


@st.composite
def written(draw: st.DrawFn, part: Part) -> Any:
    """What an editor would let pass with this schema."""
    schema = part.schema
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return "${EVERY}" if name == "environment" else draw(written(Part(_WHOLE["$defs"][name])))
    if "allOf" in schema:
        return draw(_mapping(Part(_of_one_type(schema, draw(st.sampled_from(schema["allOf"]))))))
    if "anyOf" in schema:
        return draw(written(Part(draw(st.sampled_from(schema["anyOf"])))))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    named = schema.get("type", "string")
    return draw(_TYPES[draw(st.sampled_from(named)) if isinstance(named, list) else named](part))


def _of_one_type(sensor: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """A sensor's schema with what one of the cases adds."""
    kind = {"type": {"enum": [*case["if"]["properties"]["type"].values()]}}
    return {
        "properties": sensor["properties"] | case["then"]["properties"] | kind,
        "required": [*sensor["required"], *case["then"].get("required", ())],
    }


@st.composite
def _mapping(draw: st.DrawFn, part: Part) -> dict[str, Any]:
    """With all that is required, and a few other keys."""
    known = part.schema.get("properties", {})
    others = part.schema.get("additionalProperties", False)
    keys = set(part.schema.get("required", ()))
    if known:
        keys |= draw(st.sets(st.sampled_from(sorted(known)), max_size=2))
    if isinstance(others, dict):
        names = part.schema.get("propertyNames", {"type": "string", "pattern": "^[a-z]{1,4}$"})
        keys |= set(draw(st.lists(written(Part(names)), max_size=2)))
    return {key: draw(written(Part(known.get(key, others)))) for key in sorted(keys)}


def _string(part: Part) -> st.SearchStrategy[str]:
    if pattern := part.schema.get("pattern"):
        return st.from_regex(pattern, fullmatch=True)
    return st.text() | st.sampled_from(["no", "1e3", "0x1f", "010", "null", "12:30", "${A}", "- x"])


def _number(part: Part) -> st.SearchStrategy[float]:
    return st.floats(part.schema.get("minimum", -1e6), part.schema.get("maximum", 1e6))


def _integer(part: Part) -> st.SearchStrategy[int]:
    return st.integers(part.schema.get("minimum", -9), part.schema.get("maximum", 9))


def _array(part: Part) -> st.SearchStrategy[list[Any]]:
    least = part.schema.get("minItems", 0)
    return st.lists(written(Part(part.schema["items"])), min_size=least, max_size=3)


_TYPES: Mapping[str, Callable[[Part], st.SearchStrategy[Any]]] = {
    "object": _mapping,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
}


# A busy machine draws slowly from so many patterns.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(written(Part(_WHOLE)), st.lists(written(Part(_WHOLE["$defs"]["sensor"])), max_size=2))
@example({"device": {"labels": {"a": "1e3", "b": "null"}}}, [])
def test_configuration_of_what_its_schema_allows_is_taken_or_refused_and_kept_as_it_is(
    data: dict[str, Any], sensors: list[dict[str, Any]]
) -> None:
    """A configuration that is taken is the same when its last good copy is read again."""
    # What is valid JSON is YAML, and not of the making of what writes the last good copy.
    text = json.dumps(data | {"sensors": sensors}, ensure_ascii=False)
    with tempfile.TemporaryDirectory() as folder:
        taken = hostile.configuration(text.encode(), Path(folder))
    event("taken" if taken else "refused")


@pytest.mark.fault(
    "configuration",
    "fuzzing",
    how="any bytes, and configurations in which a piece is another's, drawn by hypothesis",
    part="the loader",
)
@given(
    st.binary(max_size=99)
    | st.text(":-{}[]&*!%#'\"|>?@ \n\tax1", max_size=60).map(str.encode)
    | spoilt(st.sampled_from(SHIPPED).map(Path.read_bytes))
)
def test_configuration_of_any_bytes_is_problems_with_their_places(content: bytes) -> None:
    """Nothing but ConfigError, each problem one line."""
    tried("configuration", content)


_JSON = st.recursive(
    st.none() | st.integers(40, 43) | st.floats() | st.text(max_size=5) | st.just("\x1b[2J\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["rejected", "retry", "id", "reason"]), inner)
    ),
    max_leaves=9,
).map(lambda value: json.dumps(value).encode())


@given(
    st.sampled_from([b"200 OK", b"207 M", b"302 F", b"400 B", b"429 T", b"503 S", b"999 \xff"]),
    st.lists(
        st.sampled_from(
            [
                b"Content-Length: 9",
                b"Content-Encoding: gzip",
                b"Transfer-Encoding: chunked",
                b"Location: //[x",
                b"Retry-After: Mon, 99 Foo 99999 99:99:99 GMT",
            ]
        )
        | spoilt(st.just(b"Retry-After: Sun, 15 Jun 2025 15:08:20 GMT")),
        max_size=2,
    ),
    st.binary(max_size=20) | _JSON | spoilt(_JSON) | _JSON.map(gzip.compress),
)
@example(b"200 OK", [], b'{"rejected": [41], "retry": [41, 42]}')
def test_answer_of_any_bytes_is_a_verdict_on_what_was_sent(
    status: bytes, fields: list[bytes], body: bytes
) -> None:
    """Also where its head is garbage; the words in it can be shown."""
    tried("answer", b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", body]))


_ROW = st.fixed_dictionaries(
    {"queue_id": st.sampled_from("qr"), "id": st.integers(1, 9), "payload": st.just({"t": 1.5})}
)
_ODD_ROW = st.fixed_dictionaries(
    {},
    optional={
        "queue_id": st.sampled_from(["\ud800", "", 1]),
        "id": st.sampled_from([0, -1, 2**63, 1.0, True]),
        "device_id": st.sampled_from(["pi", "\ud800", None]),
        "payload": _JSON.map(json.loads),
        "priority": st.integers(-1, 5),
        "created_at": st.sampled_from([1.5, float("inf"), float("nan"), 10**400, "x"]),
        "ttl_seconds": st.sampled_from([9, float("inf"), None]),
    },
)
_FILE = st.lists(
    st.tuples(_ROW, st.just({}) | st.just({}) | _ODD_ROW).map(
        lambda both: json.dumps(both[0] | both[1]).encode() + b"\n"
    ),
    max_size=12,
).map(b"".join)


@given(st.text("zZdrRt41b5hsx", max_size=9).map(str.encode), _FILE | _FILE | spoilt(_FILE))
@example(b"4", b'{"queue_id":"q","id":1,"payload":{}}\n')
@example(b"r", b'{"queue_id":"q","id":1,"payload":{},"x":"\\ud800"}\n' * 2)
def test_queue_send_of_any_bytes_marks_nothing_as_delivered_that_was_not(
    play: bytes, content: bytes
) -> None:
    """Whatever is in the file, and whatever the server does."""
    tried("exported", play + b"\n" + content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"\0" * (8 << 20)), "a line is longer than any of an export; copy it anew"),
        (b"\x1f\x8b\x08\x00garbage", "copy it anew"),
        (gzip.compress(b"\x1b[2J" * 99), "  no line of an export: Expecting value"),
        (
            gzip.compress(b'{"queue_id":"q","id":1,"payload":{"\x7f\\u001b":NaN}}'),
            "  no line of an export: payload.?? is nan",
        ),
    ],
    ids=["bomb", "cut off", "other text", "keys for a terminal"],
)
def test_queue_send_of_a_file_that_is_no_export_says_so(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """One sentence, exit 1, and nothing is sent."""
    (tmp_path / "x.gz").write_bytes(content)
    with Receiver(tmp_path / "r.db") as receiver:
        ended = command("queue", "send", tmp_path / "x.gz", "--endpoint", receiver.url)
        assert receiver.store.totals().requests == 0
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "unexpected" not in ended.stderr
    assert ended.stderr.replace("\n", "").isprintable()
