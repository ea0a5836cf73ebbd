"""The uploader against real sockets: what goes over the wire, and what it refuses to send."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.wire import PATH, Make, batch_of, head, raw_server, take_request
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from edge_agent.cloud_sync import HTTPCloudUploader
from edge_agent.cloud_sync.batch import key_of
from edge_agent.cloud_sync.verdict import Action
from edge_agent.errors import PayloadError, UploaderError
from edge_agent.receiver import Receiver

KEY = "k3y-never-to-be-seen"
BATCH = batch_of(41, 42)


def last_request(server: HTTPServer) -> Request:
    return server.log[-1][0]


# -- what goes over the wire ------------------------------------------------------------------


def test_request_is_the_documented_one(httpserver: HTTPServer, make: Make) -> None:
    """Gzip body, key of the uncompressed bytes, headers of the contract."""
    httpserver.expect_request(PATH, method="POST").respond_with_data("")
    assert make("", KEY, headers={"X-Tenant": "t1"}).send(BATCH).action is Action.DELIVERED
    request = last_request(httpserver)
    assert gzip.decompress(request.data) == BATCH.body()
    assert {
        name: request.headers[name]
        for name in ("Content-Type", "Content-Encoding", "Authorization", "Idempotency-Key")
    } == {
        "Content-Type": "application/json",
        "Content-Encoding": "gzip",
        "Authorization": f"Bearer {KEY}",
        "Idempotency-Key": key_of(BATCH.body()),
    }
    assert request.headers["User-Agent"].startswith("pyvorin-agent/")
    assert request.headers["X-Tenant"] == "t1"


def test_request_of_the_same_rows_is_the_same_bytes(httpserver: HTTPServer, make: Make) -> None:
    """And bears the same key, from another uploader as well; other rows bear another."""
    httpserver.expect_request(PATH).respond_with_data("")
    for uploader, batch in ((make(), BATCH), (make(), BATCH), (make(), batch_of(41))):
        uploader.send(batch)
    first, second, third = (request for request, _ in httpserver.log)
    assert first.data == second.data
    # The header of gzip has room for a time (RFC 1952, 2.3.1), which is never the same.
    assert first.data[4:8] == bytes(4)
    keys = [request.headers["Idempotency-Key"] for request in (first, second, third)]
    assert keys[0] == keys[1] != keys[2]


def test_request_without_compression_is_the_body(httpserver: HTTPServer, make: Make) -> None:
    """As it is."""
    httpserver.expect_request(PATH).respond_with_data("")
    make(compression="none").send(BATCH)
    assert last_request(httpserver).data == BATCH.body()
    assert "Content-Encoding" not in last_request(httpserver).headers


def only_plain(status: int) -> Callable[[Request], Response]:
    """A server that does not know what to do with a compressed body."""
    return lambda request: Response(status=status if "Content-Encoding" in request.headers else 204)


@pytest.mark.parametrize("status", [400, 415, 422])
def test_server_that_knows_no_gzip_gets_plain_bodies_from_then_on(
    httpserver: HTTPServer, make: Make, status: int
) -> None:
    """Once more uncompressed, with the same key; and that was the last compressed one."""
    httpserver.expect_request(PATH).respond_with_handler(only_plain(status))
    uploader = make()
    assert [uploader.send(BATCH).action for _ in range(2)] == [Action.DELIVERED] * 2
    requests = [request for request, _ in httpserver.log]
    assert ["Content-Encoding" in request.headers for request in requests] == [True, False, False]
    assert requests[1].data == requests[2].data == BATCH.body()
    assert {request.headers["Idempotency-Key"] for request in requests} == {key_of(BATCH.body())}


def test_server_that_knows_gzip_is_believed_when_it_refuses(
    httpserver: HTTPServer, make: Make
) -> None:
    """After one compressed body was taken, a 400 means what is in it."""
    statuses = iter((200, 400, 400))
    httpserver.expect_request(PATH).respond_with_handler(lambda _: Response(status=next(statuses)))
    uploader = make()
    assert [uploader.send(BATCH).action for _ in range(3)] == [
        Action.DELIVERED,
        Action.REFUSED,
        Action.REFUSED,
    ]
    assert all("Content-Encoding" in request.headers for request, _ in httpserver.log)


def test_server_that_refuses_the_data_has_refused_it_in_both_forms(
    httpserver: HTTPServer, make: Make
) -> None:
    """What the uncompressed body drew is the verdict; the next one is compressed again."""
    httpserver.expect_request(PATH).respond_with_data("no unit", status=422)
    uploader = make()
    for _ in range(2):
        assert uploader.send(BATCH).reason == "HTTP 422 no unit"
    found = ["Content-Encoding" in request.headers for request, _ in httpserver.log]
    assert found == [True, False, True, False]


def test_sent_bytes_are_those_of_every_attempt(httpserver: HTTPServer, make: Make) -> None:
    """Head and body, also of what was refused; nothing where nobody answers."""
    httpserver.expect_request(PATH).respond_with_data("", status=500)
    uploader = make(compression="none")
    uploader.send(BATCH)
    once = uploader.sent_bytes
    assert len(BATCH.body()) < once < len(BATCH.body()) + 500
    uploader.send(BATCH)
    assert uploader.sent_bytes == 2 * once
    nobody = make("http://127.0.0.1:9/")
    nobody.send(BATCH)
    assert nobody.sent_bytes == 0


def test_key_changed_tells_of_another_file_than_the_one_read(make: Make, tmp_path: Path) -> None:
    """Made, replaced by one of the same size, and removed; reading it settles that."""
    file = tmp_path / "api_key"
    uploader = make("http://127.0.0.1:9/", api_key_file=file)
    assert not uploader.key_changed()
    for change in (
        lambda: file.write_text("k1"),
        lambda: (tmp_path / "new").write_text("k2") and (tmp_path / "new").replace(file),
        file.unlink,
    ):
        change()
        assert uploader.key_changed()
        uploader.send(BATCH)
        assert not uploader.key_changed()
    assert not make(api_key=KEY).key_changed()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"api_key": KEY}, f"Bearer {KEY}"),
        ({"api_key": f" {KEY}\n"}, f"Bearer {KEY}"),
        ({"api_key": KEY, "auth": "token"}, f"Token {KEY}"),
        ({"api_key": KEY, "auth": "none"}, None),
        ({}, None),
    ],
)
def test_authorization_is_as_configured(
    httpserver: HTTPServer, make: Make, options: dict[str, str], field: str | None
) -> None:
    """Bearer, InfluxDB's word, or none."""
    httpserver.expect_request(PATH).respond_with_data("")
    make(**options).send(BATCH)
    assert last_request(httpserver).headers.get("Authorization") == field


