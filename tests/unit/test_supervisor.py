"""The supervisor's loop: its events are put in line before it runs, and the last one ends it."""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import exposition
from fakes.clock import FakeClock

from edge_agent.config import model
from edge_agent.daemon import assembly
from edge_agent.daemon.service import ServiceManager
from edge_agent.daemon.supervisor import NOTE_EVERY_S, Supervisor
from edge_agent.errors import ConfigError

Load = Callable[[], model.Config]


@pytest.fixture(autouse=True)
def _no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own handlers stay."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)


class Stage:
    """A supervisor with its queue; `run` lets it meet some events and a SIGTERM."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.clock = clock
        self.config = model.Config(queue=model.Queue(path=str(path / "q.db")))
        self.queue = assembly.open_queue(self.config, clock)
        self.device_ids: list[str] = []
        self.queue.rename_device = self.device_ids.append  # type: ignore[assignment]  # notes it

    def agent(self, environ: dict[str, str], *, load: Load, source: str = "current") -> Supervisor:
        return Supervisor(
            self.config,
            self.queue,
            self.clock,
            environ,
            service=ServiceManager(environ),
            load=load,
            source=source,
        )

    def run(self, *events: int, load: Load, runtime: Path | None = None) -> None:
        environ = {"RUNTIME_DIRECTORY": str(runtime or self.path)}
        agent = self.agent(environ, load=load, source="last_good")
        for number in (*events, signal.SIGTERM):
            agent._events.put(number)
        assert agent.run() == 0


@pytest.fixture
def stage(tmp_path: Path, clock: FakeClock) -> Stage:
    return Stage(tmp_path, clock)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The names of the events in the journal, so far."""
    caplog.set_level(logging.INFO, "edge_agent")
    return lambda: [record.getMessage().split()[0] for record in caplog.records]


def _unread() -> model.Config:
    raise AssertionError("nobody asked for it")


def test_supervisor_starts_reports_and_stops(stage: Stage, told: Callable[[], list[str]]) -> None:
    """In this order; the status file shows the last state."""
    stage.run(load=_unread)
    assert told() == ["started", "store_only", "ready", "stopped"]
    status = json.loads((stage.path / "status.json").read_text())
    assert (status["health"]["link"], status["health"]["config"]) == ("store_only", "last_good")


def test_supervisor_puts_metrics_beside_the_status_for_all_to_read(stage: Stage) -> None:
    """Both are replaced in one go: whoever looks never meets half a file."""
    stage.run(load=_unread)
    file = stage.path / "metrics.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert exposition.parse(file.read_text())["pyvorin_link_state"].samples["store_only"] == 1
    assert not list(stage.path.glob(".*.new"))


def test_supervisor_refused_configuration_keeps_the_old_one(
    stage: Stage, told: Callable[[], list[str]]
) -> None:
    """Every problem has its line; the agent runs on, on what it had."""

    def load() -> model.Config:
        raise ConfigError("agent.yaml:1:1: bad", "agent.yaml:2:1: worse")

    stage.run(signal.SIGHUP, load=load)
    assert told().count("config_refused") == 2
    assert json.loads((stage.path / "status.json").read_text())["health"]["config"] == "last_good"


@pytest.mark.parametrize(("device_id", "renamed"), [("auto", []), ("pi-7", ["pi-7"])])
def test_supervisor_reload_renames_the_device_only_if_its_name_changed(
    stage: Stage, told: Callable[[], list[str]], device_id: str, renamed: list[str]
) -> None:
    """A new name brings a new queue_id, which cuts batches: not for nothing."""
    new = model.Config(queue=stage.config.queue, device=model.Device(id=device_id))
    stage.run(signal.SIGHUP, load=lambda: new)
    assert stage.device_ids == renamed
    assert "config_reloaded" in told()
    assert json.loads((stage.path / "status.json").read_text())["health"]["config"] == "current"


def test_supervisor_without_a_place_for_the_status_file_reports_to_the_journal(
    stage: Stage, told: Callable[[], list[str]]
) -> None:
    """A full or missing /run takes the file, not the health line."""

    def load() -> model.Config:
        stage.clock.advance(stage.config.health.report_interval_s)
        return stage.config

    stage.run(signal.SIGHUP, load=load, runtime=stage.path / "nowhere")
    assert "queue_health" in told()


def test_supervisor_keeps_the_record_of_the_run_where_no_health_line_is_wanted(
    stage: Stage,
) -> None:
    """How long it ran, and what it wrote, must outlive a power cut all the same."""
    stage.config = dataclasses.replace(stage.config, health=model.Health(0, 0))
    agent = stage.agent({}, load=_unread)
    stage.clock.advance(NOTE_EVERY_S)
    agent._report(agent._parts(), {}, stage.clock.monotonic())
    assert stage.queue.memory.load("agent.run")["uptime_s"] == NOTE_EVERY_S
    stage.queue.close()


def test_supervisor_changes_of_state_bring_one_look_however_many_they_are(stage: Stage) -> None:
    """A flapping sensor must not fill the line of events."""
    agent = stage.agent({}, load=_unread)
    for number in range(20):
        agent._say(logging.INFO, f"flapping n={number}")
    assert agent._events.qsize() == 1
    stage.queue.close()
