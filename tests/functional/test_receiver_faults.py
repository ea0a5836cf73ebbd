"""Every fault that a script can play: what comes over the wire, and what the agent makes of it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import select
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.agent import JSON, ask, batch_body, connected
from fakes.clock import FakeClock
from fakes.processes import until
from fakes.wire import Make, batch_of

from edge_agent.cloud_sync.verdict import Action, Verdict
from edge_agent.receiver import Receiver
from edge_agent.receiver.actions import ACTIONS
from edge_agent.receiver.handler import INGEST_PATH
from edge_agent.receiver.script import load_script

BATCH = batch_of(41, 42)
KEYED = JSON | {"Idempotency-Key": '"k"'}

Play = Callable[..., Receiver]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Makes receivers that play these lines."""
    with contextlib.ExitStack() as made:

        def play_it(*lines: str, **options: Any) -> Receiver:
            file = tmp_path / "script.yaml"
            file.write_text("steps:\n" + "".join(f"  - {line}\n" for line in lines))
            receiver = Receiver(tmp_path / "r.db", script=load_script(file), **options)
            return made.enter_context(receiver)

        yield play_it


def wire(receiver: Receiver, body: bytes = b"", *, most: int = 1 << 20) -> tuple[bytes, str]:
    """What a client sees to the end, byte by byte, and how it ends."""
    body = body or batch_body(41, 42)
    request = (
        f"POST {INGEST_PATH} HTTP/1.1\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    seen = b""
    with socket.create_connection(receiver.address, timeout=30) as client:
        client.sendall(request.encode() + body)
        try:
            while len(seen) < most and (piece := client.recv(65_536)):
                seen += piece
        except ConnectionResetError:
            return seen, "reset"
    return seen, "closed"


def verdict(make: Make, receiver: Receiver, **options: Any) -> Verdict:
    """What the agent makes of it."""
    return make(receiver.url, **{"timeout": 5.0} | options).send(BATCH)


def stored(receiver: Receiver) -> list[int]:
    """The ids that were kept."""
    return [item.id for item in receiver.store.items()]


#: A step, how the answer begins and ends on the wire, what the agent makes of it, what was stored.
FAULTS: list[tuple[str, bytes, str, Action, list[int]]] = [
    ("{do: normal}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [41, 42]),
    ("{do: portal}", b"HTTP/1.1 200 OK", "closed", Action.LINK_DOWN, []),
    ("{do: redirect}", b"HTTP/1.1 302 Found", "closed", Action.SUSPENDED, []),
    (
        "{do: redirect, to: 'http://portal.invalid/', status: 307}",
        b"HTTP/1.1 307 Temporary Redirect",
        "closed",
        Action.LINK_DOWN,
        [],
    ),
    ("{do: reject, where: {n: 41}}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [42]),
    ("{do: retry, ids: [42]}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [41]),
    ("{do: wrong_ids}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [41, 42]),
    ("{do: bad_json}", b"HTTP/1.1 200 OK", "closed", Action.DISBELIEVED, [41, 42]),
    ("{do: lose_answer}", b"", "reset", Action.LINK_DOWN, [41, 42]),
    ("{do: lose_answer, reset: false, store: false}", b"", "closed", Action.LINK_DOWN, []),
    ("{do: cut_answer}", b"HTTP/1.1 200 OK", "closed", Action.LINK_DOWN, [41, 42]),
    ("{do: cut_answer, reset: true}", b"", "reset", Action.LINK_DOWN, [41, 42]),
    ("{do: hang, silence: 1ms}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [41, 42]),
    ("{do: drip, every: 1ms}", b"HTTP/1.1 200 OK", "closed", Action.DELIVERED, [41, 42]),
    ("{do: large_answer, size: 65KiB}", b"HTTP/1.1 200", "closed", Action.DISBELIEVED, [41, 42]),
    (
        "{do: large_answer, size: 65KiB, packed: true}",
        b"HTTP/1.1 200",
        "closed",
        Action.DISBELIEVED,
        [41, 42],
    ),
    *(
        (f"{{do: status, status: {status}}}", f"HTTP/1.1 {status} ".encode(), "closed", action, [])
        for action, statuses in {
            Action.DELIVERED: (202, 204, 207),
            Action.REFUSED: (400, 422),
            Action.TOO_LARGE: (413,),
            Action.IN_PROGRESS: (409,),
            Action.HELD: (408, 425, 429),
            Action.BROKEN: (500, 502, 503, 504, 599),
            Action.SUSPENDED: (304, 401, 403, 404, 405, 407, 410, 415, 418, 501),
        }.items()
        for status in statuses
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault[0] for fault in FAULTS])
def test_fault_is_played_and_understood(
    play: Play, make: Make, fault: tuple[str, bytes, str, Action, list[int]]
) -> None:
    """To a bare client first, then to the agent."""
    step, begins, ends, action, kept = fault
    receiver = play(step)
    seen, end = wire(receiver, json.dumps(wire_document()).encode())
    assert seen.startswith(begins)
    assert end == ends
    assert stored(receiver) == kept
    assert verdict(make, receiver, compression="none").action is action
    assert stored(receiver) == kept
    assert receiver.endpoint.play.counts[0].done == 2


def wire_document() -> dict[str, Any]:
    """What the agent sends, without its key."""
    document: dict[str, Any] = json.loads(BATCH.body())
    return document


def test_every_action_is_played_here() -> None:
    """A new one needs a line above or a test below."""
    by_themselves = {"deaf", "refuse"}
    played = {fault[0][5:].split(",")[0].rstrip("}") for fault in FAULTS}
    assert played | by_themselves == ACTIONS.keys()


def test_verdicts_name_the_items_of_the_step(play: Play, make: Make) -> None:
    """By value and by id, each with the reason; a step lets the others pass."""
    receiver = play(
        "{do: reject, where: {n: 43}, reason: none of it, requests: 1}",
        "{do: reject, where: {n: 41}, reason: no unit, requests: 1}",
        "{do: retry, ids: [42], requests: 1}",
    )
    assert [count.done for count in receiver.endpoint.play.counts] == [0, 0, 0]
    make_one = make(receiver.url)
    assert make_one.send(batch_of(43)).rejected == {43: "none of it"}
    assert make_one.send(BATCH).rejected == {41: "no unit"}
    assert make_one.send(batch_of(41, 42, 44)).retry == {42}
    assert stored(receiver) == [42, 41, 44]


@pytest.mark.fault(
    "poison",
    "an item at the server",
    how="400 to whatever holds it",
    part="flusher and uploader, in the test's process",
)
def test_poison_is_refused_until_it_stands_alone(play: Play, make: Make) -> None:
    """400 to whatever holds it; the others are taken."""
    receiver = play("{do: status, status: 400, where: {n: 42}}")
    uploader = make(receiver.url, compression="none")
    assert uploader.send(BATCH).action is Action.REFUSED
    assert [uploader.send(half).action for half in BATCH.halves()] == [
        Action.DELIVERED,
        Action.REFUSED,
    ]
    (count,) = receiver.endpoint.play.counts
    assert (count.done, count.passed, count.stored) == (2, 1, 1)


@pytest.mark.parametrize("limit", ["over_items: 1", "over_size: 100B"])
def test_too_large_is_refused_until_it_is_halved(play: Play, make: Make, limit: str) -> None:
    """413 above so many items or bytes."""
    receiver = play(f"{{do: status, status: 413, {limit}}}")
    uploader = make(receiver.url)
    assert uploader.send(BATCH).action is Action.TOO_LARGE
    assert len(BATCH.body()) > 100 > max(len(half.body()) for half in BATCH.halves())
    assert [uploader.send(half).action for half in BATCH.halves()] == [Action.DELIVERED] * 2


@pytest.mark.parametrize("status", [400, 415])
def test_gzip_can_be_refused_alone(play: Play, make: Make, status: int) -> None:
    """As a server does that never heard of it; the agent has another try without."""
    receiver = play(f"{{do: status, status: {status}, gzip: true}}")
    assert verdict(make, receiver).action is Action.DELIVERED
    assert receiver.endpoint.answers == {status: 1, 200: 1}


def test_status_says_body_fields_and_when_to_come_back(play: Play, make: Make) -> None:
    """Retry-After in seconds and as a date; the agent reads both."""
    clock = FakeClock()
    busy = "{do: status, status: 503, body: closed, headers: {X-A: 1}, retry_after: 90s, requests: "
    receiver = play(f"{busy}1}}", f"{busy}1, as_date: true}}", f"{busy}1}}", clock=clock)
    verdicts = [make(receiver.url, clock=clock).send(BATCH) for _ in range(2)]
    assert [v.retry_after_s for v in verdicts] == [90, pytest.approx(90, abs=1)]
    seen, _ = wire(receiver)
    assert b"\r\nX-A: 1\r\n" in seen
    assert b"\r\nRetry-After: 90\r\n" in seen
    assert seen.endswith(b"\r\n\r\nclosed")


@pytest.mark.fault(
    "server",
    "stores, and its answer is lost",
    how="a scripted receiver stores and resets",
    part="the uploader, in the test's process",
)
def test_lost_answer_is_given_when_the_same_comes_again(play: Play, make: Make) -> None:
    """Stored, reset, sent again: delivered, once."""
    receiver = play("{do: lose_answer, requests: 1}")
    uploader = make(receiver.url)
    assert uploader.send(BATCH).reason.startswith("reset: ")
    assert uploader.send(BATCH).action is Action.DELIVERED
    assert receiver.store.totals() == (2, 2, 2)


def test_large_answer_costs_no_memory(play: Play, make: Make) -> None:
    """A gigabyte is announced and made as it is sent; the agent has enough after 64 KiB."""
    receiver = play("{do: large_answer, requests: 1}", "{do: large_answer, packed: true}")
    tracemalloc.start()
    actions = [verdict(make, receiver).action for _ in range(2)]
    receiver.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert actions == [Action.DISBELIEVED] * 2
    assert peak < 4 << 20


def test_bomb_unpacks_to_what_it_says(play: Play) -> None:
    """A real gzip, a thousand times its size."""
    receiver = play("{do: large_answer, packed: true, size: 20MB}")
    seen, _ = wire(receiver)
    assert len(seen) < 50_000
    assert len(zlib.decompress(seen.split(b"\r\n\r\n", 1)[1], wbits=31)) == 20_000_000


def test_hang_is_in_progress_until_one_side_hangs_up(play: Play) -> None:
    """409 to the same key meanwhile; stored before the silence, and released by the client."""
    receiver = play("{do: hang, requests: 1}")
    with connected(receiver.address) as first, connected(receiver.address) as second:
        first.request("POST", INGEST_PATH, batch_body(1), KEYED)
        until(lambda: stored(receiver), "the first to be stored")
        assert ask(second, batch_body(1), KEYED)[0] == 409
        first.close()
        again = until(
            lambda: (said := ask(second, batch_body(1), KEYED))[0] == 200 and said, "its end"
        )
    assert again == (200, {"stored": 1, "repeated": 0})


def test_slow_answer_is_in_nobodys_way(play: Play) -> None:
    """What is stored is in progress no more, however long its answer takes."""
    receiver = play("{do: drip, requests: 1}")
    with connected(receiver.address) as first, connected(receiver.address) as second:
        first.request("POST", INGEST_PATH, batch_body(1), KEYED)
        until(lambda: stored(receiver), "the first to be stored")
        until(lambda: ask(second, batch_body(1), KEYED)[0] == 200, "its key")
        assert receiver.endpoint.played


def test_hang_before_storing_keeps_nothing_for_who_gave_up(play: Play, make: Make) -> None:
    """The agent's time-out is the end of it."""
    receiver = play("{do: hang, store: false}")
    assert verdict(make, receiver, timeout=0.3).reason.startswith("timeout: ")
    receiver.close()
    assert receiver.endpoint.play.counts[0].stored == 0


def test_deaf_port_accepts_and_never_answers(play: Play, make: Make) -> None:
    """For so many connections; then as if nothing had been."""
    receiver = play("{do: deaf, requests: 1}")
    uploader = make(receiver.url, timeout=0.3)
    assert uploader.send(BATCH).reason.startswith("timeout: ")
    assert uploader.send(BATCH).action is Action.DELIVERED


def test_refusing_port_is_closed_for_its_time_and_opens_again(play: Play, make: Make) -> None:
    """Kept connections are cut; the port is the same afterwards."""
    clock = FakeClock()
    receiver = play("{do: normal, requests: 1}", "{do: refuse, time: 1h}", clock=clock)
    with connected(receiver.address) as kept:
        assert ask(kept, batch_body(1))[0] == 200
        sock = kept.sock
        assert sock is not None
        assert select.select([sock], [], [], 30)[0]
        assert sock.recv(1) == b""
    uploader = make(receiver.url)
    until(lambda: uploader.send(BATCH).reason.startswith("refused"), "the port to close")
    clock.advance(3600)
    until(lambda: uploader.send(BATCH).action is Action.DELIVERED, "the port to open")
    assert stored(receiver) == [1, 41, 42]


@pytest.mark.parametrize("step", ["{do: hang}", "{do: deaf}", "{do: drip}", "{do: large_answer}"])
def test_receiver_closes_in_the_middle_of_a_fault(play: Play, step: str) -> None:
    """Whatever is being played, and although nobody reads."""
    receiver = play(step)
    head = f"POST {INGEST_PATH} HTTP/1.1\r\nContent-Type: application/json\r\n"
    body = batch_body(1)
    with socket.create_connection(receiver.address, timeout=30) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: receiver.endpoint.play.counts[0].done, "the fault")
        assert closes(receiver)


def test_receiver_closes_while_its_port_is_closed(play: Play) -> None:
    """The port is free afterwards."""
    receiver = play("{do: refuse, time: 1d}")
    until(lambda: not listens(receiver.address), "the port to close")
    assert closes(receiver)
    socket.create_server(receiver.address).close()


def closes(receiver: Receiver) -> bool:
    """Whether it does, long before the fault is over."""
    closer = threading.Thread(target=receiver.close)
    closer.start()
    closer.join(30)
    return not closer.is_alive()


def listens(address: tuple[str, int]) -> bool:
    """Whether anybody does."""
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def test_steps_follow_each_other_on_one_connection(play: Play) -> None:
    """By requests, and by what was stored; a broken request counts for nothing."""
    receiver = play(
        "{do: status, status: 503, requests: 2}",
        "{do: normal, until_stored: 2}",
        "{do: status, status: 429, requests: 1}",
    )
    with connected(receiver.address) as connection:
        assert ask(connection, b"{")[0] == 400
        answers = [raw_status(connection, batch_body(n)) for n in range(6)]
    assert answers == [503, 503, 200, 200, 429, 200]
    assert receiver.endpoint.answers == {400: 1, 503: 2, 200: 3, 429: 1}


def raw_status(connection: http.client.HTTPConnection, body: bytes) -> int:
    """One request's status; the body may be anything."""
    connection.request(
        "POST", INGEST_PATH, gzip.compress(body), JSON | {"Content-Encoding": "gzip"}
    )
    response = connection.getresponse()
    response.read()
    return response.status
