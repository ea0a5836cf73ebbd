"""What holds whatever bytes come: as a configuration, an answer, or a file for `queue send`.

Each function of `TARGETS` takes any bytes and an empty folder, and fails where a promise is broken.
The property tests feed them, and `scripts/fuzz`; what once broke one stands in `testcases/fuzz`.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from edge_agent.cloud_sync import HTTPCloudUploader, carried, deadline
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.courier import Courier
from edge_agent.cloud_sync.verdict import LONGEST_REASON, LONGEST_RETRY_AFTER_S, Action, Verdict
from edge_agent.config import last_good
from edge_agent.config.loader import load
from edge_agent.errors import ConfigError, StoreError, UploaderError
from fakes.wire import batch_of

#: Stands between agent.yaml and its fragments; no YAML may hold it.
NEXT_FILE = b"\n\x1e\n"
_ENVIRON = {"A": "x", "EVERY": "5s"}
_MOST_FILES = 4
#: A queue's ids are SQLite's rowids. Source: https://sqlite.org/autoinc.html
_MOST_ID = 2**63 - 1


def configuration(content: bytes, folder: Path) -> bool:
    """A configuration, or problems of one line each with their place; kept, it is the same again.

    The bytes are agent.yaml and, after each `NEXT_FILE`, a fragment. Returns whether it was taken.
    """
    main = folder / "agent.yaml"
    fragments = main.with_suffix(".d")
    fragments.mkdir()
    first, *others = content.split(NEXT_FILE)[:_MOST_FILES]
    main.write_bytes(first)
    for number, other in enumerate(others):
        (fragments / f"{number}.yaml").write_bytes(other)
    loaded, problems = None, ()
    try:
        loaded = load(main, _ENVIRON)
    except ConfigError as refused:
        problems = refused.problems
    place = re.compile(rf"{re.escape(str(folder))}/agent\.(yaml|d/\d\.yaml)(:\d+:\d+)?: .")
    for problem in problems:
        assert place.match(problem), problem
        assert problem.isprintable(), problem
    if loaded is None:
        assert problems
        return False
    kept = folder / "last_good.yaml"
    last_good.save(kept, loaded.text_for_last_good)
    again = load(kept, _ENVIRON)
    assert again.config == loaded.config
    assert again.text_for_last_good == loaded.text_for_last_good
    return True


def answer(content: bytes, folder: Path) -> None:
    """A verdict about what was sent, and words that can be shown and stored.

    The bytes are what comes over the wire; where they begin with no status line, one is put before.
    """
    del folder
    if not content.startswith(b"HTTP/"):
        content = b"HTTP/1.1 207 Multi-Status\r\n\r\n" + content
    batch = batch_of(41, 42)
    uploader = HTTPCloudUploader("http://127.0.0.1:9/", auth="none")
    with contextlib.closing(uploader), _wired_to(content):
        verdict = uploader.send(batch)
    ids = set(batch.ids)
    assert verdict.rejected.keys() <= ids
    assert verdict.retry <= ids - verdict.rejected.keys()
    assert verdict.action is Action.DELIVERED or not (verdict.rejected or verdict.retry)
    assert verdict.retry_after_s is None or 0 <= verdict.retry_after_s <= LONGEST_RETRY_AFTER_S
    for words in (verdict.reason, *verdict.rejected.values()):
        assert len(words) <= LONGEST_REASON
        assert words.isprintable(), words


@contextlib.contextmanager
def _wired_to(content: bytes) -> Iterator[None]:
    """Every connection that is made meanwhile finds these bytes, and then the end."""
    opened: list[socket.socket] = []

    def connect(*_: object) -> socket.socket:
        near, far = socket.socketpair()
        opened.extend((near, far))
        # Both directions of a pair hold what a request and an answer are here.
        far.sendall(content)
        far.shutdown(socket.SHUT_WR)
        near.settimeout(1.0)
        return near

    with mock.patch.object(deadline, "connect", connect):
        yield
    for sock in opened:
        sock.close()


def exported(content: bytes, folder: Path) -> None:
    """`queue send` ends with a sentence; each line it has behind it was taken or is written down.

    The first line is the play: ``Z`` packs the file, ``z`` only names it so, ``N`` takes the second
    line for the note of how far it came; every other letter is what the server does (`_ACTS`),
    until all are played and it takes everything. The rest is the file.
    """
    play, _, rest = content.partition(b"\n")
    note = b""
    if b"N" in play:
        note, _, rest = rest.partition(b"\n")
    packed = b"z" in play or b"Z" in play
    file = folder / ("x.ndjson.gz" if packed else "x.ndjson")
    file.write_bytes(gzip.compress(rest, 1) if b"Z" in play else rest)
    if note:
        file.with_name(f"{file.name}.sent").write_bytes(note)
    server = _Server([_ACTS[letter] for letter in play.decode("latin-1") if letter in _ACTS])
    for _ in range(2):
        courier = _sent(file, server)
        if not note:
            _check_books(file, courier, server)
        server.play.clear()


def _sent(file: Path, server: _Server) -> Courier:
    courier = Courier(file, server, items=4, max_bytes=4096, sleep=lambda _: None)
    with contextlib.suppress(UploaderError, StoreError):
        courier.run(lambda _: None)
    if courier.rejects.exists():
        for line in itertools.islice(carried.lines_of(courier.rejects), 20):
            assert carried.reason_of(line).isprintable()
    return courier


def _refuse_constant(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")


_ACTS: Mapping[str, Callable[[Batch], Verdict]] = {
    "d": lambda _: Verdict(Action.DELIVERED, "HTTP 200"),
    "r": lambda b: Verdict(Action.DELIVERED, "HTTP 207", rejected={b.ids[0]: "no"}),
    "R": lambda b: Verdict(Action.DELIVERED, "HTTP 207", rejected=dict.fromkeys(b.ids, "no")),
    "t": lambda b: Verdict(Action.DELIVERED, "HTTP 207", retry=frozenset(b.ids[-1:])),
    "4": lambda _: Verdict(Action.REFUSED, "HTTP 400"),
    "1": lambda _: Verdict(Action.TOO_LARGE, "HTTP 413"),
    "b": lambda _: Verdict(Action.DISBELIEVED, "none"),
    "5": lambda _: Verdict(Action.BROKEN, "HTTP 500"),
    "h": lambda _: Verdict(Action.HELD, "HTTP 429", retry_after_s=99.0),
    "s": lambda _: Verdict(Action.SUSPENDED, "HTTP 401"),
    "x": lambda _: Verdict(Action.LINK_DOWN, "dns: none"),
}


class _Server:
    """Plays its part, and checks and remembers what it is sent."""

    endpoint = "https://a.example/"

    def __init__(self, play: list[Callable[[Batch], Verdict]]) -> None:
        self.play = play
        self.took: set[tuple[str, int]] = set()

    def send(self, batch: Batch) -> Verdict:
        said = json.loads(batch.body().decode(), parse_constant=_refuse_constant)
        assert said["version"] == 1
        assert said["queue_id"]
        assert isinstance(said.get("device_id", ""), str)
        (said["queue_id"] + said.get("device_id", "")).encode()
        ids = [item["id"] for item in said["batch"]]
        assert len(ids) == len(set(ids)) > 0
        for item in said["batch"]:
            assert type(item["id"]) is int
            assert 0 < item["id"] <= _MOST_ID
            assert isinstance(item["data"], dict)
        verdict = (self.play.pop(0) if self.play else _ACTS["d"])(batch)
        if verdict.action in (Action.DELIVERED, Action.DISBELIEVED):
            named = verdict.rejected.keys() | verdict.retry
            self.took |= {(batch.queue_id, number) for number in ids if number not in named}
        return verdict


def _check_books(file: Path, courier: Courier, server: _Server) -> None:
    """Nothing counts as delivered that was not, and nothing that is behind us is nowhere."""
    lines, position = _readable(file), courier.position
    assert position.lines <= len(lines)
    assert position.delivered + position.rejected == position.lines
    written = courier.rejects.read_bytes() if courier.rejects.exists() else b""
    refused = [json.loads(line) for line in written[: position.rejected_bytes].splitlines()]
    assert len(refused) == position.rejected
    named = {(said["queue_id"], said["id"]) for said in refused if "id" in said}
    assert server.took or not named, "written off without a witness"
    taken = 0
    for raw in lines[: position.lines]:
        line = carried.parsed(raw)
        name = (line.queue_id, line.row.id) if line.row else None
        assert name is None or name in server.took | named
        taken += name in server.took
    assert position.delivered <= taken


def _readable(file: Path) -> list[bytes]:
    """The lines of the file, as far as it can be read."""
    if file.suffix != ".gz":
        with file.open("rb") as plain:
            return list(plain)
    lines: list[Any] = []
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(file) as unpacked:
        lines.extend(unpacked)
    return lines


#: By the name that `scripts/fuzz` knows each by.
TARGETS: Mapping[str, Callable[[bytes, Path], object]] = {
    "configuration": configuration,
    "answer": answer,
    "exported": exported,
}
