"""The reference receiver over real sockets, in this process."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes.agent import JSON, ask, batch_body, connected

from edge_agent.errors import ConfigError
from edge_agent.receiver import Receiver
from edge_agent.receiver.batch import read_batch
from edge_agent.receiver.handler import INGEST_PATH, MAX_BODY_BYTES, MAX_DECODED_BYTES, Handler

GZIP = {**JSON, "Content-Encoding": "gzip"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with Receiver(tmp_path / "receiver.db") as receiver:
        yield receiver


@pytest.fixture
def connection(receiver: Receiver) -> Iterator[http.client.HTTPConnection]:
    with connected(receiver.address) as connection:
        yield connection


def test_receiver_over_one_kept_connection_stores_once_and_counts_repeats(
    receiver: Receiver, connection: http.client.HTTPConnection
) -> None:
    """Plain and gzip bodies are the same readings; the connection is kept between requests."""
    assert ask(connection, batch_body(1, 2)) == (200, {"stored": 2, "repeated": 0})
    kept = connection.sock
    assert ask(connection, gzip.compress(batch_body(1, 2, 3)), GZIP) == (
        200,
        {"stored": 1, "repeated": 2},
    )
    assert ask(connection, batch_body()) == (200, {"stored": 0, "repeated": 0})
    assert connection.sock is kept
    assert [item.data for item in receiver.store.items()] == [{"value": n} for n in (1, 2, 3)]
    assert receiver.store.totals() == (3, 3, 2)


def test_receiver_answers_head_and_body_in_one_send(receiver: Receiver) -> None:
    """Over a socket that keeps sends apart, one record is the whole answer."""
    body = batch_body(1)
    head = (
        f"POST {INGEST_PATH} HTTP/1.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with client, server:
        client.sendall(head.encode() + body)
        Handler(server, ("client", 0), receiver._server)
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'\r\n\r\n{"stored": 1, "repeated": 0}')


def test_receiver_sends_the_go_ahead_to_who_expects_it(receiver: Receiver) -> None:
    """100 Continue is not kept back until the answer."""
    body = batch_body(1)
    head = (
        f"POST {INGEST_PATH} HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(receiver.address, timeout=30) as client:
        client.sendall(head.encode())
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("queue_id", ['"queue_id": "q-1", ', ""])
def test_receiver_gives_a_known_key_its_first_answer(
    receiver: Receiver, connection: http.client.HTTPConnection, queue_id: str
) -> None:
    """Packed or not; another body under the key is refused; without a queue the key is all."""
    body = f'{{"version": 1, {queue_id}"batch": [{{"id": 1, "data": {{}}}}, {{"id": 2}}]}}'.encode()
    said = {"stored": 1, "repeated": 0, "rejected": [{"id": 2, "reason": "data is no object"}]}
    key = {"Idempotency-Key": '"a"'}
    assert ask(connection, body, JSON | key) == (200, said)
    assert ask(connection, gzip.compress(body), GZIP | key) == (200, said)
    assert receiver.store.totals() == (2, 1, 1)
    status, answer = ask(connection, body.replace(b"1,", b"1 ,"), JSON | key)
    assert (status, "another body" in answer["error"]) == (422, True)
    stored = ask(connection, body, JSON | {"Idempotency-Key": '"b"'})[1]["stored"]
    assert stored == (0 if queue_id else 1)
    assert ask(connection, body)[0] == (200 if queue_id else 400)


def test_receiver_asked_for_what_is_in_progress_says_so(
    receiver: Receiver, connection: http.client.HTTPConnection
) -> None:
    """409 to the same key, and nothing to others."""
    key = {"Idempotency-Key": '"a"'}
    with receiver.endpoint.claims.hold('"a"'):
        assert ask(connection, batch_body(1), JSON | key)[0] == 409
        assert ask(connection, batch_body(1))[0] == 200
    assert ask(connection, batch_body(1), JSON | key)[1] == {"stored": 0, "repeated": 1}


def test_receiver_that_died_before_it_answered_gives_the_same_answer_later(tmp_path: Path) -> None:
    """The answer is on the disk with the readings."""
    key = {"Idempotency-Key": '"a"'}
    with Receiver(tmp_path / "r.db") as receiver:
        receiver.store.store(read_batch(batch_body(1, 2), '"a"'))
    with Receiver(tmp_path / "r.db") as again, connected(again.address) as connection:
        assert ask(connection, batch_body(1, 2), JSON | key)[1] == {"stored": 2, "repeated": 0}
        assert again.store.totals() == (2, 2, 2)


@pytest.mark.parametrize(
    ("status", "said", "body", "changes"),
    [
        (400, "no JSON", b"{", {}),
        (400, "no gzip", b"plain", {"Content-Encoding": "gzip"}),
        (400, "cut off", gzip.compress(b"{}" * 99)[:-9], {"Content-Encoding": "gzip"}),
        (400, "cut off", gzip.compress(b"{}") + b"{}", {"Content-Encoding": "gzip"}),
        (400, "version", b"{}", {}),
        (415, "gzip nor identity", batch_body(1), {"Content-Encoding": "br"}),
        (415, "application/json", batch_body(1), {"Content-Type": "text/csv"}),
        (413, "unpacks", gzip.compress(b" " * (MAX_DECODED_BYTES + 1)), GZIP),
        (413, "send fewer", b" " * (MAX_BODY_BYTES + 1), {}),
        (411, "Content-Length", b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    ],
)
def test_receiver_refuses_a_wrong_body_in_one_sentence_and_goes_on(
    receiver: Receiver, status: int, said: str, body: bytes, changes: dict[str, str]
) -> None:
    """Nothing of it is stored, and the next request is served, on the same connection or anew."""
    with connected(receiver.address) as connection:
        answer = ask(connection, body, {**JSON, **changes})
        assert answer[0] == status
        assert said in answer[1]["error"]
        assert receiver.store.totals() == (0, 0, 0)
        assert ask(connection, batch_body(1))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", INGEST_PATH, 405),
        ("PUT", INGEST_PATH, 405),
        ("GET", "/", 404),
        ("POST", "/elsewhere", 404),
        ("POST", f"{INGEST_PATH}?site=lyon", 200),
        ("BREW", INGEST_PATH, 501),
    ],
)
def test_receiver_has_one_path_and_one_method(
    connection: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    """Everything else is told so, in JSON."""
    assert ask(connection, batch_body(1), method=method, path=path)[0] == status


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer", "Basic c2VjcmV0", "secret"])
def test_receiver_with_a_key_lets_only_its_bearer_in(tmp_path: Path, given: str | None) -> None:
    """401 to all others, and nothing stored; the key itself is in no answer."""
    with (
        Receiver(tmp_path / "receiver.db", api_key="sécret") as receiver,
        connected(receiver.address) as connection,
    ):
        headers = JSON if given is None else {**JSON, "Authorization": given}
        status, answer = ask(connection, batch_body(1), headers)
        assert status == 401
        assert "cret" not in json.dumps(answer)
        assert receiver.store.totals() == (0, 0, 0)
        right = {**JSON, "Authorization": "Bearer sécret".encode().decode("latin-1")}
        assert ask(connection, batch_body(1), right)[0] == 200


def test_receiver_whose_file_fails_asks_for_a_retry(
    receiver: Receiver, connection: http.client.HTTPConnection
) -> None:
    """503 keeps the sender's copy; the sentence says what is wrong."""
    receiver.store.close()
    status, answer = ask(connection, batch_body(1))
    assert status == 503
    assert "receiver.db" in answer["error"]


