"""The receiver behind TLS: whom it lets in, and faults played inside it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from fakes.wire import Make, batch_of

from edge_agent.cloud_sync.verdict import Action
from edge_agent.errors import ConfigError
from edge_agent.receiver import Receiver
from edge_agent.receiver.script import load_script
from edge_agent.receiver.tls import server_context

BATCH = batch_of(41, 42)


@dataclasses.dataclass
class Files:
    """PEM files of one authority: its own, and certificates with their keys."""

    ca: Path
    server: Path
    client: Path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    authority = trustme.CA()
    made = Files(tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "client.pem")
    authority.cert_pem.write_to_path(str(made.ca))
    for path, name in ((made.server, "127.0.0.1"), (made.client, "pi-7")):
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(path))
    return made


def test_receiver_behind_tls_plays_its_script(tmp_path: Path, files: Files, make: Make) -> None:
    """A status, a reset, a cut-off answer and an answer, each as without TLS."""
    script = tmp_path / "faults.yaml"
    script.write_text(
        "steps:\n  - {do: status, status: 503, requests: 1}\n  - {do: lose_answer, requests: 1}\n"
        "  - {do: cut_answer, requests: 1}\n  - {do: large_answer, requests: 1}\n"
    )
    context = server_context(files.server)
    with Receiver(tmp_path / "r.db", script=load_script(script), tls=context) as receiver:
        assert receiver.url.startswith("https://")
        uploader = make(receiver.url, ca_file=str(files.ca), timeout=20.0)
        actions = [uploader.send(BATCH).action for _ in range(5)]
        assert [item.id for item in receiver.store.items()] == [41, 42]
    assert actions == [
        Action.BROKEN,
        Action.LINK_DOWN,
        Action.LINK_DOWN,
        Action.DISBELIEVED,
        Action.DELIVERED,
    ]


def test_receiver_lets_in_only_clients_of_its_authority(
    tmp_path: Path, files: Files, make: Make
) -> None:
    """The others are refused before they can ask anything."""
    context = server_context(files.server, client_ca=files.ca)
    with Receiver(tmp_path / "r.db", tls=context) as receiver:
        common = {"ca_file": str(files.ca), "timeout": 20.0}
        assert make(receiver.url, **common).send(BATCH).action is Action.LINK_DOWN
        known = make(receiver.url, client_cert_file=str(files.client), **common)
        assert known.send(BATCH).action is Action.DELIVERED
        assert receiver.store.totals() == (1, 2, 0)


@pytest.mark.parametrize("newest", ["1.0", "1.1"])
def test_receiver_of_an_old_tls_is_refused_by_the_agent(
    tmp_path: Path, files: Files, make: Make, newest: str
) -> None:
    """Link down, and nothing is asked."""
    with Receiver(tmp_path / "r.db", tls=server_context(files.server, newest=newest)) as receiver:
        verdict = make(receiver.url, ca_file=str(files.ca), timeout=20.0).send(BATCH)
        assert (verdict.action, verdict.reason.split(":")[0]) == (Action.LINK_DOWN, "tls_version")
        assert receiver.endpoint.answers == {}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("newest", "spoken"), [("1.1", "TLSv1.1"), ("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")]
)
def test_receiver_speaks_the_version_it_was_told(
    tmp_path: Path, files: Files, newest: str, spoken: str
) -> None:
    """Also an old one, to a client that would take it."""
    client = ssl.create_default_context(cafile=str(files.ca))
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    with (
        Receiver(tmp_path / "r.db", tls=server_context(files.server, newest=newest)) as receiver,
        socket.create_connection(receiver.address, timeout=30) as plain,
        client.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.version() == spoken


def test_receiver_behind_tls_outlives_who_speaks_none(
    tmp_path: Path, files: Files, make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    """A slow or wrong client holds up nobody."""
    with (
        Receiver(tmp_path / "r.db", tls=server_context(files.server)) as receiver,
        socket.create_connection(receiver.address, timeout=30),
        socket.create_connection(receiver.address, timeout=30) as wrong,
    ):
        wrong.sendall(b"POST / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            while wrong.recv(1024):
                pass
        uploader = make(receiver.url, ca_file=str(files.ca), timeout=20.0)
        assert uploader.send(BATCH).action is Action.DELIVERED
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_tls_without_usable_files_says_so(tmp_path: Path, content: bytes | None) -> None:
    """One sentence with the file's name."""
    path = tmp_path / "server.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"server\.pem"):
        server_context(path)
