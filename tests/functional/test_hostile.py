"""Whatever bytes come: as a configuration, as a server's answer, as a file for `queue send`."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fakes import hostile
from fakes.processes import command
from hypothesis import event, example, given
from hypothesis import strategies as st

from edge_agent.config import document
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


_SCHEMA = json_schema()


@st.composite
def written(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """What an editor would let pass with this schema."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return "${EVERY}" if name == "environment" else draw(written(_SCHEMA["$defs"][name]))
    if "allOf" in schema:
        case = draw(st.sampled_from(schema["allOf"]))
        kind = case["if"]["properties"]["type"]
        own = (
            schema["properties"] | case["then"]["properties"] | {"type": {"enum": [*kind.values()]}}
        )
        required = [*schema["required"], *case["then"].get("required", ())]
        schema = {"type": "object", "properties": own, "required": required}
    if "anyOf" in schema:
        return draw(written(draw(st.sampled_from(schema["anyOf"]))))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    named = schema.get("type", "string")
    return draw(_TYPES[draw(st.sampled_from(named)) if isinstance(named, list) else named](schema))


@st.composite
def _mapping(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """With all that is required, and a few other keys."""
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", False)
    keys = set(schema.get("required", ()))
    if known:
        keys |= draw(st.sets(st.sampled_from(sorted(known)), max_size=2))
    if isinstance(others, dict):
        names = schema.get("propertyNames", {"type": "string", "pattern": "^[a-z]{1,4}$"})
        keys |= set(draw(st.lists(written(names), max_size=2)))
    return {key: draw(written(known.get(key, others))) for key in sorted(keys)}


def _number(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    return st.floats(schema.get("minimum", -1e6), schema.get("maximum", 1e6), width=16)


_TYPES = {
    "object": _mapping,
    "array": lambda schema: st.lists(
        written(schema["items"]), min_size=schema.get("minItems", 0), max_size=3
    ),
    "string": lambda schema: (
        st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else st.text()
    ),
    "number": _number,
    "integer": lambda schema: st.integers(schema.get("minimum", -9), schema.get("maximum", 9)),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
}


@given(written(_SCHEMA))
def test_configuration_of_what_its_schema_allows_is_taken_or_refused_and_kept_as_it_is(
    data: dict[str, Any],
) -> None:
    """A configuration that is taken is the same when its last good copy is read again."""
    with tempfile.TemporaryDirectory() as folder:
        taken = hostile.configuration(document.dump(data).encode(), Path(folder))
    event("taken" if taken else "refused")


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
def test_answer_of_any_bytes_is_a_verdict_on_what_was_sent(
    status: bytes, fields: list[bytes], body: bytes
) -> None:
    """Also where its head is garbage; the words in it can be shown."""
    tried("answer", b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", body]))


_ROW = st.fixed_dictionaries(
    {"queue_id": st.sampled_from(["q", "r", "\ud800", "", 1]), "id": st.integers(-1, 9)},
    optional={
        "device_id": st.sampled_from(["pi", "\ud800", None]),
        "payload": _JSON.map(json.loads) | st.just({"t": 1.5}),
        "priority": st.integers(-1, 5),
        "created_at": st.sampled_from([1.5, float("inf"), float("nan"), 10**400, "x"]),
        "ttl_seconds": st.sampled_from([9, float("inf"), None]),
    },
).map(lambda row: json.dumps({"payload": {"n": 1}, **row}).encode() + b"\n")
_FILE = st.lists(_ROW, max_size=9).map(b"".join)


@given(st.text("zZdrRt41b5hsx", max_size=9).map(str.encode), _FILE | spoilt(_FILE))
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
