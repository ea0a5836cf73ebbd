"""What the README shows is what happens: its examples are run, its commands exist."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.clock import FakeClock
from fakes.i2c import FakeAdapter, RegisterChip
from fakes.processes import command, until
from fakes.rig import Rig
from fakes.sysfs_i2c import plant_bus
from fakes.wire import Make, batch_of

from edge_agent.cli.sensors_paste import yaml
from edge_agent.cli.sensors_scan import Finder
from edge_agent.cloud_sync.batch import Batch
from edge_agent.cloud_sync.verdict import Action
from edge_agent.config.loader import load
from edge_agent.daemon import health
from edge_agent.receiver import Receiver
from edge_agent.receiver.batch import read_batch
from edge_agent.receiver.script import load_script
from edge_agent.sensors.i2c import Buses
from edge_agent.sensors.kernel.scan import Found

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's examples in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def agent_commands() -> list[list[str]]:
    """Every `pyvorin-agent …` that the README shows, as arguments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += re.findall(
        r"`([^`]+)`", re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    )
    split = [
        shlex.split(line.split("  #")[0]) for line in lines if line.startswith("pyvorin-agent ")
    ]
    return [words[1:] for words in split]


def test_readme_configuration_is_accepted(tmp_path: Path) -> None:
    """What a reader copies must pass the checker."""
    configurations = [text for text in blocks("yaml") if not text.startswith("steps:")]
    file = tmp_path / "agent.yaml"
    accepted = []
    for text in configurations:
        file.write_text(text)
        accepted.append(load(file, {}).config)
    assert any(config.sensors for config in accepted)


def test_readme_script_is_played_as_it_says(tmp_path: Path, make: Make) -> None:
    """Each step does to the agent what the comment beside it says."""
    (text,) = (text for text in blocks("yaml") if text.startswith("steps:"))
    file = tmp_path / "faults.yaml"
    file.write_text(text.replace("every: 1s", "every: 1ms"))
    clock = FakeClock()
    with Receiver(tmp_path / "r.db", script=load_script(file), clock=clock) as receiver:
        uploader = make(receiver.url)
        busy = [uploader.send(batch_of(1)) for _ in range(3)]
        assert [verdict.retry_after_s for verdict in busy] == [30, 30, 30]
        assert uploader.send(batch_of(1)).reason.startswith("reset")
        until(lambda: uploader.send(batch_of(1)).reason.startswith("refused"), "the port to close")
        clock.advance(10)
        until(lambda: uploader.send(batch_of(1)).action is Action.DELIVERED, "the port to open")
        door = door_batch(2)
        assert uploader.send(door).rejected == {2: "not mine"}
        assert uploader.send(batch_of(*range(3, 103))).action is Action.DELIVERED
        assert [uploader.send(batch_of(n)).action for n in (103, 104)] == [Action.DELIVERED] * 2
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


@pytest.mark.parametrize("arguments", agent_commands(), ids=" ".join)
def test_readme_command_exists_with_its_options(arguments: list[str]) -> None:
    """`--help` after the words of the README: unknown commands and options would exit with 2."""
    assert command(*arguments, "--help").returncode == 0


def test_readme_scripts_exist_and_are_what_ci_runs() -> None:
    """CI does what a newcomer is told to do."""
    told = re.findall(r"^scripts/([\w-]+)", "".join(blocks("sh")), re.MULTILINE)
    assert told == ["demo", "test", "build-deb"]
    run = (ROOT / ".ci/run").read_text()
    for name in told:
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111
        # What is built there is looked at as well.
        assert f"scripts/{name.replace('build', 'check')}" in run


def test_readme_request_is_taken_by_the_receiver() -> None:
    """The wire's example is a request."""
    (text,) = blocks("json")
    batch = read_batch(text.encode())
    assert [item.id for item in batch.items] == [41]


def test_readme_python_example_sends(tmp_path: Path) -> None:
    """Run as it stands, but for the receiver's port and the queue's place."""
    (code,) = (code for code in blocks("python") if "CloudSyncQueue" in code)
    with Receiver(tmp_path / "r.db") as receiver:
        code = code.replace("http://127.0.0.1:8089/v1/ingest", receiver.url)
        code = code.replace("/tmp/my_queue.db", str(tmp_path / "q.db"))  # noqa: S108  # the README's
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # our own example
    assert printed.getvalue() == "1 sent, 0 left\n"


def test_readme_mistake_is_what_check_prints(tmp_path: Path) -> None:
    """The sentence in the README is the checker's own."""
    (sentence,) = re.findall(r"`(agent\.yaml:\d+:\d+: [^`]+)`", README)
    file = tmp_path / "agent.yaml"
    file.write_text(blocks("yaml")[0].replace("address: 0x76", "adress: 0x76"))
    printed = command("check", "--config", file)
    assert printed.returncode == 1
    assert sentence in printed.stdout


def test_readme_health_line_is_the_agents(rig: Rig) -> None:
    """Its fields are those of the line, in order; and the table explains each of them."""
    (shown,) = re.findall(r"^queue_health (.*)$", README, re.MULTILINE)
    names = re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", shown))
    (table,) = re.findall(r"^\| `queue_health` field.*?\n\n", README, re.MULTILINE | re.DOTALL)
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|[^|]*\|", table, re.MULTILINE)))
    fields = list(health.line(rig.parts()))
    assert names == [name for name in fields if name != "faulty"]
    assert {*fields} - {*explained} == {"anomaly", "telemetry"}


def test_readme_status_is_what_status_prints() -> None:
    """The output that another test compares with what is printed."""
    case = ROOT / "tests/testcases/status/offline_three_days.txt"
    assert case.read_text() in blocks("text")


def test_readme_scan_is_what_scan_prints(tmp_path: Path) -> None:
    """On a Pi with these chips and this probe."""
    plant_bus(tmp_path, 1, "bcm2835 (i2c@7e804000)")
    adapter = FakeAdapter({0x23: RegisterChip(), 0x44: RegisterChip()})
    buses = Buses(root=tmp_path, open_wire=adapter.open, sleep=adapter.sleep)
    probe = Found("w1", {"id": "28-0316a2795bff"}, "temperature, DS18B20")
    assert yaml(Finder(tmp_path, buses).gather([1], [probe]), ()) in blocks("yaml")


def test_readme_type_is_what_types_prints() -> None:
    """With its wiring and every option."""
    assert command("sensors", "types", "mcp9808").stdout in blocks("text")
