"""The page for a server's developer: its examples are run, its tables are the product's own."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.agent import batch_body
from fakes.clock import FakeClock
from fakes.pages import README, SERVER, block, blocks, section, tables
from fakes.processes import Site, command, until
from fakes.wire import Make, batch_of
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import edge_agent
from edge_agent.cloud_sync import CloudSyncQueue, uploader
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.selection import Wanted
from edge_agent.cloud_sync.verdict import Action, Answer, judge
from edge_agent.config.loader import load
from edge_agent.config.model import Config
from edge_agent.receiver import Receiver, ReceiverStore
from edge_agent.receiver.batch import Refusal, read_batch
from edge_agent.receiver.claims import Claims
from edge_agent.receiver.script import load_script
from edge_agent.types import Submission

HOST = "ingest.example.com"
KEY = "pyv_live_x"
TABLES = {table[0][0]: table[1:] for table in tables(SERVER)}


def fates() -> dict[str, Action]:
    """The table of answers: what is written in front, and the verdict behind it."""
    return {row[0]: Action(row[1].strip("`")) for row in TABLES["You answer"]}


def told_of(status: int) -> Action:
    """What the page says of a status: by its number, its range, or its hundred."""
    general = None
    for written, action in fates().items():
        if re.search(rf"\b{status}\b", written):
            return action
        ranges = re.findall(r"(\d+) to (\d+)", written)
        hundreds = re.findall(r"every (?:other )?(\d)xx", written)
        if (
            any(int(least) <= status <= int(most) for least, most in ranges)
            or str(status // 100) in hundreds
        ):
            general = action
    assert general, f"the page says nothing of {status}"
    return general


@pytest.mark.parametrize("hundred", [200, 300, 400, 500])
def test_page_says_of_every_status_what_the_verdict_table_does(hundred: int) -> None:
    """Each of them, on its own."""
    statuses = range(hundred, hundred + 100)
    judged = {
        status: judge(Answer(status, {"location": "/x"}), ids=frozenset(), host=HOST).action
        for status in statuses
    }
    assert {status: told_of(status) for status in statuses} == judged


def test_page_says_of_every_answer_that_is_none_what_the_verdict_table_does() -> None:
    """Pages of portals, answers too long or garbled; and no action is left out."""
    away = Answer(302, {"location": "https://portal.example/"})
    page = Answer(200, {}, b"<!doctype html>")
    long, garbled = Answer(200, {}, b"x", cut=True), Answer(200, {}, b"{")
    (link_down,) = (row for row in fates() if "web page" in row)
    (disbelieved,) = (row for row in fates() if "64 KiB" in row)
    for answer, row in (
        (away, link_down),
        (page, link_down),
        (long, disbelieved),
        (garbled, disbelieved),
    ):
        assert judge(answer, ids=frozenset(), host=HOST).action is fates()[row]
    assert set(fates().values()) == set(Action)


def test_page_s_verdict_on_items_is_understood() -> None:
    """The body of a 2xx that tells them apart."""
    (said,) = (text for text in blocks(SERVER, "json") if "rejected" in text)
    verdict = judge(Answer(200, {}, said.encode()), ids=frozenset({41, 42, 43}), host=HOST)
    assert verdict.action is Action.DELIVERED
    assert verdict.rejected == {41: "no such zone"}
    assert verdict.retry == {42}


def test_page_s_request_is_what_the_agent_sends(make: Make, httpserver: HTTPServer) -> None:
    """The same fields in the head, and the same keys in the body."""
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(status=204)

    httpserver.expect_request("/v1/ingest").respond_with_handler(answer)
    example = json.loads(block(SERVER, "json", '{"version"'))
    (item,) = example["batch"]
    row = replace(batch_of(item["id"]).rows[0], payload=json.dumps(item["data"]))
    sender = make(httpserver.url_for("/v1/ingest"), api_key=KEY)
    assert sender.send(Batch(example["queue_id"], example["device_id"], (row,)))
    (request,) = seen
    assert json.loads(gzip.decompress(request.data)) == example
    first, *fields = block(SERVER, "text", "POST").splitlines()
    assert first == "POST /v1/ingest HTTP/1.1"
    told = dict(field.split(": ") for field in fields)
    assert not told.keys() - {name for name, _ in request.headers}
    assert told["User-Agent"] == f"pyvorin-agent/{edge_agent.__version__}"
    assert request.headers["Authorization"].split()[0] == told["Authorization"].split()[0]
    for name in ("Content-Type", "Content-Encoding", "User-Agent"):
        assert request.headers[name] == told[name]
    assert re.fullmatch(r'"[0-9a-f]{64}"', request.headers["Idempotency-Key"])


def test_page_s_request_is_taken_by_the_receiver_and_told_field_by_field() -> None:
    """Each key of it has a line in the table."""
    text = block(SERVER, "json", '{"version"')
    batch = read_batch(text.encode())
    assert [item.id for item in batch.items] == [41]
    outer = json.loads(text)
    told = {row[0].strip("`") for row in TABLES["Field"]}
    assert told == outer.keys() | outer["batch"][0].keys()
    limits = " ".join(row[1] for row in TABLES["Field"])
    upload = Config().upload
    assert f"`upload.batch_size` readings ({upload.batch_size})" in limits
    assert f"({upload.max_body_bytes >> 20} MiB)" in limits


def test_page_s_statuses_of_the_receiver_are_its_own(tmp_path: Path) -> None:
    """For another body under a known key, and for one that is still being worked on."""
    text = " ".join(SERVER.split())
    ((other, same),) = re.findall(r"answers (\d+) to another body .*? (\d+) while", text)
    store, claims = ReceiverStore(tmp_path / "r.db"), Claims()
    with contextlib.closing(store):
        store.store(read_batch(batch_body(1), "k"))
        with pytest.raises(Refusal) as another:
            store.store(read_batch(batch_body(2), "k"))
    with claims.hold("k"), pytest.raises(Refusal) as working, claims.hold("k"):
        pass
    assert (another.value.status, working.value.status) == (int(other), int(same))


def test_page_s_statuses_that_may_mean_gzip_are_the_uploader_s() -> None:
    """Those after which the same goes once more as it is."""
    (told,) = re.findall(r"refuse the first one with ([^:]*):", SERVER)
    assert tuple(map(int, re.findall(r"\d+", told))) == uploader._DISLIKES_GZIP


def test_readme_s_short_form_of_the_page_says_the_same() -> None:
    """Its statuses, its verdicts on items, and the same request but for its labels."""
    short = section(README, "The server's side")
    judged = {
        status: judge(Answer(int(status), {"retry-after": "9"}), ids=frozenset(), host=HOST)
        for status in re.findall(r"\b[1-5]\d\d\b(?! of)", short)
    }
    assert {status: verdict.retry_after_s for status, verdict in judged.items()} == {
        "503": 9.0,
        "429": 9.0,
        **dict.fromkeys(["401", "404", "400"]),
    }
    assert judged["401"].action is judged["404"].action is Action.SUSPENDED
    assert judged["400"].action is Action.REFUSED
    rejected, retry = re.findall(r'`(\{"re[^`]*)`', short)
    said = json.dumps(json.loads(rejected) | json.loads(retry)).encode()
    verdict = judge(Answer(200, {}, said), ids=frozenset({41, 42}), host=HOST)
    assert (verdict.rejected.keys(), verdict.retry) == ({41}, {42})
    example = json.loads(block(SERVER, "json", '{"version"'))
    del example["batch"][0]["data"]["metadata"]["site"]
    assert json.loads(block(short, "json", '{"version"')) == example


# -- SQL ---------------------------------------------------------------------------------------


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with the page's table."""
    connection = sqlite3.connect(tmp_path / "server.db")
    connection.executescript(block(SERVER, "sql", "CREATE TABLE"))
    connection.executescript(block(SERVER, "sql", "CREATE TABLE"))
    yield connection
    connection.close()


