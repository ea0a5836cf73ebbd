"""The reference receiver as the command, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.agent import JSON, Sender, ask, batch_body, connected
from fakes.processes import COMMAND

from edge_agent.receiver import ReceiverStore


@contextlib.contextmanager
def command(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own; killed at the end if it still runs."""
    with subprocess.Popen(
        [*COMMAND, "receive", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def listening_address(process: subprocess.Popen[str]) -> tuple[str, int]:
    """What the command's first line says, as soon as it says it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("receiving on http://127.0.0.1:"), line
    return "127.0.0.1", int(line.split(":")[2].split("/")[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_receive_ended_by_a_signal_says_what_came(tmp_path: Path, number: signal.Signals) -> None:
    """The last line is the sum; a client that keeps its connection does not hold it up."""
    with (
        command("--listen", "127.0.0.1:0", "--db", tmp_path / "r.db") as process,
        connected(listening_address(process)) as connection,
    ):
        for _ in range(2):
            assert ask(connection, batch_body(1, 2, 3))[0] == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out == "received requests=2 items=3 repeated=3\n"


def test_receive_verbose_with_a_key_file_says_one_line_a_request(tmp_path: Path) -> None:
    """What was asked and answered, never the key."""
    key_file = tmp_path / "api_key"
    key_file.write_text("secret\n")
    arguments = ("--db", tmp_path / "r.db", "--api-key-file", key_file, "--verbose")
    with command("--listen", "127.0.0.1:0", *arguments) as process:
        with connected(listening_address(process)) as connection:
            assert ask(connection, batch_body(1))[0] == 401
            right = {**JSON, "Authorization": "Bearer secret"}
            assert ask(connection, batch_body(1), right)[0] == 200
        process.terminate()
        _, err = process.communicate(timeout=30)
    refused, stored = err.splitlines()
    assert refused.startswith("request method=POST status=401 error=")
    assert stored == "request method=POST status=200 stored=1 repeated=0"
    assert "secret" not in err


@pytest.mark.parametrize("listen", ["8089", "localhost:", ":80", "host:65536", "host:-1", "host:x"])
def test_receive_with_no_address_is_a_usage_error(listen: str) -> None:
    """Exit 2 and the sentence that shows how one is written."""
    with command(f"--listen={listen}") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "127.0.0.1:8089" in err


@pytest.mark.parametrize("content", [None, b" \n", b"\xff"])
def test_receive_with_no_usable_key_file_says_so(tmp_path: Path, content: bytes | None) -> None:
    """A key that is missing must not let everybody in."""
    key_file = tmp_path / "api_key"
    if content is not None:
        key_file.write_bytes(content)
    with command("--db", tmp_path / "r.db", "--api-key-file", key_file) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert f"the key file {key_file}" in err


def test_receive_killed_at_any_instant_keeps_what_it_answered(tmp_path: Path) -> None:
    """SIGKILL three times while batches come in: what was answered is there, all of it once."""
    path = tmp_path / "receiver.db"
    with contextlib.ExitStack() as stack:
        listen, sender = "127.0.0.1:0", None
        for batches in (20, 50, 80, Sender.BATCHES):
            # Leaving the command's context kills it.
            with command("--listen", listen, "--db", path) as process:
                host, port = listening_address(process)
                sender = sender or stack.enter_context(Sender((host, port)))
                sender.wait_for(batches)
            listen = f"{host}:{port}"
            assert stored_ids(path) >= set(sender.answered)
    assert stored_ids(path) == set(range(Sender.BATCHES * Sender.ITEMS))


def stored_ids(path: Path) -> set[int]:
    """The ids in a receiver's file, which must hold none of them twice."""
    store = ReceiverStore(path)
    ids = [item.id for item in store.items()]
    assert store.totals().items == len(ids) == len(set(ids))
    store.close()
    return set(ids)
