"""Which rows of an exported file are sent, written off, or left for the next run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_agent.cloud_sync import carried, courier
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.courier import Courier
from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.errors import StoreError, UploaderError


class Server:
    """An uploader to a server that takes what `judge` lets it."""

    endpoint = "https://a.example/"

    def __init__(self, judge: Callable[[Batch], Verdict | None] = lambda _: None) -> None:
        self.took: list[int] = []
        self.judge = judge

    def send(self, batch: Batch) -> Verdict:
        verdict = self.judge(batch) or Verdict(Action.DELIVERED, "HTTP 200")
        if verdict.action is Action.DELIVERED:
            named = verdict.rejected.keys() | verdict.retry
            self.took += [number for number in batch.ids if number not in named]
        return verdict


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "x.ndjson", range(1, 41))


def written(file: Path, ids: Sequence[int], queue_id: str = "q") -> Path:
    lines = [
        {"device_id": "pi", "queue_id": queue_id, "id": number, "payload": {"n": number}}
        for number in ids
    ]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def run(file: Path, server: Server, *, naps: list[float] | None = None) -> Courier:
    """One run to its end."""
    sent = Courier(
        file, server, items=8, max_bytes=1 << 20, sleep=[].append if naps is None else naps.append
    )
    sent.run(lambda _: None)
    return sent


def refuses(bad: set[int]) -> Callable[[Batch], Verdict | None]:
    """A server that answers 400 to each request with one of these rows."""
    return lambda batch: Verdict(Action.REFUSED, "HTTP 400") if bad & set(batch.ids) else None


def refused_ids(sent: Courier) -> list[int]:
    return [json.loads(line)["id"] for line in sent.rejects.read_text().splitlines()]


def test_courier_writes_off_many_bad_rows_in_a_row_with_a_witness(file: Path) -> None:
    """Before the fifth, a row that was taken is sent again; the server takes it still."""
    bad = set(range(11, 25))
    server = Server(refuses(bad))
    sent = run(file, server)
    assert refused_ids(sent) == sorted(bad)
    assert set(server.took) == set(range(1, 41)) - bad
    assert (sent.position.delivered, sent.position.rejected) == (26, 14)


def test_courier_whose_witness_is_refused_too_writes_nothing_more_off(file: Path) -> None:
    """The server changed its mind about everything: the rest is left, for the next run."""
    server = Server()
    server.judge = lambda _: Verdict(Action.REFUSED, "HTTP 400") if len(server.took) > 8 else None
    with pytest.raises(UploaderError, match="the server refuses everything: HTTP 400"):
        run(file, server)
    server.judge = lambda _: None
    sent = run(file, server)
    assert set(server.took) == set(range(1, 41))
    assert (sent.position.delivered, sent.position.rejected) == (40, 0)
    assert not sent.rejects.exists()


def test_courier_first_row_refused_waits_for_a_witness(file: Path) -> None:
    """It is written off only once another one was taken."""
    sent = run(file, Server(refuses({1})))
    assert refused_ids(sent) == [1]
    alone = written(file.with_name("alone"), [1])
    with pytest.raises(UploaderError, match="took no row at all: HTTP 400"):
        run(alone, Server(refuses({1})))
    assert not alone.with_name("alone.rejected").exists()


def test_courier_sends_again_what_is_wanted_again(file: Path) -> None:
    """On its own, after a pause."""
    asked: list[tuple[int, ...]] = []
    naps: list[float] = []

    def judge(batch: Batch) -> Verdict | None:
        asked.append(batch.ids)
        again = frozenset({3}) if batch.ids != (3,) and 3 in batch.ids else frozenset()
        return Verdict(Action.DELIVERED, "HTTP 207", retry=again)

    run(file, Server(judge), naps=naps)
    assert asked[1] == (3,)
    assert len(naps) == 1


def test_courier_waits_for_a_busy_server_a_while_and_no_longer(file: Path) -> None:
    """What it asks for is kept to; too long for a person, and the run ends."""
    naps: list[float] = []
    busy = [Verdict(Action.HELD, "HTTP 429", retry_after_s=10.0), None]
    assert run(file, Server(lambda _: busy.pop(0) if busy else None), naps=naps)
    assert len(naps) == 1
    assert 10.0 <= naps[0] <= 11.0
    late = written(file.with_name("late"), [1])
    with pytest.raises(UploaderError, match="HTTP 503; run it again in 300 s"):
        run(late, Server(lambda _: Verdict(Action.HELD, "HTTP 503", retry_after_s=300.0)))
    with pytest.raises(UploaderError, match="endpoint or key is wrong: HTTP 401"):
        run(late, Server(lambda _: Verdict(Action.SUSPENDED, "HTTP 401")))


def test_courier_does_not_take_another_file_for_the_one_it_knows(file: Path) -> None:
    """One of the same name and length, and the same one at another endpoint, are begun anew."""
    run(file, Server())
    other = Server()
    run(written(file, range(41, 81)), other)
    assert other.took == list(range(41, 81))
    elsewhere = Server()
    elsewhere.endpoint = "https://b.example/"
    run(file, elsewhere)
    assert elsewhere.took == list(range(41, 81))


def test_courier_goes_on_in_a_file_that_has_grown(file: Path) -> None:
    """What is behind it is what it knows."""
    run(file, Server())
    with file.open("a") as more:
        more.write('{"device_id":"pi","queue_id":"q","id":41,"payload":{}}\n')
    server = Server()
    run(file, server)
    assert server.took == [41]


def test_courier_writes_refused_rows_down_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a run broke off between writing them and noting that."""
    kept = carried.keep

    def breaks_off(note: Path, position: carried.Position) -> None:
        if position.rejected:
            raise StoreError("power cut")
        kept(note, position)

    monkeypatch.setattr(courier.carried, "keep", breaks_off)
    with pytest.raises(StoreError):
        run(file, Server(refuses({20})))
    monkeypatch.setattr(courier.carried, "keep", kept)
    assert refused_ids(run(file, Server(refuses({20})))) == [20]