def store(db: sqlite3.Connection, request: Mapping[str, Any]) -> None:
    """One request, with the page's own statement."""
    for item in request["batch"]:
        data = item["data"]
        fields = {
            "queue_id": request["queue_id"],
            "device_id": request["device_id"],
            "id": item["id"],
            "sensor_name": data["sensor_name"],
            "measured_at": data["timestamp"],
            "data": json.dumps(data),
        }
        db.execute(block(SERVER, "sql", "INSERT"), fields)
    db.commit()


def count(db: sqlite3.Connection) -> int:
    (number,) = db.execute("SELECT COUNT(*) FROM readings").fetchone()
    assert isinstance(number, int)
    return number


def test_page_s_sql_stores_a_reading_once(db: sqlite3.Connection) -> None:
    """The same again is ignored; the same id of another queue is another reading."""
    request = json.loads(block(SERVER, "json", '{"version"'))
    store(db, request)
    store(db, request)
    assert count(db) == 1
    store(db, request | {"queue_id": "another"})
    assert count(db) == 2
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT data FROM readings WHERE sensor_name = ? ORDER BY measured_at",
        ("x",),
    ).fetchall()
    assert "readings_by_time" in plan[0][3]


def test_page_s_sql_forgets_whom_purge_named(site: Site, db: sqlite3.Connection) -> None:
    """The ids that the command prints, put into the page's statement; nobody else's go."""
    site.configure("")
    for badges in ((17, 18), (17,)):
        # Each opening has a queue_id of its own.
        with CloudSyncQueue(site.queue, device_id="pi-7") as queue:
            for badge in badges:
                data = {"sensor_name": "door", "timestamp": 1.0, "metadata": {"badge_id": badge}}
                queue.enqueue_many([Submission(data)] * 3)
            batch = queue.next_batch(Wanted(10, newest_first=True))
            assert batch
            store(db, json.loads(batch.body()))
    assert count(db) == 9
    shown = re.findall(r"`pyvorin-agent (queue purge [^`]+)`", SERVER)[0]
    said = command(*shown.split(), "--yes", "--config", site.config).stdout
    heading, columns, *lines = said[said.index("ids ever") :].splitlines()
    example = block(SERVER, "text", "ids ever").splitlines()
    assert [heading, columns.split()] == [example[0], example[1].split()]
    assert all(len(line.split()) == len(columns.split()) for line in (*lines, *example[2:]))
    for queue_id, _, first, last in map(str.split, lines):
        ids = {"queue_id": queue_id, "first": int(first), "last": int(last), "badge_id": 17}
        db.execute(block(SERVER, "sql", "DELETE"), ids)
    left = [
        json.loads(data)["metadata"]["badge_id"]
        for (data,) in db.execute("SELECT data FROM readings")
    ]
    assert left == [18] * 3