def test_key_file_is_read_again_for_each_request(
    httpserver: HTTPServer, make: Make, tmp_path: Path
) -> None:
    """A changed key is used at once; a missing, empty or garbled one is a link that is down."""
    httpserver.expect_request(PATH).respond_with_data("")
    file = tmp_path / "api_key"
    uploader = make(api_key_file=file)
    for spoil in (
        lambda: None,
        lambda: file.write_bytes(b" \n"),
        lambda: file.write_bytes(b"\xff\xfe\x00"),
        lambda: file.write_text("schlüssel"),
        lambda: file.write_text("two\nlines"),
        lambda: (file.unlink(), file.mkdir()),
    ):
        spoil()
        verdict = uploader.send(BATCH)
        assert verdict.action is Action.LINK_DOWN
        assert verdict.reason.startswith("no_key: ")
        assert str(file) in verdict.reason
        assert not uploader.post_batch([{}])
    assert httpserver.log == []
    file.rmdir()
    for key in ("first", "second"):
        file.write_text(f"{key}\n")
        assert uploader.send(BATCH).action is Action.DELIVERED
        assert last_request(httpserver).headers["Authorization"] == f"Bearer {key}"


def test_environment_plays_no_part(
    httpserver: HTTPServer, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No proxy, no .netrc, no bundle of certificates from outside the configuration."""
    httpserver.expect_request(PATH).respond_with_data("")
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login thief password thief\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert make("", KEY).send(BATCH).action is Action.DELIVERED
    assert last_request(httpserver).headers["Authorization"] == f"Bearer {KEY}"


def test_proxy_of_the_configuration_is_used(httpserver: HTTPServer, make: Make) -> None:
    """For plain HTTP it gets the whole address."""
    httpserver.expect_request(PATH).respond_with_data("")
    proxy = httpserver.url_for("").rstrip("/")
    uploader = make(
        "http://ingest.invalid/v1/ingest", proxy=proxy, allow_insecure_http=True, timeout=5.0
    )
    assert uploader.send(BATCH).action is Action.DELIVERED
    assert last_request(httpserver).url == "http://ingest.invalid/v1/ingest"


def test_connection_is_kept_between_requests(make: Make) -> None:
    """Also after answers without a body; and made anew when the server has cut it."""
    answers = [
        head("Content-Length: 2") + b"{}",
        head(status="204 No Content"),
        head("Content-Length: 0"),
        head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    ]
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                accepted.append(connection)
                with connection:
                    for answer in answers:
                        take_request(connection)
                        connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        uploader = make(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=5.0)
        for _ in range(2 * len(answers)):
            assert uploader.send(BATCH).action is Action.DELIVERED
        server.join()
    assert len(accepted) == 2


def test_cookies_are_not_kept(httpserver: HTTPServer, make: Make) -> None:
    """What a server wants remembered is not sent back, and does not grow."""
    httpserver.expect_request(PATH).respond_with_data("", headers={"Set-Cookie": "a=b"})
    uploader = make()
    uploader.send(BATCH)
    uploader.send(BATCH)
    assert "Cookie" not in last_request(httpserver).headers


# -- payloads without ids -------------------------------------------------------------------------


def test_post_batch_is_stored_once_each_call_with_a_key_of_its_own(
    make: Make, tmp_path: Path
) -> None:
    """No queue_id; the receiver takes both calls for two."""
    with Receiver(tmp_path / "r.db", api_key=KEY) as receiver:
        uploader = make(receiver.url, KEY)
        assert uploader.post_batch([{"n": 1}, {"n": 2}]) is True
        assert uploader.post_batch([{"n": 1}]) is True
        items = list(receiver.store.items())
        assert [item.data["n"] for item in items] == [1, 2, 1]
        assert {item.queue_id for item in items} == {""}
        assert len({item.request_key for item in items}) == 2


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, "", True),
        (201, "{}", True),
        (207, '{"rejected": [{"id": 1}]}', False),
        (200, '{"retry": [2]}', False),
        (200, "<html>", False),
        (400, "", False),
        (500, "", False),
    ],
)
def test_post_batch_says_whether_all_was_taken(
    httpserver: HTTPServer, make: Make, status: int, body: str, taken: bool
) -> None:
    """A bool, whatever the server does."""
    httpserver.expect_request(PATH).respond_with_data(body, status=status)
    assert make().post_batch([{}, {}]) is taken
    assert "queue_id" not in json.loads(gzip.decompress(httpserver.log[0][0].data))


def test_post_batch_of_what_is_no_json_is_refused(make: Make) -> None:
    """At the door, with the path; nothing is sent."""
    with pytest.raises(PayloadError, match=r"payload\.x"):
        make().post_batch([{"x": float("nan")}])


# -- what cannot be used ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "options"),
    [
        ("http://example.com/", {}),
        ("http://192.168.1.5/", {}),
        ("ftp://example.com/", {}),
        ("example.com", {}),
        ("", {}),
        ("https://", {}),
        ("https://example.com:99999/", {}),
        (f"https://user:{KEY}@example.com/", {}),
        (f"ftp://user:{KEY}@example.com/", {}),
        (f"https://user:{KEY}[@example.com/", {}),
        ("https://example.com/", {"api_key": f"{KEY}\nX: y"}),
        ("https://example.com/", {"api_key": f"{KEY}ü"}),
        ("https://example.com/", {"headers": {"X Y": KEY}}),
        ("https://example.com/", {"headers": {"X": f"{KEY}\r\nY: z"}}),
        ("https://example.com/", {"headers": {"X": f"{KEY}Ω"}}),
        ("https://example.com/", {"auth": "basic"}),
        ("https://example.com/", {"compression": "zstd"}),
    ],
)
def test_uploader_that_could_never_send_is_refused_without_telling_the_key(
    endpoint: str, options: dict[str, Any]
) -> None:
    """One sentence when it is made, not a surprise at the first batch."""
    with pytest.raises(UploaderError) as refused:
        HTTPCloudUploader(endpoint, **options)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9/", "http://localhost/", "http://[::1]/", "HTTPS://example.com"]
)
def test_uploader_to_this_machine_or_over_tls_needs_no_leave(endpoint: str) -> None:
    """And http:// elsewhere only with it."""
    HTTPCloudUploader(endpoint).close()
    HTTPCloudUploader("http://example.com/", allow_insecure_http=True).close()


def test_key_is_in_no_repr_and_no_verdict(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a query, which may be one."""
    uploader = make(f"http://127.0.0.1:9/?sig={KEY}", KEY, headers={"X-Key": KEY}, timeout=5.0)
    said = repr(uploader) + repr(uploader._key) + uploader.send(BATCH).reason
    uploader.post_batch([{}])
    with raw_server(b"garbage\r\n\r\n") as url:
        said += make(f"{url}?sig={KEY}", KEY, timeout=5.0).send(BATCH).reason
    assert KEY not in said + caplog.text
