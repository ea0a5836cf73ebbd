"""What can be wrong where a command is run: each says so in a sentence, and by its exit code."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from fakes.processes import COMMAND, PATIENCE_S, Process, Site
from fakes.published import LEAVES

from edge_agent.cli.main import main
from edge_agent.cloud_sync import CloudSyncQueue
from edge_agent.types import Submission

NOBODY = 65_534
CONFIG = "sensors: [{name: probe, type: simulated}]\n"
#: What else a command line needs. It goes on for ever, or needs no configuration: None.
OPERANDS = {
    "run": None,
    "demo": None,
    "receive": None,
    "sensors types": None,
    "config schema": None,
    "config reference": None,
    "doctor": None,
    "queue export": "out.ndjson",
    "queue send": "carried.ndjson",
    "queue purge": "--all --yes",
    "queue dead show": "1",
    "queue dead drop": "--yes",
}
LINES = {
    name: f"{name} {OPERANDS.get(name, '')}".strip()
    for name in LEAVES
    if OPERANDS.get(name, "") is not None
}
OF_QUEUE = {name for name in LINES if name.startswith(("queue", "status"))} - {"queue send"}
#: Looks for what is wired, so it does without a configuration.
WITHOUT_CONFIG = {"sensors scan"}


@pytest.fixture
def place(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A directory to be in, with a queue of its own under ``state``."""
    site.directory.chmod(0o755)
    site.queue = site.directory / "state" / "sync_queue.db"
    site.queue.parent.mkdir()
    site.configure(CONFIG)
    with CloudSyncQueue(site.queue) as queue:
        queue.enqueue_many([Submission({"sensor_name": "Kühlraum", "n": n}) for n in range(200)])
        queue.export(site.directory / "carried.ndjson")
        queue.dead_letter([1], "HTTP 400")
    monkeypatch.chdir(site.directory)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return site


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who is not root, and owns nothing here."""
    # What is loaded only when it is needed may be where nobody else may read.
    main(["check"])
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def told(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code and what is said on stdout and stderr, which is no defect's report."""
    capsys.readouterr()
    try:
        code = main(line.split())
    except SystemExit as exc:
        code = int(str(exc.code))
    shown = capsys.readouterr()
    assert "unexpected" not in shown.err
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def no_such_config(site: Site) -> str:
    site.config.unlink()
    return "agent.yaml: cannot be read: No such file or directory\n"


def directory_as_config(site: Site) -> str:
    site.config.unlink()
    site.config.mkdir()
    return "agent.yaml: cannot be read: Is a directory\n"


def unreadable_config(site: Site) -> str:
    site.config.chmod(0)
    return "agent.yaml: cannot be read: Permission denied; use sudo\n"


def mistaken_config(site: Site) -> str:
    site.config.write_text("sensors: 5\n")
    return "agent.yaml:1:10: sensors: is no list; begin each item with '- '\n"


def noise_as_config(site: Site) -> str:
    site.config.write_bytes(b"\xff\xfe\x00")
    return "agent.yaml:1:1: is not written in UTF-8; save it as UTF-8\n"


@pytest.mark.parametrize(
    "trouble",
    [no_such_config, directory_as_config, unreadable_config, mistaken_config, noise_as_config],
)
@pytest.mark.parametrize("name", LINES)
def test_command_whose_configuration_cannot_be_used_says_why(
    place: Site, capsys: pytest.CaptureFixture[str], name: str, trouble: Callable[[Site], str]
) -> None:
    """In a sentence, and there is no last good one to go by."""
    expected = trouble(place)
    with as_nobody() if trouble is unreadable_config else contextlib.nullcontext():
        code, out, err = told(f"{LINES[name]} --config agent.yaml", capsys)
    if name in WITHOUT_CONFIG:
        assert (code, err) == (0, "")
    else:
        said, silent = (out, err) if name == "check" else (err, out)
        assert (code, silent) == (1, "")
        assert said.removeprefix("pyvorin-agent: ") == expected


def no_queue(site: Site) -> str:
    for file in site.queue.parent.iterdir():
        file.unlink()
    return "does not exist yet; start the agent first"


def directory_as_queue(site: Site) -> str:
    no_queue(site)
    site.queue.mkdir()
    return "is a directory; move it away, or set another queue.path"


def noise_as_queue(site: Site) -> str:
    no_queue(site)
    site.queue.write_bytes(b"sensor,value\n" * 500)
    return "file is not a database"


def locked_queue(site: Site) -> str:
    site.queue.parent.chmod(0)
    return "this user may not look there; use sudo"