# -- trying things out -------------------------------------------------------------------------


def test_page_s_script_is_played_as_it_says(tmp_path: Path, make: Make) -> None:
    """Each step does to the agent what the comment beside it says."""
    text = block(SERVER, "yaml", "steps:")
    file = tmp_path / "faults.yaml"
    file.write_text(text.replace("every: 1s", "every: 1ms"))
    clock = FakeClock()
    with Receiver(tmp_path / "r.db", script=load_script(file), clock=clock) as receiver:
        sender = make(receiver.url)
        busy = [sender.send(batch_of(1)) for _ in range(3)]
        assert [verdict.retry_after_s for verdict in busy] == [30, 30, 30]
        assert sender.send(batch_of(1)).reason.startswith("reset")
        until(lambda: sender.send(batch_of(1)).reason.startswith("refused"), "the port to close")
        clock.advance(10)
        until(lambda: sender.send(batch_of(1)).action is Action.DELIVERED, "the port to open")
        door = door_batch(2)
        assert sender.send(door).rejected == {2: "not mine"}
        assert sender.send(batch_of(*range(3, 103))).action is Action.DELIVERED
        assert [sender.send(batch_of(n)).action for n in (103, 104)] == [Action.DELIVERED] * 2
        counts = [(count.do, count.done) for count in receiver.endpoint.play.counts]
    assert counts == [
        ("status", 3),
        ("lose_answer", 1),
        ("refuse", 0),
        ("reject", 1),
        ("drip", 1),
        ("status", 0),
    ]


def door_batch(number: int) -> Batch:
    """One reading of a sensor called door."""
    (row,) = batch_of(number).rows
    return Batch("q-1", "pi-7", (replace(row, payload='{"sensor_name":"door"}'),))


def test_page_s_agent_for_trying_a_server_sends(site: Site) -> None:
    """As it stands, but for the server's port and the queue's place."""
    text = block(section(SERVER, "Test your own server"), "yaml", "queue:")
    assert load(written(site.config, text), {}).config.sensors
    _, url = site.receiver()
    text = text.replace("http://127.0.0.1:8089/v1/ingest", url)
    written(site.config, re.sub(r"path: [^},]+", f"path: {site.queue}", text))
    agent = site.agent()
    until(lambda: site.status()["totals"]["delivered"] > 20, "readings")
    assert agent.end() == 0


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file