def test_courier_whose_list_of_refused_rows_was_cleared_away_begins_a_new_one(file: Path) -> None:
    """Without a gap in it where the other was."""
    run(file, Server(refuses({20}))).rejects.unlink()
    with file.open("a") as more:
        more.write(written(file.with_name("more"), [41, 42]).read_text())
    assert refused_ids(run(file, Server(refuses({42})))) == [42]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no json", "Expecting value"),
        ('{"queue_id": "q", "payload": {}}', "it has no 'id'"),
        ('{"queue_id": "", "id": 1, "payload": {}}', "queue_id is no text"),
        ('{"queue_id": "q", "id": 0, "payload": {}}', "id is none that a queue gives"),
        ('{"queue_id": "q", "id": 1e3, "payload": {}}', "id is 1000.0"),
        ('{"queue_id": "q", "id": true, "payload": {}}', "id is True"),
        ('{"queue_id": "q", "id": 1, "payload": {"a": NaN}}', "only finite numbers"),
        ('{"queue_id": "q", "id": 1, "payload": [1]}', "a payload is a dictionary"),
        ("[]", "no line of an export"),
    ],
)
def test_courier_lists_lines_that_are_none_of_an_export(file: Path, line: str, why: str) -> None:
    """And sends the others."""
    whole = file.read_text()
    file.write_text(f"{line}\n{whole}")
    server = Server()
    sent = run(file, server)
    assert server.took == list(range(1, 41))
    (refused,) = carried.lines_of(sent.rejects)
    assert why in carried.reason_of(refused)
    assert json.loads(refused)["line"] == f"{line}\n"


def test_courier_mixes_no_two_origins_in_a_request(file: Path) -> None:
    """A request holds one queue_id; and no more rows or bytes than it may."""
    written(file, range(1, 6))
    first = file.read_text()
    file.write_text(first + written(file, range(3, 6), "r").read_text())
    lines = list(carried.lines_of(file))
    sizes = [len(chunk) for chunk in carried.chunks(iter(lines), 4, 1 << 20)]
    assert sizes == [4, 1, 3]
    room = 2 * (len(lines[0]) + carried.ITEM_OVERHEAD_BYTES)
    assert [len(chunk) for chunk in carried.chunks(iter(lines), 4, room)] == [2, 2, 1, 2, 1]