@pytest.mark.parametrize("trouble", [no_queue, directory_as_queue, noise_as_queue, locked_queue])
@pytest.mark.parametrize("name", LINES)
def test_command_whose_queue_cannot_be_used_says_why(
    place: Site, capsys: pytest.CaptureFixture[str], name: str, trouble: Callable[[Site], str]
) -> None:
    """In a sentence; one that needs no queue does what it is for, or says what else is missing."""
    expected = trouble(place)
    with as_nobody() if trouble is locked_queue else contextlib.nullcontext():
        code, out, err = told(f"{LINES[name]} --config agent.yaml", capsys)
    if name in OF_QUEUE:
        assert code == 1
        assert expected in (out if name == "queue verify" and out else err)
        assert (out + err).count("\n") == (2 if out else 1)
    else:
        assert (code, err != "") == ((1, True) if name in ("queue send", "flush") else (0, False))
    assert not list(place.directory.glob("out*"))


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"queue send", "flush"}))
@pytest.mark.parametrize("full", [True, False], ids=["full disk", "closed pipe"])
def test_command_whose_output_nobody_takes_ends_in_peace(
    place: Site,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    full: bool,
) -> None:
    """`> file` on a full disk is told; `| head -1` is no news."""
    reader, writer = os.pipe()
    os.close(reader)
    target = os.open("/dev/full", os.O_WRONLY) if full else os.dup(writer)
    os.close(writer)
    with os.fdopen(target, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        code = main([*LINES[name].split(), "--config", "agent.yaml"])
    monkeypatch.undo()
    assert code == 1
    assert capsys.readouterr().err == ("pyvorin-agent: No space left on device\n" if full else "")


@pytest.mark.parametrize("name", sorted(LINES.keys() - {"queue send", "flush"}))
def test_command_with_an_ascii_locale_works(
    place: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Over a serial line, say."""
    with (place.directory / "shown").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main([*LINES[name].split(), "--config", "agent.yaml"]) == 0


@pytest.mark.parametrize(
    ("line", "closed", "code", "said"),
    [
        ("queue purge --all", "<&-", 1, "nobody is there to be asked; say --yes"),
        ("queue peek", ">&-", 0, ""),
        ("check", "<&- >&- 2>&-", 0, ""),
        ("queue dead show 7", "2>&-", 1, ""),
    ],
)
def test_command_without_a_stream_does_without(
    place: Site, line: str, closed: str, code: int, said: str
) -> None:
    """As some who start programs have it."""
    ended = subprocess.run(
        [
            "sh",
            "-c",
            f'exec "$@" {closed}',
            "sh",
            *COMMAND,
            *line.split(),
            "--config",
            "agent.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("queue peek -n 0", "'0' is no number from 1 to 9223372036854775807"),
        ("queue peek -n -1", "'-1' is no number from 1"),
        ("queue peek -n 9223372036854775808", "is no number from 1 to 9223372036854775807"),
        ("queue dead show x", "'x' is no number from 1"),
        ("queue dead replay 1 0", "'0' is no number from 1"),
        ("flush --wait 0.5", "'0.5' is no number from 1"),
        ("queue purge --before nonsense", "'nonsense' is no time; write 2026-03-01"),
        ("queue purge --match badge", "has no '='; write metadata.badge_id=17"),
        ("queue purge --all --expired", "not allowed with argument --all"),
        ("queue purge", "one of the arguments --expired"),
        ("demo --seconds nan", "--outage 10 must be shorter than --seconds nan"),
        ("demo --seconds x", "invalid float value: 'x'"),
        ("receive --listen 127.0.0.1:70000", "is no HOST:PORT with a port from 0 to 65535"),
        ("receive --tls-key key.pem", "need --tls-cert"),
        ("queue send x --api-key-file key", "--api-key-file belongs to --endpoint URL"),
        ("check --json --quiet", "not allowed with argument"),
        ("sensors raed", "invalid choice: 'raed'"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_usage_that_cannot_be_is_told_and_ends_with_2(
    place: Site, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """Nothing is done."""
    code, out, err = told(line, capsys)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("carried.ndjson", "there is such a file already; name another"),
        ("none/out.ndjson", "No such file or directory"),
        ("agent.yaml/out.ndjson", "Not a directory"),
    ],
)
def test_export_to_where_no_file_can_be_says_so(
    place: Site, capsys: pytest.CaptureFixture[str], target: str, said: str
) -> None:
    """And no row leaves the queue."""
    code, out, err = told(f"queue export --move {target} --config agent.yaml", capsys)
    assert (code, out) == (1, "")
    assert said in err


def test_export_onto_a_full_disk_says_so(place: Site) -> None:
    """Nothing of the file stays behind, and no row leaves the queue."""
    with CloudSyncQueue(place.queue) as queue:
        queue.enqueue_many([Submission({"pad": "x" * 400})] * 1_000)
    words = [*COMMAND, "queue", "export", "--move", "out", "--config", "agent.yaml"]
    most = (200_000, resource.RLIM_INFINITY)
    ended = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, most),
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"pyvorin-agent: {place.directory}/out: File too large;"
        " nothing was deleted from the queue\n"
    )
    assert list(place.directory.glob("out*")) == []


def test_command_that_is_interrupted_says_so(place: Site) -> None:
    """Ctrl-C is no defect; here while it waits for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(PATIENCE_S)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        sender = Process("queue", "send", "carried.ndjson", "--endpoint", url)
        connection, _ = mute.accept()
        with connection:
            assert sender.end(signal.SIGINT) == 1
    assert sender.lines[-1] == "pyvorin-agent: interrupted"
