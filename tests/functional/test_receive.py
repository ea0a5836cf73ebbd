"""The reference receiver as the command, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.agent import JSON, Sender, ask, batch_body, connected
from fakes.processes import COMMAND
from fakes.published import facts_in

from edge_agent.receiver import ReceiverStore
from edge_agent.receiver.handler import INGEST_PATH
from edge_agent.receiver.script_help import markdown


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


SCRIPT = """\
steps:
  - {do: status, status: 503, retry_after: 1s, requests: 1}
  - {do: lose_answer, requests: 1}
"""


def test_receive_with_a_script_plays_it_and_says_how_often(tmp_path: Path) -> None:
    """Once for people, once for machines."""
    script = tmp_path / "faults.yaml"
    script.write_text(SCRIPT)
    ends = []
    for arguments in ((), ("--json",)):
        database = tmp_path / f"{len(arguments)}.db"
        options = ("--db", database, "--script", script, *arguments)
        with command("--listen", "127.0.0.1:0", *options) as process:
            assert process.stdout is not None
            began = process.stdout.readline()
            port = int(began.split("127.0.0.1:")[1].split("/")[0])
            for outcome in (503, None, 200):
                with (
                    connected(("127.0.0.1", port)) as connection,
                    contextlib.nullcontext() if outcome else pytest.raises(ConnectionResetError),
                ):
                    connection.request("POST", INGEST_PATH, batch_body(1, 2), JSON)
                    assert connection.getresponse().status == outcome
            process.terminate()
            ends.append(process.communicate(timeout=30)[0])
    assert ends[0] == (
        "step 1 status done=1 passed=0 stored=0\n"
        "step 2 lose_answer done=1 passed=0 stored=2\n"
        "received requests=2 items=2 repeated=2\n"
    )
    assert json.loads(ends[1]) == {
        "version": 1,
        "requests": 2,
        "items": 2,
        "repeated": 2,
        "answers": {"none": 1, "200": 1, "503": 1},
        "steps": [
            {"step": 1, "do": "status", "done": 1, "passed": 0, "stored": 0},
            {"step": 2, "do": "lose_answer", "done": 1, "passed": 0, "stored": 2},
        ],
    }
    for line in (began, ends[1]):
        facts_in(line, "receive")


def test_receive_with_a_script_that_cannot_be_says_where(tmp_path: Path) -> None:
    """Exit 1, nothing listens, the line is named."""
    script = tmp_path / "faults.yaml"
    script.write_text("steps:\n  - {do: statsu}\n")
    with command("--db", tmp_path / "r.db", "--script", script) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert f"{script}:2:10: steps[0].do: 'statsu' is not one of" in err


def test_receive_script_help_is_the_page(tmp_path: Path) -> None:
    """And nothing is opened for it."""
    with command("--script-help", "--db", tmp_path / "r.db") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, markdown(), "")
    assert not (tmp_path / "r.db").exists()


def test_receive_with_half_of_tls_says_what_is_missing(tmp_path: Path) -> None:
    """A server that was meant to be secure must not come up in the clear."""
    with command("--db", tmp_path / "r.db", "--client-ca", tmp_path / "ca.pem") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert "need --tls-cert" in err


def test_other_commands_do_not_carry_the_receiver() -> None:
    """All are one program, the daemon too; a server is loaded by who runs one."""
    code = "import sys, edge_agent.cli.main; print('edge_agent.receiver' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
