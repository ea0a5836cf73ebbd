"""`pyvorin-agent queue send`: what was exported on one machine arrives from another, once."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fakes.processes import Process, Site, command, until

from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.receiver import Receiver
from edge_agent.receiver.script import load_script
from edge_agent.types import Submission

ROWS = 500


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What a technician took from a site: two starts of an agent, so two queue_ids."""
    for device in ("barn", "shed"):
        with CloudSyncQueue(tmp_path / "site.db", device_id=device) as queue:
            queue.enqueue_many(
                [Submission({"sensor_name": device, "n": n, "é": 0.1}) for n in range(ROWS // 2)]
            )
            queue.export(tmp_path / f"{device}.ndjson.gz", move=device == "shed")
    return tmp_path / "shed.ndjson.gz"


def scripted(tmp_path: Path, text: str) -> Receiver:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    return Receiver(tmp_path / "r.db", script=load_script(file))


def lines_of(export: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(export.read_bytes()).splitlines()]


def stored(receiver: Receiver) -> list[tuple[str, str, int, Any]]:
    return sorted((i.device_id, i.queue_id, i.id, i.data["n"]) for i in receiver.store.items())


def expected(export: Path, but: tuple[int, ...] = ()) -> list[tuple[str, str, int, Any]]:
    return sorted(
        (line["device_id"], line["queue_id"], line["id"], line["payload"]["n"])
        for line in lines_of(export)
        if line["id"] not in but
    )


def test_queue_send_delivers_each_row_under_its_own_name(export: Path, tmp_path: Path) -> None:
    """Once; a second run has nothing left, and sends nothing."""
    with Receiver(tmp_path / "r.db") as receiver:
        sent = command("queue", "send", export, "--endpoint", receiver.url)
        assert (sent.returncode, sent.stderr) == (0, "")
        assert sent.stdout == f"{ROWS} rows delivered, 0 refused, 0 left\n"
        assert stored(receiver) == expected(export)
        requests = receiver.store.totals()
        again = command("queue", "send", export, "--endpoint", receiver.url)
        assert (again.returncode, again.stdout) == (0, sent.stdout)
        assert receiver.store.totals() == requests


def test_queue_send_that_is_killed_goes_on_and_nothing_arrives_twice(
    export: Path, tmp_path: Path, site: Site
) -> None:
    """kill -9 while it waits for an answer; the rows of another request came, unanswered."""
    half = ROWS // 2
    script = f"""
steps:
  - {{do: normal, until_stored: {half}}}
  - {{do: lose_answer, requests: 1}}
  - {{do: hang, requests: 1}}
"""
    with scripted(tmp_path, script) as receiver:
        site.configure(f"upload: {{endpoint: {receiver.url}, batch_size: 10}}\n")
        sender = Process("queue", "send", export, "--config", site.config)
        until(lambda: receiver.endpoint.play.counts[-1].done, "the request that hangs")
        sender.end(signal.SIGKILL)
        address = urlsplit(receiver.url)
        came = receiver.store.totals().items
    noted = json.loads(export.with_name(f"{export.name}.sent").read_text())
    assert half <= noted["lines"] < came <= half + 10
    with Receiver(tmp_path / "r.db", (address.hostname or "", address.port or 0)) as receiver:
        resumed = command("queue", "send", export, "--config", site.config)

        assert resumed.returncode == 0, resumed.stderr
        assert resumed.stdout == f"{ROWS} rows delivered, 0 refused, 0 left\n"
        assert stored(receiver) == expected(export)
        # It went on, and did not begin anew.
        assert receiver.store.totals().repeated <= 20


def test_queue_send_of_a_copy_from_a_third_machine_doubles_nothing(
    export: Path, tmp_path: Path
) -> None:
    """It knows nothing of what the first one sent; the receiver knows each row by its name."""
    copy = tmp_path / "stick" / "barn.ndjson"
    copy.parent.mkdir()
    copy.write_bytes(gzip.decompress(export.read_bytes()))
    with Receiver(tmp_path / "r.db") as receiver:
        for file in (export, copy):
            sent = command("queue", "send", file, "--endpoint", receiver.url)
            assert sent.stdout == f"{ROWS} rows delivered, 0 refused, 0 left\n"
        assert stored(receiver) == expected(export)
        assert receiver.store.totals().repeated == ROWS


def test_queue_send_lists_what_was_refused(export: Path, tmp_path: Path) -> None:
    """By name, or found by halving; the rest is delivered, and it can be sent again by itself."""
    script = """
steps:
  - {do: reject, requests: 1, ids: [7], where: {n: 6}, reason: not mine}
  - {do: status, status: 400, body: bad row, ids: [60], time: 10min}
"""
    with scripted(tmp_path, script) as receiver:
        sent = command("queue", "send", export, "--endpoint", receiver.url)
        assert sent.returncode == 1
        assert sent.stdout == f"{ROWS - 2} rows delivered, 2 refused, 0 left\n"
        rejects = export.with_name(f"{export.name}.rejected")
        assert f"what was refused stands in {rejects}, with the reason" in sent.stderr
        assert "  7: not mine\n" in sent.stderr
        assert "  60: HTTP 400" in sent.stderr
        assert stored(receiver) == expected(export, but=(7, 60))
    with Receiver(tmp_path / "r.db") as receiver:
        again = command("queue", "send", rejects, "--endpoint", receiver.url)
        assert again.stdout == "2 rows delivered, 0 refused, 0 left\n"
        assert stored(receiver) == expected(export)


def test_queue_send_to_a_server_that_refuses_everything_writes_nothing_off(
    export: Path, tmp_path: Path
) -> None:
    """More likely it is the server: all rows are left for another run."""
    with scripted(tmp_path, "steps: [{do: status, status: 422, time: 10min}]") as receiver:
        sent = command("queue", "send", export, "--endpoint", receiver.url)
    assert sent.returncode == 1
    assert sent.stdout == f"0 rows delivered, 0 refused, {ROWS} left\n"
    assert "the server refuses everything: HTTP 422" in sent.stderr
    assert not export.with_name(f"{export.name}.rejected").exists()


def test_queue_send_of_a_file_that_is_cut_off_sends_what_is_there(
    export: Path, tmp_path: Path
) -> None:
    """And says that it is."""
    export.write_bytes(export.read_bytes()[:-200])
    with Receiver(tmp_path / "r.db") as receiver:
        sent = command("queue", "send", export, "--endpoint", receiver.url)
        assert sent.returncode == 1
        assert "Compressed file ended before" in sent.stderr
        assert receiver.store.totals().items > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--endpoint", "http://127.0.0.1:9/x"], "run it again later, it goes on from here"),
        (["--endpoint", "nonsense"], "endpoint 'nonsense' is no https:// URL"),
        (["--config", "store_only.yaml"], "no upload.endpoint; name one with --endpoint URL"),
        (["--api-key-file", "key"], "--api-key-file belongs to --endpoint URL"),
    ],
)
def test_queue_send_that_cannot_says_why(tmp_path: Path, words: list[str], said: str) -> None:
    """In a sentence, and by the exit code."""
    (tmp_path / "store_only.yaml").write_text("log: {level: info}\n")
    (tmp_path / "x").write_text(
        '{"device_id":"a","queue_id":"q","id":1,"priority":3,"created_at":1.0,"ttl_seconds":9,'
        '"payload":{"n":1}}\n'
    )
    words = [str(tmp_path / w) if w.endswith("yaml") else w for w in words]
    ended = command("queue", "send", tmp_path / "x", *words)
    assert ended.returncode == (2 if "--api-key-file" in words else 1)
    assert said in ended.stderr
    missing = command("queue", "send", tmp_path / "none", "--endpoint", "http://127.0.0.1:9/")
    assert "No such file or directory" in missing.stderr
