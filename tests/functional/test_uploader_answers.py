"""The uploader against real sockets: every way in which an answer can fail."""

from __future__ import annotations

import gzip
import json
import socket
import tracemalloc
import zlib

import pytest
from fakes.wire import PATH, Make, batch_of, head, raw_server
from pytest_httpserver import HTTPServer

from edge_agent.cloud_sync.deadline import MOST_WIRE_BYTES
from edge_agent.cloud_sync.verdict import MOST_ANSWER_BYTES, Action

KEY = "k3y-never-to-be-seen"
BATCH = batch_of(41, 42)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_neither_followed_nor_sent_again(
    httpserver: HTTPServer, make: Make, status: int
) -> None:
    """A POST that became a GET would be answered 200, and readings deleted that nobody has."""
    httpserver.expect_request(PATH).respond_with_data(
        "", status=status, headers={"Location": httpserver.url_for("/elsewhere")}
    )
    httpserver.expect_request("/elsewhere").respond_with_data("fine")
    assert make("", KEY).send(BATCH).action is Action.SUSPENDED
    assert [request.path for request, _ in httpserver.log] == [PATH]


@pytest.mark.parametrize(
    "location", ["http://[garbage", "http://\xff\xfe/", "//", "http://other.invalid/"]
)
def test_redirect_to_garbage_is_a_verdict(make: Make, location: str) -> None:
    """Nothing trips over the Location."""
    answer = head(f"Location: {location}", "Content-Length: 0", status="302 Found")
    with raw_server(answer) as url:
        assert make(url).send(BATCH).action in (Action.LINK_DOWN, Action.SUSPENDED)


def test_verdicts_on_items_come_through(httpserver: HTTPServer, make: Make) -> None:
    """Refused and to be retried, as the server said; also in gzip that nobody asked for."""
    said = json.dumps({"rejected": [{"id": 41, "reason": "no unit"}], "retry": [42]})
    for headers, body in (
        ({}, said.encode()),
        ({"Content-Encoding": "gzip"}, gzip.compress(said.encode())),
    ):
        httpserver.clear()
        httpserver.expect_request(PATH).respond_with_data(body, headers=headers)
        verdict = make().send(BATCH)
        assert (verdict.rejected, verdict.retry) == ({41: "no unit"}, {42})


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "gzip"])
def test_answer_packed_in_a_way_that_cannot_be_read_delivers_nothing(
    httpserver: HTTPServer, make: Make, encoding: str
) -> None:
    """It may hold a refusal."""
    httpserver.expect_request(PATH).respond_with_data(
        b"\x01garbage", headers={"Content-Encoding": encoding}
    )
    verdict = make().send(BATCH)
    assert verdict.action is Action.LINK_DOWN
    assert "packed" in verdict.reason or "gzip" in verdict.reason


PLAIN = b"x" * (8 << 20)
BOMB = zlib.compressobj(9, wbits=31)
PACKED = b"".join(BOMB.compress(PLAIN) for _ in range(16)) + BOMB.flush()


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("200 OK", Action.DISBELIEVED),
        ("302 Found", Action.SUSPENDED),
        ("500 Internal Server Error", Action.BROKEN),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        head("Location: /", "Content-Length: 9000000") + PLAIN,
        head("Location: /", "Transfer-Encoding: chunked") + b"900000\r\n" + PLAIN,
        head("Location: /") + PLAIN,
        head("Location: /", "Content-Encoding: gzip") + PACKED,
    ],
    ids=["length", "chunked", "until closed", "bomb"],
)
def test_answer_of_any_size_takes_bounded_memory(
    make: Make, answer: bytes, status: str, action: Action
) -> None:
    """8 MiB of it, or 128 in gzip: 64 KiB are looked at, and a success is not believed."""
    with raw_server(answer.replace(b"200 OK", status.encode(), 1)) as url:
        uploader = make(url, timeout=30.0)
        tracemalloc.start()
        verdict = uploader.send(BATCH)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert verdict.action is action
    assert peak < 2 << 20


def test_answer_of_just_64_kib_is_believed(httpserver: HTTPServer, make: Make) -> None:
    """And one byte more is not."""
    for size, action in (
        (MOST_ANSWER_BYTES, Action.DELIVERED),
        (MOST_ANSWER_BYTES + 1, Action.DISBELIEVED),
    ):
        httpserver.clear()
        httpserver.expect_request(PATH).respond_with_data(b"x" * size)
        assert make().send(BATCH).action is action


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        (head("Content-Length: 60000"), b"x"),
        (head("Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        (head(), b"x"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (head("Location: /", "Content-Length: 60000", status="302 Found"), b"x"),
        (b"", b""),
    ],
    ids=["length", "chunked", "until closed", "head", "redirect", "silence"],
)
def test_answer_that_drips_is_ended_at_the_deadline(make: Make, answer: bytes, drip: bytes) -> None:
    """Each byte comes in time and the whole never does; the time-out is the whole's."""
    silent = not (answer or drip)
    if silent:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            verdict = make(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3).send(
                BATCH
            )
    else:
        with raw_server(answer, drip=drip) as url:
            verdict = make(url, timeout=0.3).send(BATCH)
    assert verdict.action is Action.LINK_DOWN
    assert verdict.reason.startswith("timeout: ")


@pytest.mark.parametrize(
    "endless",
    [
        head("Transfer-Encoding: chunked") + b"1" * (2 * MOST_WIRE_BYTES),
        b"HTTP/1.1 200 " + b"x" * (2 * MOST_WIRE_BYTES),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000,
    ],
    ids=["chunk size", "status line", "fields"],
)
def test_answer_that_never_gets_to_the_point_is_given_up(make: Make, endless: bytes) -> None:
    """Not read until the memory is full."""
    with raw_server(endless) as url:
        assert make(url).send(BATCH).action is Action.LINK_DOWN


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        head("Content-Length: 100") + b"only so much",
        head("Transfer-Encoding: chunked") + b"5\r\nab",
        head("Transfer-Encoding: chunked") + b"zz\r\nab\r\n",
        head("Content-Length: 5", "Content-Encoding: gzip") + b"\x1f\x8b\x08zz",
    ],
)
def test_answer_cut_off_or_garbled_delivers_nothing(make: Make, answer: bytes) -> None:
    """The server may have stored it or not: it goes again."""
    with raw_server(answer) as url:
        assert make(url, timeout=5.0).send(BATCH).action is Action.LINK_DOWN


def test_port_where_nobody_listens_is_refused(make: Make) -> None:
    """In one word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    verdict = make(f"http://127.0.0.1:{port}/", KEY).send(BATCH)
    assert (verdict.action, verdict.reason.split(":")[0]) == (Action.LINK_DOWN, "refused")


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a" * 70 + ".invalid", "a..invalid", "ü.invalid"]
)
def test_name_that_cannot_be_looked_up_is_a_link_down(make: Make, host: str) -> None:
    """Also a name that is none; nothing escapes."""
    verdict = make(f"https://{host}/", KEY, timeout=20.0).send(BATCH)
    assert verdict.action is Action.LINK_DOWN
    if host == "nowhere.invalid":
        assert verdict.reason.startswith("dns: ")