def test_receiver_outlives_clients_that_hang_up_midway(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """A broken link is no error of the receiver: no traceback, nothing stored."""
    head = f"POST {INGEST_PATH} HTTP/1.1\r\nContent-Length: 500\r\n\r\n".encode()
    for piece in (b"", b"POST", head, head + b"half"):
        with socket.create_connection(receiver.address, timeout=30) as client:
            client.sendall(piece)
    with connected(receiver.address) as connection:
        assert ask(connection, batch_body(1))[0] == 200
    receiver.close()
    assert capfd.readouterr() == ("", "")


def test_receiver_closed_cuts_kept_connections_and_comes_back_on_its_port(tmp_path: Path) -> None:
    """An outage is one for the client that was already connected, too."""
    with (
        Receiver(tmp_path / "receiver.db") as receiver,
        connected(receiver.address) as connection,
        socket.create_connection(receiver.address, timeout=30) as idle,
    ):
        assert ask(connection, batch_body(1))[0] == 200
        receiver.close()
        # Who hangs up second leaves the port in TIME_WAIT (RFC 9293 3.6), and it must be reusable.
        assert idle.recv(1) == b""
        idle.close()
        with pytest.raises(ConnectionError):
            ask(connection, batch_body(2))
    with pytest.raises(ConnectionRefusedError), connected(receiver.address) as connection:
        ask(connection, batch_body(2))
    with (
        Receiver(tmp_path / "receiver.db", receiver.address) as again,
        connected(again.address) as connection,
    ):
        assert ask(connection, batch_body(1, 2)) == (200, {"stored": 1, "repeated": 1})


def test_receiver_on_a_taken_port_says_so(receiver: Receiver, tmp_path: Path) -> None:
    """One sentence with the address, and the file is let go of."""
    with pytest.raises(ConfigError, match=f":{receiver.address[1]}: Address already in use"):
        Receiver(tmp_path / "other.db", receiver.address)


def test_receiver_never_started_closes(tmp_path: Path) -> None:
    """Building one and giving up leaves no socket and no thread."""
    Receiver(tmp_path / "receiver.db").close()


def test_receiver_asked_by_ten_threads_stores_each_item_once(receiver: Receiver) -> None:
    """All send the same items and their own at the same time; every item is stored once."""

    def send(sender: int) -> int:
        stored = 0
        with connected(receiver.address) as connection:
            for first in range(0, 200, 10):
                for queue_id in ("shared", f"own-{sender}"):
                    body = batch_body(*range(first, first + 10), queue_id=queue_id)
                    stored += ask(connection, body)[1]["stored"]
        return stored

    with ThreadPoolExecutor(10) as pool:
        stored = sum(pool.map(send, range(10)))
    assert stored == 200 + 10 * 200
    assert receiver.store.totals() == (400, 2_200, 1_800)
    assert len({(item.queue_id, item.id) for item in receiver.store.items()}) == 2_200
